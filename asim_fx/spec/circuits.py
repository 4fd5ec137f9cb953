"""Parts of a macro's circuit that are not ideal: the bitline, the capacitors, the cells, the range of the converter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from asim_fx.spec.base import SpecModel

Share = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Window(SpecModel):
    """What a converter tells apart, as MAC values of a one-bit input plane and one-bit cells: rows that conduct.

    A plane of k bits has 2^k - 1 times these values: the voltages are the same. So have cells of k bits. Where one read
    takes the difference of two columns, the range goes as far below 0 as above. Limits are for
    `range: window`; method and percentile for `range: calibrated`.
    """

    low_mac: NotNegative = Field(0.0, description="MAC value of code 0.")
    high_mac: Positive | None = Field(None, description="MAC value of the top code; at most `rows`.")
    method: Literal["percentile", "mse", "csnr"] = Field(
        "csnr",
        description="`percentile`: what holds the middle `percentile` of the MAC values. `mse`: least squared error of "
        "clipping and rounding. `csnr`: largest compute SNR: the noise of the macro counts too, and each read by its "
        "place value.",
    )
    percentile: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = Field(
        99.9, description="Of the MAC values, for `method: percentile`."
    )


class Bitline(SpecModel):
    """What the column does to the MAC value, before any noise."""

    gain: Positive = Field(
        1.0, description="Gain; below 1: attenuation by parasitic capacitance, N*C / (N*C + C_parasitic)."
    )
    statistics: str | None = Field(
        None,
        description="Measured mean and spread: a CSV file with the columns `mac,mean,sigma`, in MAC units, one line "
        "for each MAC value from 0 to the full scale of the widest input plane and cell. The path is relative to this "
        "file.",
    )


class Capacitors(SpecModel):
    """Mismatch of the unit capacitors of a charge-domain column."""

    unit_ff: Positive | None = Field(
        None, description="Unit capacitor in fF; its mismatch is 0.664 % / sqrt(unit_ff) (28 nm)."
    )
    mismatch_percent: NotNegative = Field(
        0.0, description="Standard deviation of a unit capacitor in percent, where it is known."
    )
    mismatch: Literal["die", "redrawn"] = Field(
        "die",
        description="`die`: one draw for the chip, from the seed. `redrawn`: a new draw at each read, with the same "
        "variance; for one-bit input planes and cells.",
    )


class Cells(SpecModel):
    """Faults of the cells, drawn for the die. A stuck cell is wrong in digital cycles too."""

    stuck_at_0_percent: Share = Field(0.0, description="Cells that hold 0 whatever is written, in percent.")
    stuck_at_1_percent: Share = Field(
        0.0,
        description="Cells that hold 1, or with `cell_bits` the most they can, whatever is written, in percent.",
    )


class Differential(SpecModel):
    """The two columns of `weight_encoding: differential`."""

    subtract: Literal["digital", "analog"] = Field(
        "digital",
        description="Where the negative column is taken from the positive one. `digital`: both are converted, and "
        "their codes subtracted. `analog`: their difference is converted once, in a range that is symmetric.",
    )
