"""ASiM's linear layer, to be dropped into a network."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles, amount, checked, whether
from asim_fx.compat.attributes import check_assignment
from asim_fx.compat.modes import (
    check_mode,
    describe,
    fake_quantized,
    next_draw,
    noise_fraction,
    operation_text,
    trimmed,
)
from asim_fx.errors import UsageError
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.linear import check_linear

_SITE = "ASiMLinear"


class ASiMLinear(nn.Linear):
    """A linear layer with the arguments and modes of ASiM's; its weights are those of ``torch.nn.Linear``.

    Every argument but the two numbers of features is an attribute that may be changed at any time and is checked when
    the module is called. The attribute ``trim_noise`` is a fraction, as in ASiM's module.

    Args:
        in_features: length of the reduction.
        out_features: outputs.
        bias: whether there is one; it is added digitally.
        wbit: bits of the weight, sign included.
        xbit: bits of the input.
        adc_prec: bits of the converter.
        nrow: rows that add up on one column.
        rand_noise_sigma: standard deviation of the random noise, in % of full scale.
        non_linear_sigma: standard deviation of the nonlinear noise, in % of full scale at an empty column.
        act_enc: bits of the input that one read applies, without the sign; None: one (bit-serial).
        signed_act: whether the input is signed.
        layer: ``fc`` or ``proj``; without effect: any input (..., in_features) is taken.
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

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        wbit: int = 4,
        xbit: int = 4,
        adc_prec: int = 8,
        nrow: int = 256,
        rand_noise_sigma: float = 0.0,
        non_linear_sigma: float = 0.0,
        act_enc: int | None = None,
        signed_act: bool = True,
        layer: Literal["fc", "proj"] = "fc",
        hybrid_levels: int | None = None,
        mode: str = "Train",
        trim_noise: float = 0.0,
        device: torch.device | str = "cpu",
        *,
        digital_cycles: DigitalCycles = "exact",
        voting_levels: int | None = None,
        num_samp: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.wbit, self.xbit, self.adc_prec, self.nrow = wbit, xbit, adc_prec, nrow
        self.rand_noise_sigma, self.non_linear_sigma = rand_noise_sigma, non_linear_sigma
        self.act_enc, self.signed_act, self.hybrid_levels = act_enc, signed_act, hybrid_levels
        self.layer, self.device, self.digital_cycles = layer, device, digital_cycles
        self.voting_levels, self.num_samp = voting_levels, num_samp
        self.mode: str = mode
        self.trim_noise = noise_fraction(trim_noise, f"{_SITE}: trim_noise")
        self._checked()

    def __setattr__(self, name: str, value: Any) -> None:
        check_assignment(self, name, value)
        super().__setattr__(name, value)

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input @ weight.T + bias`` for ``input`` (..., in_features), as the mode has it.

        Raises:
            InputError: the last dimension is not ``in_features``.
            NumericsError: NaN or infinity in an operand.
            UsageError: an argument was changed to one that has no meaning.
        """
        arguments = self._checked()
        check_linear(input.shape, self.weight.shape)
        mode = check_mode(self.mode)
        if mode == "Train":
            x = fake_quantized(input, arguments.xbit, signed=self.signed_act, site=_SITE, role="input")
            weight = fake_quantized(self.weight, arguments.wbit, signed=True, site=_SITE, role="weight")
            return trimmed(F.linear(x, weight, self.bias), self.trim_noise)
        text = operation_text(
            arguments,
            site=_SITE,
            signed=self.signed_act,
            exact=mode == "Inference",
            taps=1,
            digital_cycles=self.digital_cycles,
        )
        y: Tensor = torch.ops.asim.linear(input, self.weight, next_draw(), None, text)
        if mode == "Inference":
            y = trimmed(y, self.trim_noise)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return the arguments in one line."""
        return f"{super().extra_repr()}, {describe(self._arguments(), self.mode)}"

    def _checked(self) -> AsimArguments:
        check_mode(self.mode)
        if self.layer not in ("fc", "proj"):
            message = f"{_SITE}: unknown layer {self.layer!r}"
            raise UsageError(message, hint="fc or proj")
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
