"""One direction of a recurrent layer on compute-in-memory arrays."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.graph.recurrence import run_steps
from asim_fx.nn.module import CimModule
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.config import OpConfig


class CimRecurrence(CimModule):
    """Simulated recurrence, called as ``module(hidden, weight, bias, gates, state, rng)``.

    The weight is stored once; each time step streams the hidden state before it, with a scale of its own unless that is
    static, and draws noise of its own.

    Args:
        config: what one step is; ``layout`` is that of one step's gates.
        cell: a key of ``asim_fx.graph.recurrence.CELLS``.
        reverse: whether the last step comes first.
    """

    def __init__(self, config: OpConfig, cell: str, reverse: bool) -> None:
        super().__init__(config)
        self.cell = cell
        self.reverse = reverse

    def forward(
        self, hidden: Tensor, weight: Tensor, bias: Tensor | None, gates: Tensor, state: Tensor | None, rng: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs (steps, rows, H), the last hidden and the last cell state, as the torch form does."""

        def multiply(value: Tensor, step: int) -> Tensor:
            self._observe(value, weight)
            if self.in_float:
                return F.linear(value, weight, bias)
            result = self.product(value, weight, rng, step)
            return result if bias is None else result + bias

        return run_steps(multiply, hidden, gates, state, self.cell, self.reverse)

    def product(self, hidden: Tensor, weight: Tensor, rng: Tensor, step: int) -> Tensor:
        """Return what the arrays give at one step: ``hidden @ weight.T`` (rows, gates), without the bias."""
        if self.as_proxy:
            rounded = self._rounded(hidden, "input", self.input_scale)
            return self._trimmed(F.linear(rounded, self._rounded(weight, "weight")), rng, step)
        result: Tensor = torch.ops.asim.linear(hidden, weight, rng, self.input_scale, self._step_text(step))
        return result

    def _step_text(self, step: int) -> str:
        if self.fidelity != "hardware":
            return self.config_text  # Without noise all steps are alike.
        config = self.config
        return replace(config, site=f"{config.site}/step{step}", array=config.array or config.site).dumps()

    def extra_repr(self) -> str:
        """Return the configuration in one line."""
        return f"{super().extra_repr()}, cell={self.cell}, reverse={self.reverse}"
