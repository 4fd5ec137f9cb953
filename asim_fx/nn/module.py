"""What all simulated modules share: the configuration at four fidelities, and calibrated scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from asim_fx.encoding import CellLayout
from asim_fx.errors import UsageError
from asim_fx.ir import DIGITAL, BitPlan
from asim_fx.nn.proxy import fake_quantized, trimmed
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.engines.choice import EngineChoice
from asim_fx.ops.quantize import Role

Fidelity = Literal["hardware", "integer", "float", "proxy"]
"""``hardware``: as configured. ``integer``: the same codes, every cell exact. ``float``: the plain torch operation.
``proxy``: that operation on rounded operands, with trim noise on its result: ASiM's training form."""

Observer: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], None]
"""Told the streamed and the stored operand of every product that a site computes, whatever the fidelity, and the
learned bound of the streamed operand where it has one."""


@dataclass(frozen=True, slots=True)
class Choosing:
    """How calibration chooses what a site needs.

    Attributes:
        scale: max, percentile, mse or kl, for a static scale.
        scale_percentile: of the magnitudes.
        window: percentile, mse or csnr; None where the converter's window is not calibrated.
        window_percentile: of the MAC values.
    """

    scale: str = "max"
    scale_percentile: float = 100.0
    window: str | None = None
    window_percentile: float = 100.0


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


def exact_reads(site: CimModule) -> bool:
    """Return whether nothing in the configuration of a site makes its reads differ from ideal integers.

    A converter counts as such a thing even where it has a code for every value.
    """
    config = site.config
    analog = any(reads != DIGITAL for reads in chain(*config.plan.reads))
    ideal = ReadEffects(
        rows=config.read.rows,
        parallel=config.read.parallel,
        subtracted=config.read.subtracted,
        window_known=config.read.window_known,
        columns_per_adc=config.read.columns_per_adc,
        digital_cycles=config.read.digital_cycles,
    )
    return not analog or config.read == ideal


def unknown_scale(operand: Operand) -> Tensor | None:
    """Return the scale of an operand before calibration; None where it needs none."""
    return torch.full((), float("nan")) if operand.scale == "static" else None


class CimModule(nn.Module):
    """Base of the simulated modules.

    Attributes:
        config: what is simulated.
        fidelity: how faithfully; may be changed at any time before the model is exported or compiled.
        trim_noise: standard deviation of the proxy's noise, in % of each result.
        trim_additive: whether it is in % of the root mean square of all results instead.
        choosing: how calibration chooses scales and windows.
        observer: told the operands of each forward pass; calibration sets it for a while.
    """

    def __init__(self, config: OpConfig) -> None:
        super().__init__()
        self.config = config
        self.trim_noise = 0.0
        self.trim_additive = False
        self.choosing = Choosing()
        self.observer: Observer | None = None
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
        self._configure(replace(self.config, engine=engine))

    def set_window(self, window: tuple[float, float]) -> None:
        """Give the converter the window that calibration chose: MAC values of a one-bit plane."""
        self._configure(replace(self.config, read=replace(self.config.read, window=window, window_known=True)))

    def restore_read(self, read: ReadEffects) -> None:
        """Go back to what a read did before."""
        self._configure(replace(self.config, read=read))

    def _configure(self, config: OpConfig) -> None:
        self.config = config
        self._texts = {"hardware": self.config.dumps(), "integer": integer_config(self.config).dumps()}

    @property
    def in_float(self) -> bool:
        """Whether the next forward pass is the plain torch operation."""
        return self._fidelity == "float"

    @property
    def as_proxy(self) -> bool:
        """Whether the next forward pass is ASiM's training form."""
        return self._fidelity == "proxy"

    def _scale(self, clip: Tensor | None) -> Tensor | None:
        """Return the scale of the streamed operand: what it is clipped at, or what calibration found."""
        return self.input_scale if clip is None else clip.detach()

    def _rounded(self, value: Tensor, role: Role, scale: Tensor | None = None) -> Tensor:
        operand = self.config.input if role == "input" else self.config.weight
        return fake_quantized(value, operand, site=self.config.site, role=role, scale=scale)

    def _trimmed(self, value: Tensor, rng: Tensor, call: int = 0) -> Tensor:
        return trimmed(value, self.trim_noise, rng, self.config.stream ^ call, additive=self.trim_additive)

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

    def _observe(self, streamed: Tensor, stored: Tensor, clip: Tensor | None = None) -> None:
        if self.observer is not None:
            self.observer(streamed, stored, None if clip is None else clip.detach())
