"""The hardware spec as typed values: what a YAML file may say, with units in the field names.

No torch here. Every model refuses unknown fields; every value is frozen, so that a resolved setting can be shared.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OpName = Literal["conv", "linear", "qk", "av", "matmul"]
ScaleMode = Literal["dynamic", "sample", "static"]
Signed = Literal["auto", True, False]


class SpecModel(BaseModel):
    """Base of all parts of a spec: frozen, strict about types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Adc(SpecModel):
    """The converter at the end of a column."""

    bits: Annotated[int, Field(ge=1, le=24)] | Literal["ideal"] = Field(
        8, description="Resolution in bits, or `ideal`: no converter, the column's value as it is."
    )
    range: Literal["rows"] = Field(
        "rows", description="Full scale of the converter: `rows` times the largest input plane value, as in ASiM."
    )


class Noise(SpecModel):
    """What is drawn anew for each read."""

    random_percent_fs: Percent = Field(
        0.0, description="Standard deviation of the random (thermal) noise, in percent of full scale."
    )
    nonlinear_percent_fs: Percent = Field(
        0.0,
        description="ASiM's nonlinear noise, in percent of full scale at an empty column; falls with the square root of "
        "the MAC value. Charge domain only.",
    )


class Current(SpecModel):
    """What a current-domain column does to the MAC value."""

    compression_per_mac: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="alpha in mac / (1 + alpha * mac), per unit of MAC value."
    )
    cell_variation_percent: Percent = Field(
        0.0, description="Standard deviation of each stored bit's strength, in percent of a bit."
    )
    cell_variation: Literal["die", "redrawn"] = Field(
        "die", description="`die`: one draw for the chip, from the seed. `redrawn`: a new draw at each forward pass."
    )


class Macro(SpecModel):
    """One compute-in-memory array with its ADCs."""

    rows: PositiveInt = Field(255, description="Rows that add up on one column in one read.")
    columns: PositiveInt = Field(256, description="Physical columns; an output takes `weight_bits` of them.")
    adc: Adc = Field(default_factory=Adc, description="The converter.")
    noise: Noise = Field(default_factory=Noise, description="What is drawn anew for each read.")
    domain: Literal["charge", "current"] = Field("charge", description="What a column adds up.")
    current: Current = Field(default_factory=Current, description="Effects of `domain: current`.")
    weights: Literal["bit-planes", "parallel"] = Field(
        "bit-planes",
        description="`parallel`: one read takes the whole signed product of input and weight, instead of one bit plane each.",
    )


class Hybrid(SpecModel):
    """Hybrid digital/analog partitioning (HCiM): the most significant cycles are computed exactly."""

    levels: Annotated[int, Field(ge=0)] = Field(0, description="Cycles with a level below this are digital.")


class Vote(SpecModel):
    """Majority voting: the most significant analog cycles are read several times."""

    levels: Annotated[int, Field(ge=0)] = Field(0, description="Cycles with a level below this, and not digital, are voted.")
    samples: PositiveInt = Field(1, description="Reads of a voted cycle.")
    how: Literal["mode", "median", "mean"] = Field(
        "mode",
        description="How the codes become one. `mode` (ASiM) has a bias that adds up over cycles and tiles; `median` is the "
        "lower middle of an even number; `mean` is not rounded.",
    )


class Settings(SpecModel):
    """What is decided for one site, apart from the macro. The fields of `defaults` and of a rule."""

    target: Literal["analog", "integer", "float"] = Field(
        "analog", description="`analog`: on a macro. `integer`: exact at the given bits. `float`: left as it is."
    )
    weight_bits: Annotated[int, Field(ge=1, le=16)] = Field(8, description="Bits of the stored operand, sign included.")
    input_bits: Annotated[int, Field(ge=1, le=16)] = Field(8, description="Bits of the streamed operand, sign included.")
    input_encoding: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="Bits of the streamed operand that one read applies; 1 is bit-serial."
    )
    signed: Signed = Field("auto", description="Sign of the streamed operand; `auto`: unsigned where that is proven.")
    scale: ScaleMode = Field(
        "dynamic",
        description="`dynamic`: of the whole tensor at hand (ASiM). `sample`: per sample of the batch. `static`: calibrated.",
    )
    hybrid: Hybrid = Field(default_factory=Hybrid, description="Digital part of the bit plan.")
    vote: Vote = Field(default_factory=Vote, description="Voted part of the bit plan.")


class SiteSettings(Settings):
    """Every field resolved for one site, the macro included."""

    macro_name: str
    macro: Macro


class Defaults(Settings):
    """Settings of every site that no rule changes."""

    macro: str | None = Field(None, description="Name of the macro; may be left out where the spec has only one.")


class Where(SpecModel):
    """Numeric conditions: a number, or a comparison such as `">=64"`. A kernel is a number or `3x3`."""

    groups: int | str | None = None
    kernel: int | str | None = None
    stride: int | str | None = None
    k: int | str | None = None
    n: int | str | None = None
    macs: int | str | None = None
    depthwise: bool | None = None


class Match(SpecModel):
    """Which sites a rule is about. All conditions must hold."""

    name: str | list[str] | None = Field(
        None,
        description="Glob on the qualified name: `*` stays inside one dotted part, `**` crosses parts; `re:` starts a regular "
        "expression for the whole name; `@first_conv`, `@classifier`.",
    )
    op: OpName | list[OpName] | None = Field(None, description="Kind of the operation.")
    where: Where | None = Field(None, description="Numeric conditions.")


class Rule(SpecModel):
    """Changes some settings of the sites it matches. Later rules override earlier ones field by field.

    Beside the fields below, a rule takes any field of `defaults`; `macro` is a name, or fields to change in the macro.
    """

    match: Match
    why: str = Field("", description="Shown in the report beside what the rule decides.")
    optional: bool = Field(False, description="Whether the rule may match nothing.")
    settings: dict[str, Any] = Field(default_factory=dict, exclude=True)


class HardwareSpec(SpecModel):
    """The whole document."""

    version: Literal[1]
    name: str
    description: str = ""
    macros: dict[str, Macro]
    defaults: Defaults = Field(default_factory=Defaults)
    rules: list[Rule] = Field(default_factory=list)
