"""A convolution on compute-in-memory arrays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.errors import UsageError
from asim_fx.ir import ConvGeometry
from asim_fx.nn.module import CimModule
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import pad_spatial

_FLOAT_CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class CimConv(CimModule):
    """Simulated convolution of 1, 2 or 3 spatial dimensions, called as ``module(x, weight, bias, rng)``.

    Args:
        config: what is simulated.
        geometry: stride, padding and dilation along each spatial dimension.
        groups: as in ``torch.nn.functional.conv2d``, for one sample.
        computed_weight: whether the weight is an activation. Each sample may then have its own, and the batch come as
            one image with all their groups.

    Raises:
        UsageError: another number of spatial dimensions.
    """

    def __init__(self, config: OpConfig, geometry: ConvGeometry, groups: int, *, computed_weight: bool = False) -> None:
        super().__init__(config)
        if len(geometry.stride) not in _FLOAT_CONVS:
            message = f"site {config.site}: convolutions of {len(geometry.stride)} spatial dimensions are not supported"
            raise UsageError(message)
        self.geometry = geometry
        self.groups = groups
        self.computed_weight = computed_weight

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, rng: Tensor, clip: Tensor | None = None
    ) -> Tensor:
        """Return the convolution of ``x`` (batch, channels, *spatial); ``rng`` is int64 [seed, first sample].

        ``clip`` is the learned bound of ``x``, 0-d, where it has one: its scale.
        """
        geometry = self.geometry
        groups = x.shape[1] // weight.shape[1] if self.computed_weight else self.groups
        stride, dilation = list(geometry.stride), list(geometry.dilation)
        padding = [side for pair in geometry.padding for side in pair]
        self._observe(x, weight, clip)
        if self.in_float:
            padded = pad_spatial(x, padding)
            return _FLOAT_CONVS[len(stride)](padded, weight, bias, stride, 0, dilation, groups)
        if self.as_proxy:
            padded = pad_spatial(self._rounded(x, "input", self._scale(clip)), padding)
            stored = self._rounded(weight, "weight")
            y = _FLOAT_CONVS[len(stride)](padded, stored, None, stride, 0, dilation, groups)
            y = self._trimmed(y, rng)
            return y if bias is None else y + bias.view(-1, *[1] * len(stride))
        result: Tensor = torch.ops.asim.conv(
            x, weight, rng, self._scale(clip), self.config_text, stride, padding, dilation, groups
        )
        return result if bias is None else result + bias.view(-1, *[1] * len(stride))

    def extra_repr(self) -> str:
        """Return the configuration in one line."""
        return f"{super().extra_repr()}, kernel={self.geometry.kernel}, groups={self.groups}"
