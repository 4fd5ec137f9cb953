"""The report as values: one frozen record for each site, and totals. Knows no graph and no tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asim_fx.mapping.schedule import Schedule

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
        utilisation: share of the arrays' cells that hold part of a weight, 0..1.
        columns_per_output: physical columns that one output takes.
        cycles: cells of the bit plan: stored planes x streamed planes.
        cells_digital: of these, computed exactly.
        cells_voted: of these, read several times.
        cells_analog: of these, read once.
        vote: how votes are counted, or the empty string where nothing is voted.
        reads_per_cell: the bit plan: reads of each cell, [stored plane][streamed plane], LSB first.
        reads: ADC conversions, over all calls; 0 where not analog.
        energy_j: energy over all calls; None where a part of it is unknown, or the site is not on the chip.
        energy_low_j: lower end of the band of the models that made it.
        energy_high_j: upper end.
        energy_parts_j: part (column, adc, array, accumulation, digital, loading) -> its energy, None where unknown.
        tops_per_w: two operations for each MAC, by energy, at the site's own bits.
        setup_energy_j: energy of writing weights that then stay, once.
        latency_s: time over all calls; None where unknown, and for what is computed in digital logic.
        latency_low_s: lower end of its band.
        latency_high_s: upper end.
        arrays: arrays that hold the site; None where not analog.
        area_mm2: area of these arrays.
        adc_area_mm2: area of their converters.
        cost_models: part of the energy, ``latency``, ``area``, ``adc_area`` or ``setup`` -> the model that made it and
            its band, or what is missing.
        static_scale: calibrated scale of the streamed operand, the real value of its largest code; None where it has
            none, or was not calibrated; so the next ones.
        clipped: share of the streamed values met in calibration that it clips, 0..1.
        stored_scale: calibrated scale of the stored operand, where that is an activation.
        stored_clipped: share of the stored values that it clips.
        window_low_mac: MAC value of a one-bit input plane at code 0, where the converter's window was calibrated.
        window_high_mac: MAC value at the top code.
        window_clipped: share of the MAC values met in calibration outside the window.
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
    columns_per_output: int | None = None
    cycles: int | None = None
    cells_digital: int | None = None
    cells_voted: int | None = None
    cells_analog: int | None = None
    vote: str = ""
    reads_per_cell: tuple[tuple[int, ...], ...] | None = None
    reads: int = 0
    energy_j: float | None = None
    energy_low_j: float | None = None
    energy_high_j: float | None = None
    energy_parts_j: Mapping[str, float | None] = field(default_factory=dict)
    tops_per_w: float | None = None
    setup_energy_j: float | None = None
    latency_s: float | None = None
    latency_low_s: float | None = None
    latency_high_s: float | None = None
    arrays: int | None = None
    area_mm2: float | None = None
    adc_area_mm2: float | None = None
    cost_models: Mapping[str, str] = field(default_factory=dict)
    static_scale: float | None = None
    clipped: float | None = None
    stored_scale: float | None = None
    stored_clipped: float | None = None
    window_low_mac: float | None = None
    window_high_mac: float | None = None
    window_clipped: float | None = None
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
        elements: of its result, for one image; None where not known.
    """

    id: int
    label: str
    kind: str
    target: str = ""
    macs: int = 0
    site: str = ""
    elements: int | None = None


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
            (of the model). Cost: energy_j, energy_low_j, energy_high_j and energy_PART_j are sums over the analog and
            the integer rows, arrays, area_mm2, adc_area_mm2 and setup_energy_j over the analog rows; None where a row
            is unknown. sites_without_energy are the rows that energy_j lacks or does not know. Of the schedule, see
            there: latency_s (with low and high), sequential_s, interval_s, images_per_s, mj_per_image (energy_j and
            energy_reload_j), tops_per_w (2 x MACs of the analog and integer rows / energy of an image), macros_used,
            macros_needed (one copy of all), rounds, reloads, activation_loads, mean_utilisation,
            pipelined_utilisation, buffer_kib; None where not known.
        unmapped: what is not analog, largest first.
        notes: (module, text) pairs that concern more than one site.
        dataflow: the drawing.
        verification: what was checked of the capture, in words.
        versions: package -> version that made this.
        engine: what computes the simulation on the CPU, and why.
        schedule: when each site works on which macros.
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
    schedule: Schedule = field(default_factory=Schedule)
