"""What all simulated modules share: the configuration at four fidelities, and calibrated scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from asim_fx.encoding import CellLayout
from asim_fx.errors import UsageError
from asim_fx.ir import BitPlan
from asim_fx.nn.proxy import fake_quantized, trimmed
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.engines.choice import EngineChoice
from asim_fx.ops.quantize import Role, observed_scale

Fidelity = Literal["hardware", "integer", "float", "proxy"]
"""``hardware``: as configured. ``integer``: the same codes, every cell exact. ``float``: the plain torch operation.
``proxy``: that operation on rounded operands, with trim noise on its result: ASiM's training form."""

_FIDELITIES = ("hardware", "integer", "float", "proxy")


def integer_config(config: OpConfig) -> OpConfig:
    """Return the same operation with exact cells: what a digital accelerator of these bits computes."""
    widths = (1,) * config.input.bits if config.read.parallel else config.plan.input_widths
    plan = BitPlan.analog(config.weight.bits, widths)
    everything = plan.weight_planes + plan.input_planes
    return replace(
        config,
        plan=plan.with_digital(everything),
        read=ReadEffects(rows=config.read.rows),
        stored=CellLayout(),
    )


def unknown_scale(operand: Operand) -> Tensor | None:
    """Return the scale of an operand before calibration; None where it needs none."""
    return torch.full((), float("nan")) if operand.scale == "static" else None


class CimModule(nn.Module):
    """Base of the simulated modules.

    Attributes:
        config: what is simulated.
        fidelity: how faithfully; may be changed at any time before the model is exported or compiled.
        observing: while True, a forward pass computes in float and records the scales that ``scale: static`` needs.
        trim_noise: standard deviation of the proxy's noise, in % of each result.
    """

    def __init__(self, config: OpConfig) -> None:
        super().__init__()
        self.config = config
        self.observing = False
        self.trim_noise = 0.0
        self._fidelity: Fidelity = "hardware"
        self._texts = {"hardware": config.dumps(), "integer": integer_config(config).dumps()}
        self.input_scale: Tensor | None
        self.register_buffer("input_scale", unknown_scale(config.input))

    @property
    def fidelity(self) -> Fidelity:
        """How faithfully the operation is simulated."""
        return self._fidelity

    @fidelity.setter
    def fidelity(self, value: Fidelity) -> None:
        if value not in _FIDELITIES:
            message = f"unknown fidelity {value!r}"
            raise UsageError(message, hint=f"one of {', '.join(_FIDELITIES)}")
        self._fidelity = value

    def set_engine(self, engine: EngineChoice) -> None:
        """Choose what computes the operation."""
        self.config = replace(self.config, engine=engine)
        self._texts = {"hardware": self.config.dumps(), "integer": integer_config(self.config).dumps()}

    @property
    def in_float(self) -> bool:
        """Whether the next forward pass is the plain torch operation."""
        return self.observing or self._fidelity == "float"

    @property
    def as_proxy(self) -> bool:
        """Whether the next forward pass is ASiM's training form."""
        return self._fidelity == "proxy" and not self.observing

    def _scale(self, clip: Tensor | None) -> Tensor | None:
        """Return the scale of the streamed operand: what it is clipped at, or what calibration found."""
        return self.input_scale if clip is None else clip.detach()

    def _rounded(self, value: Tensor, role: Role, scale: Tensor | None = None) -> Tensor:
        operand = self.config.input if role == "input" else self.config.weight
        return fake_quantized(value, operand, site=self.config.site, role=role, scale=scale)

    def _trimmed(self, value: Tensor, rng: Tensor, call: int = 0) -> Tensor:
        return trimmed(value, self.trim_noise, rng, self.config.stream ^ call)

    @property
    def config_text(self) -> str:
        """The configuration of the present fidelity, as the custom ops take it."""
        return self._texts[self._fidelity]

    def extra_repr(self) -> str:
        """Return the configuration in one line."""
        config, read = self.config, self.config.read
        adc = "ideal" if read.adc_bits is None else read.adc_bits
        sign = {True: "signed", False: "unsigned"}
        return (
            f"{config.site}, input={config.input.bits} bits {sign[config.input.signed]}, "
            f"weight={config.weight.bits} bits, "
            f"rows={read.rows}, step={config.step}, adc={adc}, scale={config.input.scale}, fidelity={self._fidelity}"
        )

    def _observe(self, scale: Tensor | None, value: Tensor, operand: Operand, role: Role) -> None:
        if self.observing and scale is not None:
            seen = observed_scale(value, operand, site=self.config.site, role=role)
            # fmax: the NaN of a scale that was never calibrated gives way to any number.
            scale.copy_(torch.fmax(scale, seen.to(scale.device)))
