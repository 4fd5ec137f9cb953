"""What energy, latency and area of a macro follow from: technology, circuit, and what was measured on silicon."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from asim_fx.spec.base import Extent, Known, Positive, PositiveInt, SpecModel, known

UNKNOWN: Literal["unknown"] = "unknown"
BitsPerRead = Annotated[int, Field(ge=1, le=16)]


class OperatingPoint(SpecModel):
    """What was measured on silicon at one supply. It holds for exactly these rows and bits, and no others."""

    supply_v: Positive = Field(description="Supply voltage.")
    rows: Extent = Field(description="Rows that add up on one column in one read.")
    adc_bits: Annotated[int, Field(ge=1, le=24)] = Field(description="Resolution of the converter.")
    input_bits_per_read: BitsPerRead = Field(1, description="Bits of the input that one read applies.")
    weight_bits_per_read: BitsPerRead = Field(1, description="Bits of the weight that one read takes.")
    energy_fj_per_read: Known = Field(
        UNKNOWN, description="Energy of one conversion of one column: converter, array and drivers together."
    )
    adc_energy_fj_per_read: Known = Field(UNKNOWN, description="The converter's part of it.")
    read_ns: Known = Field(UNKNOWN, description="Time of one read of all converters.")
    tops_per_w: Known = Field(UNKNOWN, description="Published efficiency of the bank; a MAC is two operations.")
    tops_per_w_input_bits: BitsPerRead = Field(1, description="Bits of the input that `tops_per_w` is quoted for.")
    tops_per_w_weight_bits: BitsPerRead = Field(1, description="Bits of the weight that `tops_per_w` is quoted for.")
    source: str = Field(description="Where these figures were published.")

    @model_validator(mode="after")
    def _adc_is_a_part(self) -> OperatingPoint:
        adc, whole = known(self.adc_energy_fj_per_read), known(self.energy_fj_per_read)
        if adc is not None and whole is not None and adc > whole:
            message = (
                f"`adc_energy_fj_per_read: {adc:g}` is a part of `energy_fj_per_read: {whole:g}` and cannot be larger"
            )
            raise ValueError(message)
        return self


class MacroCost(SpecModel):
    """What energy, latency and area follow from. What is `unknown` makes the figures that need it unknown."""

    model: Literal["auto", "measured", "uiuc", "accelergy"] = Field(
        "auto",
        description="Energy of a read. `measured`: the operating point that fits. `uiuc`: a fit to published macros. "
        "`accelergy`: its ADC model, and the array of the fit. `auto`: measured where a point fits, else the fit.",
    )
    circuit: Literal["auto", "charge-redistribution", "charge-summing", "current"] = Field(
        "auto", description="How a column adds up. `auto`: charge redistribution, or current, as `domain` says."
    )
    node_nm: Known = Field(UNKNOWN, description="Technology node.")
    supply_v: Known = Field(UNKNOWN, description="Supply voltage.")
    columns_per_adc: PositiveInt | Literal["adc"] = Field(
        "adc",
        description="Physical columns that share one converter, one after another; `adc`: as `adc.columns_per_adc` "
        "says.",
    )
    cell_rows: Extent | Literal["unknown"] = Field(
        UNKNOWN, description="Rows of cells in the array, of which `rows` are read at once; where unknown, `rows`."
    )
    read_ns: Known = Field(
        UNKNOWN, description="Time of one read; where unknown, that of the operating point, else ZigZag-IMC's formula."
    )
    row_write_ns: Known = Field(UNKNOWN, description="Time to write one row; where unknown, that of one read.")
    macro_area_mm2: Known = Field(UNKNOWN, description="Area of the whole macro.")
    cell_area_um2: Known = Field(UNKNOWN, description="Area of one cell; the macro's area follows from it.")
    measured: list[OperatingPoint] = Field(default_factory=list, description="What was measured on silicon.")
