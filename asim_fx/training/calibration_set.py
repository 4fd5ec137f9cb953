"""The training images on which static scales and converter windows are chosen, again before every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from asim_fx.calibration import calibrate, needs_calibration, remeasure, restore
from asim_fx.converted import ConvertedModel
from asim_fx.data.datasets import ImageList
from asim_fx.report.calibrated import CalibrationImages
from asim_fx.training.order import draw_seed
from asim_fx.training.samples import load_batches

_BATCH = 32
MOST_CLIPPED = 0.05
"""Share of the values of a site above which clipping is worth a warning."""


@dataclass(frozen=True)
class CalibrationSet:
    """Images to calibrate on, the same ones at each epoch.

    Attributes:
        images: prepared as for evaluation.
        positions: those that are taken.
        description: what an artifact says about them.
    """

    images: ImageList
    positions: tuple[int, ...]
    description: CalibrationImages

    def batches(self, device: torch.device) -> Iterator[Tensor]:
        """Yield images, float32 (n, C, H, W).

        Raises:
            DataError: an image cannot be decoded.
        """
        wanted = [self.positions[start : start + _BATCH] for start in range(0, len(self.positions), _BATCH)]
        for images, _ in load_batches(self.images, wanted, 0, 0, workers=0):
            yield images.to(device)


def choose_calibration_set(
    images: ImageList, samples: int, seed: int, *, source: str = "the training images", split: str = "train"
) -> CalibrationSet:
    """Return a random choice of so many of the training images, or all of them where there are fewer.

    Args:
        images: prepared as for evaluation.
        samples: how many.
        seed: of the choice.
        source: what the images are, in words.
        split: their part of the data.
    """
    generator = torch.Generator().manual_seed(draw_seed(seed, 5))
    positions = tuple(torch.randperm(len(images), generator=generator)[:samples].tolist())
    return CalibrationSet(images, positions, CalibrationImages(source, split, samples, len(positions)))


def choose_scales(net: ConvertedModel, chosen_on: CalibrationSet, device: torch.device) -> None:
    """Choose static scales and windows for the present weights, if the spec has any. The net's mode is left as it was.

    Raises:
        DataError: an image cannot be decoded.
        NumericsError: a site meets NaN or infinity.
    """
    if not any(needs_calibration(site) for site in net.sites().values()):
        return
    training = net.training
    net.eval()
    calibrate(net, chosen_on.batches(device))
    net.train(training)
    net.calibration_images = chosen_on.description


def share_scales(source: ConvertedModel, target: ConvertedModel) -> None:
    """Give a model the scales and windows of another model of the same sites."""
    theirs = source.sites()
    with torch.no_grad():
        for name, site in target.sites().items():
            for key, buffer in site.named_buffers():
                if key in ("input_scale", "weight_scale"):
                    buffer.copy_(theirs[name].get_buffer(key))
    restore(target, source.calibration)
    target.calibration_images = source.calibration_images


def measure_clipping(net: ConvertedModel, measured_on: CalibrationSet, device: torch.device) -> None:
    """Measure what the scales and windows of a trained model clip of the values that its final weights give."""
    training = net.training
    net.eval()
    remeasure(net, measured_on.batches(device))
    net.train(training)
    if net.calibration:
        net.calibration_images = measured_on.description


def clipping_warning(net: ConvertedModel) -> str | None:
    """Return words about the sites that clip much; None where no site does."""
    shares = {
        name: max(choice.clipped for choice in (site.input, site.weight, site.window) if choice is not None)
        for name, site in net.calibration.items()
        if site.input or site.weight or site.window
    }
    much = sorted((share, name) for name, share in shares.items() if share > MOST_CLIPPED)[::-1]
    if not much:
        return None
    named = ", ".join(f"{name} {100 * share:.1f} %" for share, name in much[:3])
    more = f" and {len(much) - 3} more sites" if len(much) > 3 else ""
    return (
        f"static scales or converter windows clip many of the values that the trained weights give: {named}{more}. "
        f"Scales are chosen at the start of each epoch: train for more epochs at a falling learning rate, "
        f"or use `scale: dynamic`"
    )
