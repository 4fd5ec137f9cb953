"""One row of the survey: a model planned, and what became of its multiply-accumulates."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZooRow:
    """What planning one model gave.

    Attributes:
        name: as ``asim-convert`` takes it.
        captured: ``whole`` or in how many parts; empty where it failed.
        device: ``cpu``: values compared at two batch sizes; ``meta``: shapes and MACs alone.
        nodes: of the graph that was planned.
        sites: rows of the report.
        macs: for one image, in the report.
        macs_constant: of ``macs``, what is computed once while compiling.
        macs_dispatched: for one image, by eager execution.
        analog_share: of ``macs``; None for a model without any.
        unmapped: reason -> MACs of what is not analog.
        seconds: building included.
        peak_mb: most memory that was resident.
        error: the first line of what went wrong.
    """

    name: str
    captured: str = ""
    device: str = ""
    nodes: int = 0
    sites: int = 0
    macs: int = 0
    macs_constant: int = 0
    macs_dispatched: int = 0
    analog_share: float | None = None
    unmapped: dict[str, int] | None = None
    seconds: float = 0.0
    peak_mb: int = 0
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether the report holds exactly what eager execution dispatches."""
        return not self.error and self.macs == self.macs_dispatched


def failed(name: str, seconds: float, error: str) -> ZooRow:
    """Return the row of a model that could not be planned."""
    return ZooRow(name, seconds=round(seconds, 2), error=error)


def peak_mb() -> int:
    """Return the most memory that this process held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(name: str, spec: str) -> ZooRow:
    """Plan one model in this process."""
    from asim_fx.cli.work.planning import ConversionOptions, ModelOptions, plan_model

    start = time.perf_counter()
    planned = plan_model(name, spec, ModelOptions(), ConversionOptions(), lambda _: None)
    seconds = time.perf_counter() - start
    report = planned.report
    macs, constant = report.totals["macs"], report.totals["macs_constant"]
    unmapped: dict[str, int] = {}
    for row in report.unmapped:
        unmapped[row.reason] = unmapped.get(row.reason, 0) + row.macs
    return ZooRow(
        name=name,
        captured="whole" if planned.is_whole else f"{len(planned.parts)} parts",
        device="meta" if "meta device" in report.verification else "cpu",
        nodes=sum(len(part.graph_module.graph.nodes) for part in planned.parts),
        sites=report.totals["sites"],
        macs=macs,
        macs_constant=constant,
        macs_dispatched=planned.macs,
        analog_share=report.totals["analog_share"],
        unmapped=unmapped,
        seconds=round(seconds, 2),
        peak_mb=peak_mb(),
    )
