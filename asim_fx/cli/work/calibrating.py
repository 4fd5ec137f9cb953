"""Calibrate a converted model on the images that a user named. Imports torch: only for the body of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from asim_fx.calibration import calibrate, needs_calibration, uncalibrated_sites, uncalibrated_windows
from asim_fx.cli.work.loading import data_config_of
from asim_fx.converted import ConvertedModel
from asim_fx.data import open_data
from asim_fx.errors import UsageError

_BATCH = 32


def calibrate_on(converted: ConvertedModel, source: str, split: str, samples: int, data_dir: Path | None) -> None:
    """Set static scales and windows of converters from ``samples`` images, taken in turn from the classes of a folder.

    Raises:
        UsageError: no site has either.
        DataError: the images cannot be had, or do not suit the model.
    """
    if not any(needs_calibration(site) for site in converted.sites().values()):
        message = "--calibrate has nothing to do: no site has `scale: static`, or a macro with `adc.range: calibrated`"
        raise UsageError(message, hint="for example --set defaults.scale=static")
    data = open_data(
        source,
        config=data_config_of(converted),
        data_dir=data_dir,
        split=split,
        batch_size=_BATCH,
        workers=0,
        num_samples=samples,
        balanced=True,
    )
    device = next((tensor.device for tensor in converted.parameters()), torch.device("cpu"))
    calibrate(converted, (images.to(device) for images, _ in data))


def refuse_uncalibrated(converted: ConvertedModel) -> None:
    """Refuse to save a model that could not run.

    Raises:
        UsageError: a site with a static scale, or with a window to calibrate, was not calibrated.
    """
    _refuse(uncalibrated_sites(converted), "`scale: static`", "`scale: dynamic`")
    _refuse(uncalibrated_windows(converted), "`adc.range: calibrated`", "`adc.range: rows`")


def _refuse(sites: Sequence[str], setting: str, other: str) -> None:
    if sites:
        more = f" and {len(sites) - 3} more" if len(sites) > 3 else ""
        message = f"{setting} needs calibration at {', '.join(sites[:3])}{more}"
        raise UsageError(message, hint=f"--calibrate SOURCE names images; {other} needs none")
