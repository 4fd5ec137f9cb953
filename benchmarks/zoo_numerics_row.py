"""One row of the numerics survey: a model converted, and how far it is from fake-quantised torch."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import asim_fx
from benchmarks.fake_quantised import agreement
from benchmarks.zoo_cases import CASES, build_case, random_images

BATCHES = (1, 3)
SITE_TOLERANCE = 1e-6
"""Of a site's largest result: what float32 can tell apart, and some."""
GRAPH_TOLERANCE = 1e-3
"""Of a graph's largest result: folding batch norm reassociates float32 products, and deep networks amplify that."""
OUTPUT_TOLERANCE = 0.1
"""Of the largest output: a rounding difference in one layer flips a few codes in the next, and so on."""


@dataclass(frozen=True, slots=True)
class NumericsRow:
    """How far one model is from the reference. Differences are the largest, as a share of the largest value.

    Attributes:
        name: as ``asim-convert`` takes it.
        pixels: width and height of its images.
        sites: rows of the report.
        sites_analog: of them, those on arrays.
        site_difference: batch size -> between a site and fake-quantised torch on the same operands.
        worst_site: batch size -> where that is.
        graph_difference: batch size -> between the graphs in float and the modules that they replace.
        output_difference: batch size -> between the outputs of the converted and of the fake-quantised model; empty
            for a model in parts.
        seconds: to build, convert and compare.
        error: the first line of what went wrong.
    """

    name: str
    pixels: int = 0
    sites: int = 0
    sites_analog: int = 0
    site_difference: dict[str, float] | None = None
    worst_site: dict[str, str] | None = None
    graph_difference: dict[str, float] | None = None
    output_difference: dict[str, float] | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every site runs on arrays, those aside that cannot, and every difference is small."""
        limits = (
            (self.site_difference, SITE_TOLERANCE),
            (self.graph_difference, GRAPH_TOLERANCE),
            (self.output_difference, OUTPUT_TOLERANCE),
        )
        small = all(one <= limit for found, limit in limits for one in (found or {}).values())
        return not self.error and small and 0 < self.sites == self.sites_analog + CASES[self.name].mixing


def measure(name: str) -> NumericsRow:
    """Convert one model and compare it, in this process."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    model = build_case(name)
    converted = asim_fx.convert(model, "ideal", random_images(name, 2), name=name)
    found = {str(batch): agreement(model, converted, random_images(name, batch)) for batch in BATCHES}
    totals = converted.report.totals
    return NumericsRow(
        name=name,
        pixels=CASES[name].shape[-1],
        sites=totals["sites"],
        sites_analog=totals["sites_analog"],
        site_difference={batch: one.sites for batch, one in found.items()},
        worst_site={batch: one.worst_site for batch, one in found.items()},
        graph_difference={batch: one.graphs for batch, one in found.items()},
        output_difference={batch: one.outputs for batch, one in found.items() if one.outputs is not None},
        seconds=round(time.perf_counter() - start, 2),
    )
