"""What ASiM's two convolutions share: geometry, and how a mode computes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles, whole_number
from asim_fx.compat.attributes import check_assignment
from asim_fx.compat.modes import Mode, fake_quantized, next_draw, operation_text, trimmed
from asim_fx.errors import UsageError
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.conv import check_conv, output_extents

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(nn.Conv2d):
    """``torch.nn.Conv2d`` whose ``stride``, ``padding``, ``dilation``, ``groups`` and ``padding_mode`` may change."""

    _site: ClassVar[str]
    """What error messages call it; the noise of a subclass of the user's stays the same."""

    def __setattr__(self, name: str, value: Any) -> None:
        check_assignment(self, name, value)
        super().__setattr__(name, value)

    def _convolve(
        self,
        input: Tensor,
        arguments: AsimArguments,
        *,
        signed: bool,
        mode: Mode,
        trim_noise: float,
        digital_cycles: DigitalCycles = "exact",
    ) -> Tensor:
        """Return the convolution of (batch, channels, height, width), or of one image without a batch, with bias."""
        site = self._site
        stride, dilation = self._pair("stride", 1), self._pair("dilation", 1)
        top, bottom, left, right = self._sides(stride, dilation)
        groups = whole_number(self.groups, f"{site}: groups", 1)
        if self.padding_mode not in _PADDING_MODES:
            message = f"{site}: padding_mode is {self.padding_mode!r}"
            raise UsageError(message, hint=f"one of {', '.join(_PADDING_MODES)}")
        x = input.unsqueeze(0) if input.dim() == 3 else input
        check_conv(x.shape, self.weight.shape, 2, groups)
        output_extents(x.shape, self.weight.shape, stride, [top, bottom, left, right], dilation)
        if self.padding_mode != "zeros":
            x = F.pad(x, [left, right, top, bottom], mode=self.padding_mode)
            top = bottom = left = right = 0
        if mode == "Train":
            x = fake_quantized(x, arguments.xbit, signed=signed, site=site, role="input")
            weight = fake_quantized(self.weight, arguments.wbit, signed=True, site=site, role="weight")
            if (top, left) != (bottom, right):
                x = F.pad(x, [left, right, top, bottom])
                top = left = 0
            y = F.conv2d(x, weight, self.bias, stride, (top, left), dilation, groups)
        else:
            text = operation_text(
                arguments,
                site=site,
                signed=signed,
                exact=mode == "Inference",
                taps=math.prod(self.weight.shape[2:]),
                digital_cycles=digital_cycles,
            )
            sides = [top, bottom, left, right]
            y = torch.ops.asim.conv(x, self.weight, next_draw(), None, text, stride, sides, dilation, groups)
        if mode != "Simulation":
            y = trimmed(y, trim_noise)
        if mode != "Train" and self.bias is not None:
            y = y + self.bias.view(-1, 1, 1)
        return y.squeeze(0) if input.dim() == 3 else y

    def _pair(self, name: str, least: int) -> list[int]:
        """Return a number for height and width."""
        value = getattr(self, name)
        each = list(value) if isinstance(value, tuple | list) else [value, value]
        if len(each) != 2:
            message = f"{self._site}: {name} is {value!r}, and must be one whole number or two"
            raise UsageError(message)
        return [whole_number(one, f"{self._site}: {name}", least) for one in each]

    def _sides(self, stride: list[int], dilation: list[int]) -> list[int]:
        """Return how much is added above, below, left and right."""
        if self.padding == "valid":
            return [0, 0, 0, 0]
        if self.padding == "same":
            if stride != [1, 1]:
                message = f"{self._site}: padding 'same' needs stride 1, not {stride}"
                raise UsageError(message)
            totals = [step * (size - 1) for step, size in zip(dilation, self.weight.shape[2:], strict=True)]
            return [side for total in totals for side in (total // 2, total - total // 2)]
        return [side for pad in self._pair("padding", 0) for side in (pad, pad)]
