"""A transposed convolution on compute-in-memory arrays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.errors import UsageError
from asim_fx.ir import ConvGeometry
from asim_fx.nn.module import CimModule
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv_transpose import inputs_first, outputs_first

_FLOAT_CONVS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class CimConvTranspose(CimModule):
    """Simulated transposed convolution of 1, 2 or 3 spatial dimensions, called as ``module(x, weight, bias, rng)``.

    Args:
        config: what is simulated; its ``step`` is not used: each stride phase has its own.
        geometry: of a transposed convolution, with the same padding on both sides.
        groups: as in ``torch.nn.functional.conv_transpose2d``.

    Raises:
        UsageError: another number of spatial dimensions, or the geometry of an ordinary convolution.
    """

    def __init__(self, config: OpConfig, geometry: ConvGeometry, groups: int) -> None:
        super().__init__(config)
        if len(geometry.stride) not in _FLOAT_CONVS or geometry.output_padding is None:
            message = f"site {config.site}: not the geometry of a transposed convolution: {geometry}"
            raise UsageError(message)
        self.geometry = geometry
        self.groups = groups
        self.output_padding = list(geometry.output_padding)

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, rng: Tensor, clip: Tensor | None = None
    ) -> Tensor:
        """Return the result for ``x`` (batch, channels, *spatial); ``rng`` is int64 [seed, first sample].

        ``clip`` is the learned bound of ``x``, 0-d, where it has one: its scale.
        """
        geometry = self.geometry
        stride, dilation = list(geometry.stride), list(geometry.dilation)
        padding = [before for before, _ in geometry.padding]
        self._observe(x, weight, clip)
        if self.in_float:
            convolve = _FLOAT_CONVS[len(stride)]
            return convolve(x, weight, bias, stride, padding, self.output_padding, self.groups, dilation)
        if self.as_proxy:
            streamed, stored = self._rounded(x, "input", self._scale(clip)), self._rounded_weight(weight)
            convolve = _FLOAT_CONVS[len(stride)]
            y = convolve(streamed, stored, None, stride, padding, self.output_padding, self.groups, dilation)
            y = self._trimmed(y, rng)
            return y if bias is None else y + bias.view(-1, *[1] * len(stride))
        result: Tensor = torch.ops.asim.conv_transpose(
            x,
            weight,
            rng,
            self._scale(clip),
            self.config_text,
            stride,
            padding,
            dilation,
            self.output_padding,
            self.groups,
        )
        return result if bias is None else result + bias.view(-1, *[1] * len(stride))

    def _rounded_weight(self, weight: Tensor) -> Tensor:
        if self.config.weight.scale != "channel":
            return self._rounded(weight, "weight")
        return inputs_first(self._rounded(outputs_first(weight, self.groups), "weight"), self.groups)

    def extra_repr(self) -> str:
        """Return the configuration in one line."""
        return f"{super().extra_repr()}, kernel={self.geometry.kernel}, groups={self.groups}"
