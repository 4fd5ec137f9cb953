"""From command-line words to what explorations measure on. Imports torch: only for the body of a command."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asim_fx.analysis import analyse
from asim_fx.cli.work.calibrating import CalibrationOptions, open_images
from asim_fx.cli.work.planning import ModelOptions, build, example_inputs
from asim_fx.data import DataSource, open_data
from asim_fx.data.datasets import FolderImages
from asim_fx.errors import DataError
from asim_fx.exploration.bench import Bench
from asim_fx.exploration.calibrator import Calibrator
from asim_fx.exploration.cells import Evaluate
from asim_fx.exploration.findings import Workbench
from asim_fx.exploration.images import halves, read_images, same_images
from asim_fx.exploration.scores import scores_of
from asim_fx.models.devices import resolve_device
from asim_fx.spec import HardwareSpec, load_spec

_ONE_CLASS = "all images are of one class, so accuracy says nothing"
_FOLDER_HINT = "give --data a folder with a sub-folder for each class"


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The options that name images, as a user gave them.

    Attributes:
        source: as ``--data`` of asim-simulate.
        data_dir: where a named data set lies.
        split: part of the data.
        batch_size: images in a batch.
        num_samples: take only the first so many.
        balanced: of a folder, take them in turn from each class instead.
    """

    source: str
    data_dir: Path | None = None
    split: str = "validation"
    batch_size: int = 64
    num_samples: int | None = None
    balanced: bool = False


@dataclass(frozen=True)
class Question:
    """All that a process needs to know to evaluate cells by itself.

    Attributes:
        model: name of the model.
        options: how it is built.
        spec: the hardware that settings change.
        data: the images.
        seeds: of the noise.
        calibration: the images to calibrate on; None where none were given.
        fold_batch_norm: as in ``convert``.
        path: where Python looks for modules, for models of the user's own.
    """

    model: str
    options: ModelOptions
    spec: HardwareSpec
    data: DataOptions
    seeds: tuple[int, ...]
    calibration: CalibrationOptions | None = None
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
    options = question.options
    device = str(resolve_device(options.device or "cpu", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and timm's words about their own code
        built = build(question.model, options)
        config = built.source.data_config
        if not config:
            message = f"{question.model} does not take one batch of images, so it cannot be run on image data"
            raise DataError(message)
        images = _open_data(question, config)
        _refuse_one_class(images)
        calibrator = None if question.calibration is None else Calibrator.of(open_images(question.calibration, config))
        analysed = analyse(
            built.model,
            example_inputs(built, options.seed),
            None if built.example is None else built.example[1],
            source=built.source,
            fold_batch_norm=question.fold_batch_norm,
        )
    return Bench(analysed, question.spec, images, question.seeds, device, calibrator)


def _refuse_one_class(data: DataSource) -> None:
    """Refuse images of one class, as far as classes are known without decoding."""
    labels = getattr(data.images, "labels", ())
    used = [int(label) for label in labels[: data.samples]]
    if len(used) < 2 or len(set(used)) > 1:
        return
    message = f"{data.description}: {_ONE_CLASS}"
    is_part = isinstance(data.images, FolderImages) and len(used) < len(labels)
    raise DataError(message, hint="--balanced takes them in turn from each class" if is_part else _FOLDER_HINT)


def _open_data(question: Question, config: Mapping[str, Any]) -> DataSource:
    data = question.data
    return open_data(
        data.source,
        config=config,
        data_dir=data.data_dir,
        split=data.split,
        batch_size=data.batch_size,
        workers=0,
        num_samples=data.num_samples,
        balanced=data.balanced,
    )


def open_workbench(question: Question, choose_split: str | None) -> Workbench:
    """Build and capture the model, and read images to choose and to report on.

    Args:
        question: the model, the hardware and the images to report on.
        choose_split: the part of the data to choose on; None: every second image is chosen on, and the others are
            reported on.

    Raises:
        AsimError: something of it is not possible.
    """
    bench = open_bench(question)
    if choose_split is None:
        choosing, reporting = halves(read_images(bench.data))
    else:
        other = replace(question, data=replace(question.data, split=choose_split))
        source = bench.analysed.source
        data = _open_data(other, {} if source is None else source.data_config)
        if data.identity == bench.data.identity:
            raise _same_images(question, choose_split)
        choosing, reporting = read_images(data), read_images(bench.data)
        if same_images(choosing, reporting):  # some data sets have two names for one part
            raise _same_images(question, choose_split)
    if len({*choosing.labels.tolist(), *reporting.labels.tolist()}) == 1:
        message = f"{bench.data.description}: {_ONE_CLASS}"
        raise DataError(message, hint=_FOLDER_HINT)
    workbench = Workbench(bench.analysed, bench.spec, choosing, reporting, question.seeds, bench.calibrator)
    classes = int(max(choosing.labels.max(), reporting.labels.max())) + 1
    outputs = scores_of(workbench.convert(load_spec("ideal")), choosing.spread(1)).shape[1]
    if classes > outputs:
        message = f"the data has {classes} classes; the model tells {outputs} apart"
        raise DataError(message, hint="give --num-classes and a checkpoint for this data")
    return workbench


def _same_images(question: Question, choose_split: str) -> DataError:
    message = (
        f"--choose-split {choose_split} names the same images of {question.data.source} as "
        f"--split {question.data.split}: a plan would be reported on the images it was chosen on"
    )
    return DataError(message, hint="name another part, or leave it out: every second image is then chosen on")


@dataclass(frozen=True)
class BenchOf:
    """Makes ready what evaluates the cells of a question. Two of the same question are equal, also after pickling."""

    question: Question

    def __call__(self) -> Evaluate:
        """Return what evaluates cells in this process."""
        return open_bench(self.question).run


def module_path() -> tuple[str, ...]:
    """Return where this process looks for modules, as absolute paths."""
    return tuple(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 (an empty entry is the present folder)
