"""Calibrate a converted model on the images that a user named. Imports torch: only for the body of a command."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asim_fx.calibration import calibrate, needs_calibration, uncalibrated_sites, uncalibrated_windows
from asim_fx.cli.shared_options import nothing_to_calibrate
from asim_fx.cli.work.loading import data_config_of
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource, open_data
from asim_fx.errors import DataError, UsageError
from asim_fx.report.calibrated import CalibrationImages, constant_sites

_log = logging.getLogger(__name__)

_BATCH = 32


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """The options that name images to calibrate on, as a user gave them.

    Attributes:
        source: as ``--data`` of asim-simulate.
        split: part of the data.
        samples: how many images; of a folder in turn from each class.
        data_dir: where a named data set lies.
    """

    source: str
    split: str = "train"
    samples: int = 256
    data_dir: Path | None = None


def open_images(options: CalibrationOptions, config: Mapping[str, Any]) -> DataSource:
    """Open the images to calibrate on, in the batches of every command.

    Raises:
        DataError: they cannot be had, or do not suit the model.
    """
    try:
        data = open_data(
            options.source,
            config=config,
            data_dir=options.data_dir,
            split=options.split,
            batch_size=_BATCH,
            workers=0,
            num_samples=options.samples,
            balanced=True,
        )
    except DataError as error:  # written for --data, which has options of its own
        hint = error.hint.replace("--split", "--calib-split").replace("--data takes", "--calibrate takes")
        raise DataError(str(error), hint=hint.replace("give --data ", "give --calibrate ")) from error
    if data.samples is not None:
        _note_shortage(data.samples, options)
    return data


def calibrate_on(converted: ConvertedModel, options: CalibrationOptions) -> None:
    """Set static scales and windows of converters from images.

    Raises:
        UsageError: no site has either.
        DataError: the images cannot be had, or do not suit the model.
    """
    if not any(needs_calibration(site) for site in converted.sites().values()):
        raise nothing_to_calibrate()
    data = open_images(options, data_config_of(converted))
    device = next((tensor.device for tensor in converted.parameters()), torch.device("cpu"))
    counted: list[int] = []

    def batches() -> Iterator[torch.Tensor]:
        for images, _ in data:
            counted.append(len(images))
            yield images.to(device)

    calibrate(converted, batches())
    count = sum(counted)
    converted.calibration_images = CalibrationImages(data.description, options.split, options.samples, count)
    _log.info(f"calibrated on {count} image{'s' * (count != 1)} of {options.source} ({options.split})")
    if data.samples is None:
        _note_shortage(count, options)
    constant = constant_sites(converted.calibration)
    if constant:
        more = f" and {len(constant) - 3} more" if len(constant) > 3 else ""
        _log.info(f"warning: calibration met one value alone at {', '.join(constant[:3])}{more}: take other images")


def _note_shortage(count: int, options: CalibrationOptions) -> None:
    if count < options.samples:
        images = "1 image" if count == 1 else f"{count} images"
        _log.info(
            f"warning: {options.source} has {images} to calibrate on, fewer than --calib-samples {options.samples}"
        )


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
