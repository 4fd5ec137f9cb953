"""What an engine must know about one operation, as one frozen value that a custom op can carry as a string."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

from asim_fx.encoding import CellLayout
from asim_fx.ir import BatchLayout, BitPlan
from asim_fx.ops.engines.choice import EngineChoice


@dataclass(frozen=True, slots=True)
class Operand:
    """How one operand becomes integer codes.

    Attributes:
        bits: bits of the code, sign included.
        signed: whether the top bit is a sign.
        scale: over what the largest magnitude is taken. ``tensor``: all of it; ``sample``: each sample of the batch;
            ``channel``: each output of a weight; ``static``: a calibrated number that the caller passes.
        layout: where the samples lie in the operand; None where they could not be followed.
    """

    bits: int
    signed: bool
    scale: Literal["tensor", "sample", "channel", "static"] = "tensor"
    layout: BatchLayout | None = None

    @property
    def levels(self) -> int:
        """Largest code, L."""
        magnitude_bits = self.bits - 1 if self.signed else self.bits
        return (1 << magnitude_bits) - 1


@dataclass(frozen=True, slots=True)
class ReadEffects:
    """Everything that happens between the cells and the code of one read.

    Attributes:
        rows: row parallelism: the full scale is ``rows`` times the largest value of the input plane.
        adc_bits: resolution; None is an ideal converter.
        random_percent_fs: standard deviation of the random noise, in % of full scale.
        nonlinear_percent_fs: ASiM's nonlinear noise, in % of full scale at an empty column.
        compression_per_mac: alpha of mac / (1 + alpha * mac).
        cell_variation_percent: standard deviation of a stored bit's strength, in % of a bit.
        cell_variation_redrawn: whether cell strengths are drawn at each forward pass rather than once per seed.
        cell_variation_proportional: whether that is in % of what the cell holds rather than of the most it can hold.
        parallel: whether one read takes the whole signed product rather than one bit plane each.
        subtracted: whether one read takes the difference of two columns.
        random_lsb_rms: standard deviation of the random noise, in steps of the converter.
        comparator_lsb_rms: noise of the converter's comparator, in its steps.
        bitline_gain: what the column does to the MAC value; below 1: attenuation.
        mean_mac: measured mean of the column at each MAC value, in MAC units; empty where nothing was measured.
        sigma_mac: measured standard deviation at each MAC value, in MAC units.
        window: lowest and highest MAC value of a one-bit plane that the converter tells apart; None: 0 and ``rows``. Of
            MAC values with a sign the lowest is 0, and the range goes as far below it as above.
        window_known: False where the window is still to be calibrated: nothing can be read before.
        adc_gain_percent: gain error of all converters.
        adc_offset_lsb: offset of all converters, in steps.
        thresholds_lsb: level of the step to code 1, 2, ... in units of an ideal step; empty: halfway between codes.
        dnl_sigma_lsb: standard deviation of the width of each step, drawn for the die.
        adc_gain_sigma_percent: standard deviation of the gain of each converter, drawn for the die.
        adc_offset_sigma_lsb: standard deviation of the offset of each converter, drawn for the die.
        columns_per_adc: columns that share a converter.
        capacitor_sigma_percent: standard deviation of each unit capacitor, in % of it.
        capacitors_redrawn: whether capacitors are drawn at each read rather than once for the die.
        stuck_at_0_percent: share of the cells that hold 0 whatever is written.
        stuck_at_1_percent: share of the cells that hold 1 whatever is written.
        digital_cycles: ``exact``: digital cells are integers. ``adc``: they pass the converter without noise, as in the
            published simulator.
    """

    rows: int
    adc_bits: int | None = None
    random_percent_fs: float = 0.0
    nonlinear_percent_fs: float = 0.0
    compression_per_mac: float = 0.0
    cell_variation_percent: float = 0.0
    cell_variation_redrawn: bool = False
    cell_variation_proportional: bool = False
    parallel: bool = False
    subtracted: bool = False
    random_lsb_rms: float = 0.0
    comparator_lsb_rms: float = 0.0
    bitline_gain: float = 1.0
    mean_mac: tuple[float, ...] = ()
    sigma_mac: tuple[float, ...] = ()
    window: tuple[float, float] | None = None
    window_known: bool = True
    adc_gain_percent: float = 0.0
    adc_offset_lsb: float = 0.0
    thresholds_lsb: tuple[float, ...] = ()
    dnl_sigma_lsb: float = 0.0
    adc_gain_sigma_percent: float = 0.0
    adc_offset_sigma_lsb: float = 0.0
    columns_per_adc: int = 1
    capacitor_sigma_percent: float = 0.0
    capacitors_redrawn: bool = False
    stuck_at_0_percent: float = 0.0
    stuck_at_1_percent: float = 0.0
    digital_cycles: Literal["exact", "adc"] = "exact"

    @property
    def signed(self) -> bool:
        """Whether MAC values have a sign, so that the converter's range is symmetric."""
        return self.parallel or self.subtracted

    @property
    def top_code(self) -> int:
        """Code of full scale; 1 for an ideal converter."""
        if self.adc_bits is None:
            return 1
        return (1 << (self.adc_bits - 1 if self.signed else self.adc_bits)) - 1

    def span(self, full_scale: int) -> float:
        """Return how many MAC units the converter tells apart, for reads of this full scale."""
        if self.window is None:
            return full_scale
        return (self.window[1] - self.window[0]) * (full_scale // self.rows)

    def lowest_mac(self, full_scale: int) -> float:
        """Return the MAC value of the converter's code 0, for reads of this full scale."""
        return 0.0 if self.window is None else self.window[0] * (full_scale // self.rows)


@dataclass(frozen=True, slots=True)
class OpConfig:
    """One simulated operation.

    Attributes:
        site: label of the site, for messages; its hash keys the noise.
        input: the streamed operand.
        weight: the stored operand.
        plan: reads of every cell.
        step: elements of the reduction that one row tile covers.
        read: what one read does.
        layout: where the samples lie in the result; None: noise is keyed by the flat index.
        array: what the cells belong to, the same for all calls of one weight; the site where empty.
        engine: what computes it; never changes a bit of the result.
        stored: how the codes of the stored operand lie in cells.
    """

    site: str
    input: Operand
    weight: Operand
    plan: BitPlan
    step: int
    read: ReadEffects
    layout: BatchLayout | None = None
    array: str = ""
    engine: EngineChoice = "auto"
    stored: CellLayout = field(default_factory=CellLayout)

    @property
    def cells(self) -> int:
        """32 bits that tell the cells of this weight from those of every other."""
        return zlib.crc32((self.array or self.site).encode())

    @property
    def stream(self) -> int:
        """32 bits that tell this site's noise from every other site's."""
        return zlib.crc32(self.site.encode())

    def dumps(self) -> str:
        """Return the canonical string of this value."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def _layout(data: dict[str, Any] | None) -> BatchLayout | None:
    return None if data is None else BatchLayout(**data)


def _operand(data: dict[str, Any]) -> Operand:
    return Operand(**{**data, "layout": _layout(data["layout"])})


def _read_effects(data: dict[str, Any]) -> ReadEffects:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return ReadEffects(**values)


@lru_cache(maxsize=4096)
def loads(text: str) -> OpConfig:
    """Return the value that ``OpConfig.dumps`` wrote."""
    data = json.loads(text)
    plan = data["plan"]
    return OpConfig(
        site=data["site"],
        input=_operand(data["input"]),
        weight=_operand(data["weight"]),
        plan=BitPlan(
            reads=tuple(map(tuple, plan["reads"])),
            input_widths=tuple(plan["input_widths"]),
            vote=plan["vote"],
            rows_per_digit=plan["rows_per_digit"],
        ),
        step=data["step"],
        read=_read_effects(data["read"]),
        layout=_layout(data["layout"]),
        array=data["array"],
        engine=data["engine"],
        stored=CellLayout(**data["stored"]),
    )
