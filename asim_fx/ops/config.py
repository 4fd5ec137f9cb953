"""What an engine must know about one operation, as one frozen value that a custom op can carry as a string."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from asim_fx.ir import BatchLayout, BitPlan
from asim_fx.ops.engines.choice import EngineChoice


@dataclass(frozen=True, slots=True)
class Operand:
    """How one operand becomes integer codes.

    Attributes:
        bits: bits of the code, sign included.
        signed: whether the top bit is a sign.
        scale: over what the largest magnitude is taken. ``tensor``: all of it; ``sample``: each sample of the batch;
            ``static``: a calibrated number that the caller passes.
        layout: where the samples lie in the operand; None where they could not be followed.
    """

    bits: int
    signed: bool
    scale: Literal["tensor", "sample", "static"] = "tensor"
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
        parallel: whether one read takes the whole signed product rather than one bit plane each.
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
    parallel: bool = False
    digital_cycles: Literal["exact", "adc"] = "exact"


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
            reads=tuple(map(tuple, plan["reads"])), input_widths=tuple(plan["input_widths"]), vote=plan["vote"]
        ),
        step=data["step"],
        read=ReadEffects(**data["read"]),
        layout=_layout(data["layout"]),
        array=data["array"],
        engine=data["engine"],
    )
