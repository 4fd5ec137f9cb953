"""The report as values: one frozen record for each site, and totals. Knows no graph and no tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ReportRow:
    """How one site was mapped. All counts are for one image.

    Attributes:
        name: qualified name.
        kind: conv, linear, qk, av or matmul.
        op: the torch operation.
        calls: how often the model calls it for one image.
        input_shape: of the streamed operand; None is the batch.
        weight_shape: of the stored operand.
        output_shape: of the result.
        k: length of the reduction, of one group.
        n: outputs of one group.
        groups: independent matrices.
        vectors: streamed vectors of each group, over all calls.
        macs: multiply-accumulates, over all calls.
        geometry: of a convolution, in words, or the empty string.
        weights: stored weights, counted once however often it is called; None where the stored operand is an
            activation.
        target: analog, integer or float.
        reason: why it is not analog, or the empty string.
        decided_by: the rule and line that set the target, or ``defaults``.
        why: the rule's own words, or the empty string.
        signed: whether the streamed operand is signed.
        signed_because: why.
        weight_signed: whether the stored operand is signed.
        weight_bits: bits of the stored operand, None where it stays float; so the next ones.
        input_bits: bits of the streamed operand.
        input_encoding: bits of the streamed operand that one read applies.
        scale: dynamic, sample or static.
        macro: name of the macro; None where not analog; so the next ones.
        rows: rows of the array.
        columns: columns of the array.
        adc_bits: resolution, ``ideal``, or None.
        row_tiles: tiles along the reduction.
        column_tiles: arrays side by side.
        utilisation: share of the arrays' cells that hold a weight bit, 0..1.
        cycles: cells of the bit plan: stored planes x streamed planes.
        cells_digital: of these, computed exactly.
        cells_voted: of these, read several times.
        cells_analog: of these, read once.
        vote: how votes are counted, or the empty string where nothing is voted.
        reads_per_cell: the bit plan: reads of each cell, [stored plane][streamed plane], LSB first.
        reads: ADC conversions, over all calls; 0 where not analog.
        settings: dotted field of the spec -> the value resolved for this site; empty where it stays float.
        provenance: dotted field -> where its value came from.
        notes: what else must be said (``patch split``, ``batch-dependent``).
    """

    name: str
    kind: str
    op: str
    calls: int
    input_shape: Shape
    weight_shape: Shape
    output_shape: Shape
    k: int
    n: int
    groups: int
    vectors: int
    macs: int
    target: str
    geometry: str = ""
    weights: int | None = None
    reason: str = ""
    decided_by: str = ""
    why: str = ""
    signed: bool | None = None
    signed_because: str = ""
    weight_signed: bool | None = None
    weight_bits: int | None = None
    input_bits: int | None = None
    input_encoding: int | None = None
    scale: str | None = None
    macro: str | None = None
    rows: int | None = None
    columns: int | None = None
    adc_bits: int | str | None = None
    row_tiles: int | None = None
    column_tiles: int | None = None
    utilisation: float | None = None
    cycles: int | None = None
    cells_digital: int | None = None
    cells_voted: int | None = None
    cells_analog: int | None = None
    vote: str = ""
    reads_per_cell: tuple[tuple[int, ...], ...] | None = None
    reads: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnmappedRow:
    """Something that multiplies and is no analog site: a float or integer site, a folded product, a module in no graph.

    Attributes:
        name: qualified name.
        kind: kind of the site, or ``constant``; ``module`` for what is in no graph.
        macs: multiply-accumulates for one image.
        share: of all MACs of the model, 0..1.
        reason: why it is not analog.
    """

    name: str
    kind: str
    macs: int
    share: float
    reason: str


@dataclass(frozen=True, slots=True)
class DataflowNode:
    """One box of the dataflow drawing: a site, or a run of other operations between sites.

    Attributes:
        id: unique number.
        label: what to write in it.
        kind: kind of the site; ``input``, ``output`` or ``other``.
        target: analog, integer, float, or the empty string.
        macs: for one image.
        site: name of the report row, or the empty string.
    """

    id: int
    label: str
    kind: str
    target: str = ""
    macs: int = 0
    site: str = ""


@dataclass(frozen=True, slots=True)
class Dataflow:
    """The model as boxes and arrows between their ids."""

    nodes: tuple[DataflowNode, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class MappingReport:
    """How a model was mapped onto a spec.

    Attributes:
        model: name of the model.
        spec: name of the spec.
        rows: one record for each site, in graph order.
        totals: counts for one image. ``macs`` is everything that the eager model dispatches, products folded
            while compiling included = macs_analog + macs_integer + macs_float + macs_constant; macs_digital =
            macs - macs_analog; analog_share = macs_analog / macs, None for a model without MACs; sites,
            sites_analog, sites_integer, sites_float (rows of this report); reads (ADC conversions);
            cells_analog, cells_voted, cells_digital (sums over the bit plans of the analog rows); parameters
            (of the model).
        unmapped: what is not analog, largest first.
        notes: (module, text) pairs that concern more than one site.
        dataflow: the drawing.
        verification: what was checked of the capture, in words.
        versions: package -> version that made this.
        engine: what computes the simulation on the CPU, and why.
    """

    model: str
    spec: str
    rows: tuple[ReportRow, ...]
    totals: Mapping[str, Any]
    unmapped: tuple[UnmappedRow, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    dataflow: Dataflow = field(default_factory=Dataflow)
    verification: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""
