"""How static scales are chosen on data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from asim_fx.spec.base import SpecModel

MOST_BITS_WITH_KL = 10
"""Input bits up to which a histogram of activations has several bins for each code."""


class Calibration(SpecModel):
    """How `scale: static` is chosen from the activations that a site meets in calibration."""

    method: Literal["max", "percentile", "mse", "kl"] = Field(
        "max",
        description="`max`: the largest magnitude, nothing is clipped. `percentile`: what holds `percentile` of the "
        "values. `mse`: least squared error of clipping and rounding. `kl`: least Kullback-Leibler divergence between "
        "the histograms before and after (as TensorRT does).",
    )
    percentile: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = Field(
        99.9, description="Of the magnitudes, for `method: percentile`."
    )
