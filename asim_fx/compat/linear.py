"""ASiM's linear layer, to be dropped into a network."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles
from asim_fx.compat.modes import check_mode, fake_quantized, next_draw, operation_text, trimmed
from asim_fx.errors import UsageError
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)

_SITE = "ASiMLinear"


class ASiMLinear(nn.Linear):
    """A linear layer with the arguments and modes of ASiM's; its weights are those of ``torch.nn.Linear``.

    Every argument stays an attribute that may be changed at any time; ``trim_noise`` as a fraction, like ASiM's.

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
        act_enc: bits of the input that one read applies; None: one (bit-serial).
        signed_act: whether the input is signed.
        layer: ``fc`` or ``proj``; without effect: any input (..., in_features) is taken.
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
    ) -> None:
        super().__init__(in_features, out_features, bias)
        if layer not in ("fc", "proj"):
            message = f"unknown layer {layer!r}"
            raise UsageError(message, hint="fc or proj")
        self.wbit, self.xbit, self.adc_prec, self.nrow = wbit, xbit, adc_prec, nrow
        self.rand_noise_sigma, self.non_linear_sigma = rand_noise_sigma, non_linear_sigma
        self.act_enc, self.signed_act, self.hybrid_levels = act_enc, signed_act, hybrid_levels
        self.layer, self.device, self.digital_cycles = layer, device, digital_cycles
        self.mode: str = check_mode(mode)
        self.trim_noise = trim_noise / 100

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input @ weight.T + bias`` for ``input`` (..., in_features), as the mode has it.

        Raises:
            NumericsError: NaN or infinity in an operand.
        """
        mode = check_mode(self.mode)
        if mode == "Train":
            x = fake_quantized(input, self.xbit, signed=self.signed_act, site=_SITE, role="input")
            weight = fake_quantized(self.weight, self.wbit, signed=True, site=_SITE, role="weight")
            return trimmed(F.linear(x, weight, self.bias), self.trim_noise)
        text = operation_text(
            self._arguments(),
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


def describe(arguments: AsimArguments, mode: str) -> str:
    """Return the most telling arguments, for a module's ``repr``."""
    return f"mode={mode}, wbit={arguments.wbit}, xbit={arguments.xbit}, adc_prec={arguments.adc_prec}"
