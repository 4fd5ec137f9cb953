"""What calibration decided for each site, as values that an artifact keeps and a report shows. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from asim_fx.errors import ArtifactError
from asim_fx.report.fidelity import INFINITE
from asim_fx.report.rows import MappingReport, ReportRow


@dataclass(frozen=True, slots=True)
class ScaleChoice:
    """The static scale of one operand.

    Attributes:
        method: max, percentile, mse or kl.
        percentile: of the magnitudes, for that method; None for the others.
        scale: real value of the largest code.
        clipped: share of the values met in calibration that lie beyond it, or below 0 where the operand is unsigned.
        values: how many values that were.
        constant: whether they were all alike.
    """

    method: str
    percentile: float | None
    scale: float
    clipped: float
    values: int
    constant: bool = False


@dataclass(frozen=True, slots=True)
class WindowChoice:
    """The window of a site's converters.

    Attributes:
        method: percentile, mse or csnr.
        percentile: of the MAC values, for that method; None for the others.
        low_mac: MAC value of code 0, of a one-bit input plane.
        high_mac: MAC value of the top code.
        clipped: share of the MAC values met in calibration that lie outside.
        csnr_db: compute SNR of the reads that the window should give, infinite where they are exact; None without
            signal.
        full_range_csnr_db: the same without a window.
        values: how many MAC values were met.
        constant: whether they were all alike.
    """

    method: str
    percentile: float | None
    low_mac: float
    high_mac: float
    clipped: float
    csnr_db: float | None
    full_range_csnr_db: float | None
    values: int
    constant: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationImages:
    """What a model was calibrated on.

    Attributes:
        source: what the images are, in words.
        split: their part of the data.
        asked: how many were asked for.
        count: how many there were.
    """

    source: str
    split: str
    asked: int
    count: int


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """What was decided for one site; None for what needed no calibration.

    Attributes:
        input: scale of the streamed operand.
        weight: scale of the stored operand, where that is an activation.
        window: of the converters.
    """

    input: ScaleChoice | None = None
    weight: ScaleChoice | None = None
    window: WindowChoice | None = None


_RATIOS = ("csnr_db", "full_range_csnr_db")

Calibrations = Mapping[str, SiteCalibration]
"""By the label of the site."""


def with_calibration(report: MappingReport, found: Calibrations) -> MappingReport:
    """Return a report that shows what calibration decided; of a site that is called several times, the first call's."""
    rows = tuple(_calibrated(row, found[row.name]) if row.name in found else row for row in report.rows)
    return replace(report, rows=rows)


def _calibrated(row: ReportRow, site: SiteCalibration) -> ReportRow:
    return replace(
        row,
        static_scale=None if site.input is None else site.input.scale,
        clipped=None if site.input is None else site.input.clipped,
        stored_scale=None if site.weight is None else site.weight.scale,
        stored_clipped=None if site.weight is None else site.weight.clipped,
        window_low_mac=None if site.window is None else site.window.low_mac,
        window_high_mac=None if site.window is None else site.window.high_mac,
        window_clipped=None if site.window is None else site.window.clipped,
    )


def to_json(found: Calibrations, images: CalibrationImages | None = None) -> str:
    """Return the choices, and what they were made on where it is known, as JSON text.

    Numbers keep every bit, and what is infinite is the word ``inf``.
    """
    sites = {name: asdict(site) for name, site in found.items()}
    for site in sites.values():
        if site["window"]:
            site["window"] |= {name: INFINITE for name in _RATIOS if site["window"][name] == math.inf}
    record = {"sites": sites} if images is None else {"images": asdict(images), "sites": sites}
    return json.dumps(record, indent=2, allow_nan=False) + "\n"


def constant_sites(found: Calibrations) -> list[str]:
    """Return the labels of sites that met one value alone, on which nothing can be chosen."""
    return [
        name
        for name, site in found.items()
        if any(choice is not None and choice.constant for choice in (site.input, site.weight, site.window))
    ]


def images_from_json(text: str | bytes) -> CalibrationImages | None:
    """Return what ``to_json`` wrote about the images, if anything.

    Raises:
        ArtifactError: the text is no such record.
    """
    try:
        images = json.loads(text).get("images")
        return None if images is None else TypeAdapter(CalibrationImages).validate_python(images)
    except (ValidationError, ValueError, TypeError, AttributeError) as error:
        message = f"not a record of a calibration: {str(error).splitlines()[0]}"
        raise ArtifactError(message, hint="it must be the calibration.json of an artifact, unchanged") from error


def from_json(text: str | bytes) -> dict[str, SiteCalibration]:
    """Return what ``to_json`` wrote.

    Raises:
        ArtifactError: the text is no such record.
    """
    try:
        sites = json.loads(text)["sites"]
        for site in sites.values():
            if site["window"]:
                site["window"] |= {name: math.inf for name in _RATIOS if site["window"][name] == INFINITE}
        return _adapter().validate_python(sites)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"not a record of a calibration: {str(error).splitlines()[0]}"
        raise ArtifactError(message, hint="it must be the calibration.json of an artifact, unchanged") from error


@cache
def _adapter() -> TypeAdapter[dict[str, SiteCalibration]]:
    return TypeAdapter(dict[str, SiteCalibration])
