"""How faithfully each site computes: signal to noise ratios that ``asim-simulate --probe`` measured. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from asim_fx.errors import ArtifactError

INFINITE = "inf"
"""What stands in JSON, which has no infinity, for a ratio without any noise."""


@dataclass(frozen=True, slots=True)
class SiteFidelity:
    """Ratios of one site in dB; infinite where nothing was off, None where there was no signal.

    Three models compute the site: float, integer (the ideal integer model: the same codes, exact products) and hardware
    (the simulated chip). *Local* ratios give all of them the inputs that the float model has there, so that errors of
    earlier sites do not enter; *cumulative* ones compare three whole runs, so that they do.

    Attributes:
        site: label of the site, as in the mapping report.
        kind: conv, linear, qk, av or matmul; ``recurrence``.
        target: analog or integer.
        sqnr_db: integer against float at the same inputs: what quantisation costs here.
        csnr_db: hardware against integer at the same inputs: what the analog computation costs here.
        snr_db: hardware against float at the same inputs: both.
        cumulative_sqnr_db: the integer model's result here against the float model's.
        cumulative_csnr_db: the hardware's result here against the integer model's.
        cumulative_snr_db: the hardware's result here against the float model's.
        values: results that were compared, over all images and seeds.
    """

    site: str
    kind: str
    target: str
    sqnr_db: float | None
    csnr_db: float | None
    snr_db: float | None
    cumulative_sqnr_db: float | None
    cumulative_csnr_db: float | None
    cumulative_snr_db: float | None
    values: int


@dataclass(frozen=True, slots=True)
class FidelityReport:
    """What a probe measured.

    Attributes:
        model: name of the model.
        spec: name of the hardware spec.
        data: the images, in words.
        images: how many.
        seeds: of the noise.
        sites: in the order of the network.
    """

    model: str
    spec: str
    data: str
    images: int
    seeds: tuple[int, ...]
    sites: tuple[SiteFidelity, ...]

    @property
    def worst(self) -> SiteFidelity | None:
        """The site that is furthest from float by its own errors alone; None where no site has any."""
        measured = [site for site in self.sites if site.snr_db is not None and site.snr_db != math.inf]
        return min(measured, key=lambda site: site.snr_db or 0.0, default=None)


RATIOS = tuple(field.name for field in fields(SiteFidelity) if field.name.endswith("_db"))
"""Fields of SiteFidelity that hold a ratio in dB."""


def decibels(signal: float, noise: float) -> float | None:
    """Return 10 log10(signal / noise), infinite without noise; None without signal, or where either is no number.

    Args:
        signal: energy of what should have come out.
        noise: energy of the difference to it.
    """
    if not (0 < signal < math.inf and noise < math.inf):
        return None
    return math.inf if noise <= 0 else 10 * math.log10(signal / noise)


def as_data(report: FidelityReport) -> dict[str, Any]:
    """Return plain values for JSON: a ratio is a number, the word ``inf``, or null where there was no signal."""
    data = asdict(report)
    for site in data["sites"]:
        site.update({name: INFINITE for name in RATIOS if site[name] == math.inf})
    worst = report.worst
    return {**data, "worst": None if worst is None else worst.site}


def to_json(report: FidelityReport) -> str:
    """Return the report as JSON text; the same report gives the same text."""
    return json.dumps(as_data(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> FidelityReport:
    """Return the report that ``to_json`` wrote.

    Raises:
        ArtifactError: the text is no such report.
    """
    try:
        data = json.loads(text)
        data.pop("worst", None)
        for site in data["sites"]:
            site.update({name: math.inf for name in RATIOS if site[name] == INFINITE})
        return _adapter().validate_python(data)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"not a report of asim-simulate --probe: {str(error).splitlines()[0]}"
        raise ArtifactError(message, hint="it must be the probe.json of an artifact, unchanged") from error


def by_site(report: FidelityReport) -> Mapping[str, SiteFidelity]:
    """Return the sites by label."""
    return {site.site: site for site in report.sites}


@cache
def _adapter() -> TypeAdapter[FidelityReport]:
    return TypeAdapter(FidelityReport)
