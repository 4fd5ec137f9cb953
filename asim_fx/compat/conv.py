"""ASiM's convolution, to be dropped into a network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from asim_fx.compat.arguments import AsimArguments, DigitalCycles, amount, checked, whether
from asim_fx.compat.convolution import Convolution
from asim_fx.compat.modes import check_mode, describe, noise_fraction

_SITE = "ASiMConv2d"


class ASiMConv2d(Convolution):
    """A convolution with the arguments and modes of ASiM's; its weights are those of ``torch.nn.Conv2d``.

    Groups, dilation, rectangular kernels and every kind of padding work in all modes, which the published simulator's
    do not; and all row tiles run. Every argument but channels and kernel size is an attribute that may be changed at
    any time and is checked when the module is called. The attribute ``trim_noise`` is a fraction, as in ASiM's module.

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
        act_enc: bits of the input that one read applies, without the sign; None: one (bit-serial).
        signed_act: whether the input is signed.
        hybrid_levels: levels of most significant cycles that are digital; more than there are: all, as in ASiM.
        mode: ``Train``, ``Inference`` or ``Simulation``.
        trim_noise: standard deviation of the noise in Train and Inference, in % of each result.
        device: without effect: the module computes where its input is.
        digital_cycles: ``exact``, or ``adc`` as in the published simulator.
        voting_levels: levels of most significant cycles that are read several times, as in ASiM's extension.
        num_samp: how many times; the most common code counts.

    Raises:
        UsageError: an argument that has no meaning, or two that exclude each other; also when called.
    """

    _site = _SITE

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
        voting_levels: int | None = None,
        num_samp: int | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        )  # fmt: skip
        self.wbit, self.xbit, self.adc_prec, self.nrow = wbit, xbit, adc_prec, nrow
        self.rand_noise_sigma, self.non_linear_sigma = rand_noise_sigma, non_linear_sigma
        self.act_enc, self.signed_act, self.hybrid_levels = act_enc, signed_act, hybrid_levels
        self.device, self.digital_cycles = device, digital_cycles
        self.voting_levels, self.num_samp = voting_levels, num_samp
        self.mode: str = mode
        self.trim_noise = noise_fraction(trim_noise, f"{_SITE}: trim_noise")
        self._checked()

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of ``input``, (batch, channels, height, width) or without a batch, as the mode has it.

        Raises:
            InputError: the shape does not fit.
            NumericsError: NaN or infinity in an operand.
            UsageError: an argument was changed to one that has no meaning.
        """
        arguments = self._checked()
        return self._convolve(
            input,
            arguments,
            signed=self.signed_act,
            mode=check_mode(self.mode),
            trim_noise=self.trim_noise,
            digital_cycles=self.digital_cycles,
        )

    def extra_repr(self) -> str:
        """Return the arguments in one line."""
        convolution: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{convolution}, {describe(self._arguments(), self.mode)}"

    def _checked(self) -> AsimArguments:
        check_mode(self.mode)
        amount(self.trim_noise, f"{_SITE}: trim_noise")
        signed = whether(self.signed_act, f"{_SITE}: signed_act")
        return checked(self._arguments(), signed=signed, digital_cycles=self.digital_cycles, where=_SITE)

    def _arguments(self) -> AsimArguments:
        return AsimArguments(
            wbit=self.wbit,
            xbit=self.xbit,
            nrow=self.nrow,
            adc_prec=self.adc_prec,
            act_enc=1 if self.act_enc is None else self.act_enc,
            rand_noise_sigma=self.rand_noise_sigma,
            non_linear_sigma=self.non_linear_sigma,
            hybrid_levels=0 if self.hybrid_levels is None else self.hybrid_levels,
            voting_levels=0 if self.voting_levels is None else self.voting_levels,
            num_samp=1 if self.num_samp is None else self.num_samp,
        )
