"""From command-line words to what explorations measure on. Imports torch: only for the body of a command."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from asim_fx.analysis import analyse
from asim_fx.cli.work.planning import ModelOptions, build, example_inputs
from asim_fx.data import open_data
from asim_fx.errors import DataError
from asim_fx.exploration.bench import Bench
from asim_fx.exploration.cells import Evaluate
from asim_fx.models.devices import resolve_device
from asim_fx.spec import HardwareSpec


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The options that name images, as a user gave them.

    Attributes:
        source: as ``--data`` of asim-simulate.
        data_dir: where a named data set lies.
        split: part of the data.
        batch_size: images in a batch.
        num_samples: take only the first so many.
    """

    source: str
    data_dir: Path | None = None
    split: str = "validation"
    batch_size: int = 64
    num_samples: int | None = None


@dataclass(frozen=True)
class Question:
    """All that a process needs to know to evaluate cells by itself.

    Attributes:
        model: name of the model.
        options: how it is built.
        spec: the hardware that settings change.
        data: the images.
        seeds: of the noise.
        fold_batch_norm: as in ``convert``.
        path: where Python looks for modules, for models of the user's own.
    """

    model: str
    options: ModelOptions
    spec: HardwareSpec
    data: DataOptions
    seeds: tuple[int, ...]
    fold_batch_norm: bool = True
    path: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.model, self.options, self.data, self.seeds))


def open_bench(question: Question) -> Bench:
    """Build and capture the model, and open the data.

    Raises:
        AsimError: either is not possible.
    """
    sys.path.extend(entry for entry in question.path if entry not in sys.path)
    options, data = question.options, question.data
    device = str(resolve_device(options.device or "cpu", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and timm's words about their own code
        built = build(question.model, options)
        config = built.source.data_config
        if not config:
            message = f"{question.model} does not take one batch of images, so it cannot be run on image data"
            raise DataError(message)
        images = open_data(
            data.source,
            config=config,
            data_dir=data.data_dir,
            split=data.split,
            batch_size=data.batch_size,
            workers=0,
            num_samples=data.num_samples,
        )
        analysed = analyse(
            built.model,
            example_inputs(built, options.seed),
            None if built.example is None else built.example[1],
            source=built.source,
            fold_batch_norm=question.fold_batch_norm,
        )
    return Bench(analysed, question.spec, images, question.seeds, device)


def evaluator(question: Question) -> Evaluate:
    """Return what evaluates cells in this process."""
    return open_bench(question).run


def module_path() -> tuple[str, ...]:
    """Return where this process looks for modules, as absolute paths."""
    return tuple(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 (an empty entry is the present folder)
