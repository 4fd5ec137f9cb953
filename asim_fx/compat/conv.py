"""ASiM's convolution, to be dropped into a network."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles
from asim_fx.compat.linear import describe
from asim_fx.compat.modes import check_mode, fake_quantized, next_draw, operation_text, trimmed
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)

_SITE = "ASiMConv2d"


class ASiMConv2d(nn.Conv2d):
    """A convolution with the arguments and modes of ASiM's; its weights are those of ``torch.nn.Conv2d``.

    Groups, dilation, rectangular kernels and every kind of padding work in all modes, which the published simulator's
    do not; and all row tiles run. Every argument stays an attribute that may be changed at any time; ``trim_noise`` as
    a fraction, like ASiM's.

    Args:
        in_channels: as in ``torch.nn.Conv2d``, like the next eight.
        out_channels: see there.
        kernel_size: see there.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        bias: see there; it is added digitally.
        padding_mode: see there.
        wbit: bits of the weight, sign included.
        xbit: bits of the input.
        adc_prec: bits of the converter.
        nrow: rows that add up on one column.
        rand_noise_sigma: standard deviation of the random noise, in % of full scale.
        non_linear_sigma: standard deviation of the nonlinear noise, in % of full scale at an empty column.
        act_enc: bits of the input that one read applies; None: one (bit-serial).
        signed_act: whether the input is signed.
        hybrid_levels: levels of most significant cycles that are digital; more than there are: all, as in ASiM.
        mode: ``Train``, ``Inference`` or ``Simulation``.
        trim_noise: standard deviation of the noise in Train and Inference, in % of each result.
        device: without effect: the module computes where its input is.
        digital_cycles: ``exact``, or ``adc`` as in the published simulator.

    Raises:
        UsageError: an unknown mode; when called: arguments that exclude each other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        wbit: int = 4,
        xbit: int = 4,
        adc_prec: int = 8,
        nrow: int = 256,
        rand_noise_sigma: float = 0.0,
        non_linear_sigma: float = 0.0,
        act_enc: int | None = None,
        signed_act: bool = False,
        hybrid_levels: int | None = None,
        mode: str = "Train",
        trim_noise: float = 0.0,
        device: torch.device | str = "cpu",
        *,
        digital_cycles: DigitalCycles = "exact",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        )  # fmt: skip
        self.wbit, self.xbit, self.adc_prec, self.nrow = wbit, xbit, adc_prec, nrow
        self.rand_noise_sigma, self.non_linear_sigma = rand_noise_sigma, non_linear_sigma
        self.act_enc, self.signed_act, self.hybrid_levels = act_enc, signed_act, hybrid_levels
        self.device, self.digital_cycles = device, digital_cycles
        self.mode: str = check_mode(mode)
        self.trim_noise = trim_noise / 100

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of ``input`` (batch, channels, height, width), as the mode has it.

        Raises:
            NumericsError: NaN or infinity in an operand.
        """
        mode = check_mode(self.mode)
        if mode == "Train":
            x = fake_quantized(input, self.xbit, signed=self.signed_act, site=_SITE, role="input")
            weight = fake_quantized(self.weight, self.wbit, signed=True, site=_SITE, role="weight")
            return trimmed(self._conv_forward(x, weight, self.bias), self.trim_noise)
        text = operation_text(
            self._arguments(),
            site=_SITE,
            signed=self.signed_act,
            exact=mode == "Inference",
            taps=math.prod(self.kernel_size),
            digital_cycles=self.digital_cycles,
        )
        # Torch keeps them as F.pad takes them, last dimension first, whatever form they were given in.
        left, right, top, bottom = self._reversed_padding_repeated_twice
        sides = [top, bottom, left, right]
        if self.padding_mode != "zeros":
            input = F.pad(input, [left, right, top, bottom], mode=self.padding_mode)
            sides = [0, 0, 0, 0]
        y: Tensor = torch.ops.asim.conv(
            input, self.weight, next_draw(), None, text, self.stride, sides, self.dilation, self.groups
        )
        if mode == "Inference":
            y = trimmed(y, self.trim_noise)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    def extra_repr(self) -> str:
        """Return the arguments in one line."""
        convolution: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{convolution}, {describe(self._arguments(), self.mode)}"

    def _arguments(self) -> AsimArguments:
        return AsimArguments(
            wbit=self.wbit,
            xbit=self.xbit,
            nrow=self.nrow,
            adc_prec=self.adc_prec,
            act_enc=self.act_enc or 1,
            rand_noise_sigma=self.rand_noise_sigma,
            non_linear_sigma=self.non_linear_sigma,
            hybrid_levels=self.hybrid_levels or 0,
        )
