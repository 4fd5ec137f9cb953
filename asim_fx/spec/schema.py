"""The hardware spec as typed values: what a YAML file may say, with units in the field names.

No torch here. Every model refuses unknown fields; every value is frozen, so that resolved settings
can be shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_serializer

from asim_fx.encoding import CellLayout, WeightEncoding
from asim_fx.spec.base import Extent, PositiveInt, SpecModel
from asim_fx.spec.calibration import Calibration
from asim_fx.spec.chip import Chip
from asim_fx.spec.chip_mapping import ChipMapping
from asim_fx.spec.circuits import Bitline, Capacitors, Cells, Differential, Window
from asim_fx.spec.macro_cost import MacroCost
from asim_fx.spec.measured import MeasuredFile
from asim_fx.spec.origin import SpecOrigin
from asim_fx.spec.selectors import check_name_selector, parse_condition

MacroName = Annotated[str, Field(pattern=r"^[^\s.]+$")]
Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
OpName = Literal["conv", "linear", "qk", "av", "matmul"]
ScaleMode = Literal["dynamic", "sample", "static"]
Signed = Literal["auto"] | bool  # not a Literal of booleans: that would take 1 for true


class Adc(SpecModel):
    """The converter at the end of a column."""

    bits: Annotated[int, Field(ge=1, le=24)] | Literal["ideal"] = Field(
        8, description="Resolution in bits, or `ideal`: no converter, the column's value as it is."
    )
    range: Literal["rows", "used", "window", "calibrated"] = Field(
        "rows",
        description="What the converter tells apart: `rows`: MAC values up to all `rows` times the largest input "
        "plane value, as in ASiM. `used`: up to the rows that the fullest row tile of the site uses. `window`: "
        "the limits that `window` gives. `calibrated`: limits chosen on data, for each site, as `window` says.",
    )
    window: Window = Field(default_factory=Window, description="Limits, or how they are chosen.")
    columns_per_adc: PositiveInt = Field(
        1, description="Columns that share a converter, and so its gain and offset; at most `columns`."
    )
    gain_error_percent: Annotated[float, Field(gt=-100, allow_inf_nan=False)] = Field(
        0.0, description="Gain error of all converters, in percent."
    )
    offset_lsb: Finite = Field(0.0, description="Offset of all converters, in steps (LSB), after the gain.")
    gain_sigma_percent: Percent = Field(
        0.0, description="Standard deviation of each converter's own gain, in percent; one draw for the die."
    )
    offset_sigma_lsb: Percent = Field(
        0.0, description="Standard deviation of each converter's own offset, in steps; one draw for the die."
    )
    comparator_noise_lsb_rms: Percent = Field(
        0.0, description="Noise of the comparator, in steps, drawn anew at each read."
    )
    dnl_sigma_lsb: Percent = Field(
        0.0,
        description="Standard deviation of the width of each step, in ideal steps; one draw for each site of the die.",
    )
    inl_polynomial_lsb: list[Finite] | None = Field(
        None,
        description="Integral nonlinearity as a polynomial, constant first: the step to code c is off by "
        "a0 + a1*x + a2*x^2 ... steps, x = c / (2^bits - 1).",
    )
    code_table: str | None = Field(
        None,
        description="Measured steps: a CSV file with the columns `code,threshold_lsb`, codes 1 to 2^bits - 1, the "
        "level of the step to each code in ideal steps (ideal: code - 0.5). The path is relative to this file.",
    )


class Noise(SpecModel):
    """What is drawn anew for each read."""

    random_percent_fs: Percent = Field(
        0.0, description="Standard deviation of the random (thermal) noise, in percent of full scale."
    )
    random_lsb_rms: Percent = Field(0.0, description="The same in steps of the converter (LSB), rms.")
    enob: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description="The same as effective number of bits of the converter: (4^(bits - enob) - 1) / 12 steps squared.",
    )
    sndr_db: Finite | None = Field(
        None, description="The same as signal to noise and distortion ratio: enob = (sndr_db - 1.76) / 6.02."
    )
    nonlinear_percent_fs: Percent = Field(
        0.0,
        description="ASiM's nonlinear noise, in percent of full scale at an empty column; falls with the "
        "square root of the MAC value. Charge domain only.",
    )


class Current(SpecModel):
    """What a current-domain column does to the MAC value."""

    compression_per_mac: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="alpha in mac / (1 + alpha * mac), per unit of MAC value."
    )
    cell_variation_percent: Percent = Field(
        0.0, description="Standard deviation of each cell's strength, in percent of the strongest."
    )
    cell_variation_law: Literal["independent", "proportional"] = Field(
        "independent",
        description="What that is a percentage of. `independent`: of the most that a cell can hold, in cells that hold "
        "0 too, as in ASiM. `proportional`: of what the cell holds, so that a 0 adds nothing.",
    )
    cell_variation: Literal["die", "redrawn"] = Field(
        "die",
        description="`die`: one draw for the chip, from the seed. `redrawn`: a new draw at each forward pass.",
    )


class Macro(SpecModel):
    """One compute-in-memory array with its ADCs."""

    rows: Extent = Field(255, description="Rows that add up on one column in one read.")
    columns: Extent = Field(
        256,
        description="Physical columns; an output takes one for each bit of its weights, unless `weight_encoding` and "
        "`cell_bits` say otherwise.",
    )
    adc: Adc = Field(default_factory=Adc, description="The converter.")
    noise: Noise = Field(default_factory=Noise, description="What is drawn anew for each read.")
    domain: Literal["charge", "current"] = Field("charge", description="What a column adds up.")
    current: Current = Field(default_factory=Current, description="Effects of `domain: current`.")
    bitline: Bitline = Field(default_factory=Bitline, description="What the column does to the MAC value.")
    capacitors: Capacitors = Field(default_factory=Capacitors, description="Unit capacitors of `domain: charge`.")
    cells: Cells = Field(default_factory=Cells, description="Faults of the cells.")
    weights: Literal["bit-planes", "parallel"] = Field(
        "bit-planes",
        description="`parallel`: one read takes the whole signed product of input and weight, instead of one "
        "bit plane each.",
    )
    weight_encoding: WeightEncoding = Field(
        "twos-complement",
        description="As what a weight w of b bits is stored. `twos-complement`: as its bits, the sign in a column of "
        "its own (ASiM). `offset`: as w + 2^(b-1), never negative; the sum of the inputs, times 2^(b-1), is subtracted "
        "digitally. `differential`: its positive and its negative part, b - 1 bits each, in columns of their own.",
    )
    cell_bits: Annotated[int, Field(ge=1, le=8)] = Field(
        1,
        description="Bits of the weight that one cell holds, and one read takes; the sign of `twos-complement` always "
        "has a cell of one bit.",
    )
    differential: Differential = Field(
        default_factory=Differential, description="The columns of `weight_encoding: differential`."
    )
    cost: MacroCost = Field(default_factory=MacroCost, description="What energy, latency and area follow from.")
    count: PositiveInt | Literal["unlimited"] = Field(
        "unlimited", description="How many of them the chip has; `unlimited`: every tile has one of its own."
    )

    @property
    def layout(self) -> CellLayout:
        """How stored codes lie in the cells."""
        return CellLayout(self.weight_encoding, self.cell_bits, self.differential.subtract)


class Hybrid(SpecModel):
    """Hybrid digital/analog partitioning (HCiM): the most significant cycles are computed exactly."""

    levels: Annotated[int, Field(ge=0)] = Field(0, description="Cycles with a level below this are digital.")


class Vote(SpecModel):
    """Majority voting: the most significant analog cycles are read several times."""

    levels: Annotated[int, Field(ge=0)] = Field(
        0, description="Cycles with a level below this, and not digital, are voted."
    )
    samples: PositiveInt = Field(1, description="Reads of a voted cycle.")
    how: Literal["mode", "median", "mean"] = Field(
        "mode",
        description="How the codes become one. `mode` (ASiM) has a bias that adds up over cycles and tiles; "
        "`median` is the lower middle of an even number; `mean` is not rounded.",
    )


class Settings(SpecModel):
    """What is decided for one site, apart from the macro. The fields of `defaults` and of a rule."""

    target: Literal["analog", "integer", "float"] = Field(
        "analog",
        description="`analog`: on a macro. `integer`: exact at the given bits. `float`: left as it is.",
    )
    weight_bits: Annotated[int, Field(ge=1, le=16)] = Field(8, description="Bits of the stored operand, sign included.")
    input_bits: Annotated[int, Field(ge=1, le=16)] = Field(
        8, description="Bits of the streamed operand, sign included."
    )
    input_encoding: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="Bits of the streamed operand that one read applies; 1 is bit-serial."
    )
    signed: Signed = Field("auto", description="Sign of the streamed operand; `auto`: unsigned where that is proven.")
    scale: ScaleMode = Field(
        "dynamic",
        description="`dynamic`: of the whole tensor at hand (ASiM). `sample`: per sample of the batch. "
        "`static`: calibrated.",
    )
    calibration: Calibration = Field(default_factory=Calibration, description="How `scale: static` is chosen on data.")
    weight_scale: Literal["tensor", "channel"] = Field(
        "tensor",
        description="Scale of the weights: one for the whole tensor (ASiM), or one for each output channel. Conv and "
        "linear only: what attention stores is an activation, and has one scale.",
    )
    hybrid: Hybrid = Field(default_factory=Hybrid, description="Digital part of the bit plan.")
    vote: Vote = Field(default_factory=Vote, description="Voted part of the bit plan.")


class SiteSettings(Settings):
    """Every field resolved for one site, the macro included.

    ``macro_name`` is empty, and ``macro`` means nothing, where a site that is not analog has no macro.
    """

    macro_name: str
    macro: Macro


class Defaults(Settings):
    """Settings of every site that no rule changes."""

    macro: str | None = Field(None, description="Name of the macro; may be left out where the spec has only one.")


class Where(SpecModel):
    """Numeric conditions on a site: a number, or a comparison such as `">=64"`. All must hold."""

    groups: int | str | None = Field(
        None, description="Independent matrices: groups of a conv, heads of an attention matmul."
    )
    kernel: int | str | None = Field(
        None,
        description="Window of a conv: `3` (in every dimension), `1x3`, or a comparison with every dimension.",
    )
    stride: int | str | None = Field(None, description="Stride of a conv, written as the kernel is.")
    k: int | str | None = Field(None, description="Length of the reduction, of one group.")
    n: int | str | None = Field(None, description="Outputs of one group.")
    macs: int | str | None = Field(None, description="Multiply-accumulates for one image, such as `>=1e6`.")
    depthwise: bool | None = Field(None, description="Whether it is a conv with one input channel for each group.")

    @field_validator("groups", "k", "n", "macs")
    @classmethod
    def _is_condition(cls, value: int | str | None) -> int | str | None:
        if value is not None:
            parse_condition(value)
        return value

    @field_validator("kernel", "stride")
    @classmethod
    def _is_window_condition(cls, value: int | str | None) -> int | str | None:
        if value is not None:
            parse_condition(value, window=True)
        return value


class Match(SpecModel):
    """Which sites a rule is about. All conditions must hold; none at all matches every site."""

    name: str | list[str] | None = Field(
        None,
        description="Glob on the qualified name, or a list of which one must match: `*` stays inside one "
        "dotted part, `**` crosses parts; `re:` starts a regular expression for the whole name; "
        "`@first_conv`, `@classifier`.",
    )
    op: OpName | list[OpName] | None = Field(None, description="Kind of the operation, or a list of kinds.")
    where: Where | None = Field(None, description="Numeric conditions.")

    @field_validator("name")
    @classmethod
    def _is_selector(cls, value: str | list[str] | None) -> str | list[str] | None:
        for selector in [value] if isinstance(value, str) else value or []:
            check_name_selector(selector)
        return value


class Rule(Settings):
    """Changes some settings of the sites it matches. Later rules override earlier ones field by field.

    A rule takes any field of `defaults`, whole or in part. What it does not mention stays as it was.
    """

    match: Match = Field(description="Which sites the rule is about.")
    why: str = Field("", description="Shown in the report beside what the rule decides.")
    optional: bool = Field(False, description="Whether the rule may match nothing.")
    macro: str | Macro | None = Field(
        None, description="Name of a macro, or fields to change in the one that the site has so far."
    )

    @property
    def settings(self) -> dict[str, Any]:
        """What the rule changes, as written: nested, and only the fields that it mentions.

        Ask this rather than the fields themselves, which show built-in values where the rule says nothing.
        """
        return {name: value for name, value in written_fields(self).items() if name not in {"match", "why", "optional"}}

    @model_serializer
    def _serialize(self) -> dict[str, Any]:
        # Writing a field that the rule does not mention would make the rule set it when it is read back.
        return written_fields(self)


class HardwareSpec(SpecModel):
    """The whole document."""

    version: Annotated[int, Field(ge=1, le=1)] = Field(description="Version of this format.")
    name: str = Field(description="Name of the chip, for reports.")
    description: str = Field("", description="One sentence about the chip.")
    chip: Chip | None = Field(None, description="The published chip that the spec describes, and its sources.")
    macros: dict[MacroName, Macro] = Field(description="The arrays of the chip, by name.")
    defaults: Defaults = Field(default_factory=Defaults, description="Settings of every site that no rule changes.")
    rules: list[Rule] = Field(
        default_factory=list, description="Ordered; later rules override earlier ones field by field."
    )
    mapping: ChipMapping = Field(
        default_factory=ChipMapping, description="How layers share the macros, for latency and throughput."
    )
    engine: Literal["auto", "torch", "cpu", "cuda"] = Field(
        "auto",
        description="What computes the simulation, never a bit of its result: torch runs everywhere, cpu is fast and "
        "needs numba, auto takes the fastest that the device has.",
    )
    _origin: SpecOrigin = PrivateAttr(default_factory=SpecOrigin)
    _files: Mapping[str, MeasuredFile] = PrivateAttr(default_factory=dict)

    @property
    def origin(self) -> SpecOrigin:
        """Where the spec came from: its file, the verbatim text and the line of every field."""
        return self._origin

    def with_origin(self, origin: SpecOrigin) -> HardwareSpec:
        """Return the same spec with another origin."""
        copy = self.model_copy()
        copy._origin = origin
        return copy

    @property
    def files(self) -> Mapping[str, MeasuredFile]:
        """The measured files that the spec names, by the path as it is written."""
        return self._files

    def with_files(self, files: Mapping[str, MeasuredFile]) -> HardwareSpec:
        """Return the same spec with its measured files read."""
        copy = self.model_copy()
        copy._files = files
        return copy


def written_fields(model: BaseModel) -> dict[str, Any]:
    """Return the fields that were given when a part of a spec was made, nested, as plain values."""
    given = {name: getattr(model, name) for name in type(model).model_fields if name in model.model_fields_set}
    return {name: _plain(value) for name, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return written_fields(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
