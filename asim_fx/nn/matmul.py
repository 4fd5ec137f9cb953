"""A matrix product of two activations on compute-in-memory arrays."""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.nn.module import CimModule, unknown_scale
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.config import OpConfig
from asim_fx.ops.quantize import Role


class CimMatmul(CimModule):
    """Simulated batched matmul, called as ``module(a, b, rng)``.

    Args:
        config: what is simulated; ``input`` is the streamed operand, ``weight`` the stored one.
        stored_first: whether the first operand is stored (QK^T: Q) rather than the second.
    """

    def __init__(self, config: OpConfig, stored_first: bool = False) -> None:
        super().__init__(config)
        self.stored_first = stored_first
        self.weight_scale: Tensor | None
        self.register_buffer("weight_scale", unknown_scale(config.weight))

    def forward(self, a: Tensor, b: Tensor, rng: Tensor) -> Tensor:
        """Return ``a @ b``, broadcasting as ``torch.matmul`` does; ``rng`` is int64 [seed, first sample]."""
        self._observe(*((b, a) if self.stored_first else (a, b)))
        if self.in_float:
            return torch.matmul(a, b)
        if self.as_proxy:
            left, right = self._roles()
            return self._trimmed(torch.matmul(self._rounded(a, *left), self._rounded(b, *right)), rng)
        scales = self._scales(a)
        y: Tensor = torch.ops.asim.matmul(a, b, rng, scales, self.config_text, self.stored_first)
        return y

    def _roles(self) -> tuple[tuple[Role, Tensor | None], tuple[Role, Tensor | None]]:
        """Return role and calibrated scale of the first and the second operand."""
        streamed: tuple[Role, Tensor | None] = ("input", self.input_scale)
        stored: tuple[Role, Tensor | None] = ("weight", self.weight_scale)
        return (stored, streamed) if self.stored_first else (streamed, stored)

    def _scales(self, like: Tensor) -> Tensor | None:
        """Return the calibrated scales [streamed, stored], NaN for an operand that needs none."""
        if self.input_scale is None and self.weight_scale is None:
            return None
        unknown = torch.full((), float("nan"), device=like.device)
        scales = (self.input_scale, self.weight_scale)
        return torch.stack([unknown if scale is None else scale for scale in scales])

    def extra_repr(self) -> str:
        """Return the configuration in one line."""
        return f"{super().extra_repr()}, stored={'first' if self.stored_first else 'second'}"
