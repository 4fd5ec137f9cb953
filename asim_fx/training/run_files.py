"""The files of a training run: history, weights, curves, a confusion matrix, the wrong answers and the artifact."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from asim_fx import artifact
from asim_fx.artifact_files import MANIFEST
from asim_fx.calibration import restore
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageStream
from asim_fx.errors import ArtifactError, CheckpointError, OutputError
from asim_fx.files import write_atomically
from asim_fx.models.pact import ALPHA, BOUNDS
from asim_fx.report import calibrated
from asim_fx.training import drawings
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import Answers
from asim_fx.training.form import original_state
from asim_fx.training.samples import class_names

_CALIBRATION = "calibration"
HISTORY = "history.jsonl"
WEIGHTS = "weights.safetensors"
BEST = "best.safetensors"
BEST_STATE = "best-state.safetensors"
"""The most accurate model with its scales and bounds, from which ``--keep best`` makes the artifact."""
TRIM_NOISE = "trim_noise.csv"


def write_history(folder: Path, history: Sequence[EpochRecord]) -> None:
    """Write one line of JSON for each finished epoch."""
    write_atomically(folder / HISTORY, "".join(json.dumps(record.to_json()) + "\n" for record in history))


def write_progress(folder: Path, net: ConvertedModel, model: nn.Module, history: Sequence[EpochRecord]) -> None:
    """Write the history, and the weights of the last epoch as ``best.safetensors`` if none before was better."""
    write_history(folder, history)
    if history and history[-1].epoch == best_epoch(history):
        write_trained(folder / BEST, net, model)


def best_epoch(history: Sequence[EpochRecord]) -> int | None:
    """Return the most accurate epoch, the later one of equal ones; the start does not count, and None is none."""
    measured = [(record.top1, record.epoch) for record in history if record.top1 is not None and record.epoch]
    return max(measured)[1] if measured else None


def write_best_state(folder: Path, net: ConvertedModel) -> None:
    """Write all that the artifact of a training form is made from."""
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in net.body.state_dict().items()}
    write_atomically(folder / BEST_STATE, save(state, {_CALIBRATION: calibrated.to_json(net.calibration)}))


def read_best_state(folder: Path, net: ConvertedModel) -> None:
    """Put a training form where ``write_best_state`` found it.

    Raises:
        CheckpointError: there is no such file, or it does not fit.
    """
    path = folder / BEST_STATE
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            found = calibrated.from_json((file.metadata() or {})[_CALIBRATION])
        net.body.load_state_dict(state)
    except (ArtifactError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        message = f"cannot read {path}: {str(error).splitlines()[0]}"
        raise CheckpointError(message, hint="--keep best needs it; best.safetensors has the same weights") from error
    restore(net, found)


def write_trim_noise(folder: Path, percent: Mapping[str, float]) -> None:
    """Write the trim noise that each site is trained with, in percent of its result."""
    rows = [[site, f"{value:.6g}"] for site, value in percent.items()]
    write_atomically(folder / TRIM_NOISE, _csv([["site", "percent"], *rows]))


def write_trained(path: Path, net: ConvertedModel, model: nn.Module) -> None:
    """Write the weights of a training form under the keys of the original model."""
    source = net.recipe.source
    write_weights(path, original_state(net, model), source.bounded if source is not None else ())


def draw(folder: Path, history: Sequence[EpochRecord], answers: Answers, names: Sequence[str] = ()) -> None:
    """Write ``curves.png`` and ``confusion.png``, where matplotlib is installed; classes have their names."""
    if drawings.can_draw():
        drawings.draw_curves(history, folder)
        drawings.draw_confusion(confusion(answers), folder, labels_of(names, answers.classes))


def write_weights(path: Path, state: Mapping[str, Tensor], bounded: Collection[str] = ()) -> None:
    """Write a plain state dict; the bounds of rectifiers that a checkpoint brought go into the metadata, as they came.

    Args:
        path: where.
        state: tensors by name.
        bounded: rectifiers whose bounds are no part of the original model.
    """
    bounds = {name: float(state[f"{name}.{ALPHA}"]) for name in bounded}
    plain = {name: tensor for name, tensor in state.items() if name not in {f"{name}.{ALPHA}" for name in bounds}}
    separate = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in plain.items()}
    write_atomically(path, save(separate, {"format": "pt", BOUNDS: json.dumps(bounds)} if bounds else None))


def write_answers(folder: Path, answers: Answers, data: DataSource) -> None:
    """Write ``confusion.csv`` (a row for each right class) and ``misclassified.csv``; classes have their names."""
    words = labels_of(class_names(data.images), answers.classes)
    table = [[word, *row] for word, row in zip(words, confusion(answers), strict=True)]
    write_atomically(folder / "confusion.csv", _csv([["", *words], *table]))
    where = None if isinstance(data.images, ImageStream) else data.images.where
    rows = [
        [number, where(number) if where else "", words[label], words[given], f"{confidence:.4f}"]
        for number, (label, given, confidence) in enumerate(
            zip(answers.labels, answers.predicted, answers.confidence, strict=True)
        )
        if label != given
    ]
    write_atomically(
        folder / "misclassified.csv", _csv([["image", "where", "label", "predicted", "confidence"], *rows])
    )


def confusion(answers: Answers) -> list[list[int]]:
    """Return how often each class (row) was taken for each class (column)."""
    table = [[0] * answers.classes for _ in range(answers.classes)]
    for label, given in zip(answers.labels, answers.predicted, strict=True):
        table[label][given] += 1
    return table


def labels_of(names: Sequence[str], classes: int) -> list[str]:
    """Return a name for every output of a model: that of its class, or its number where it has none."""
    return [names[number] if number < len(names) else str(number) for number in range(classes)]


def place_artifact(converted: ConvertedModel, folder: Path) -> None:
    """Put an artifact into a folder that holds other files too; its manifest comes last, so that half of one is none.

    Raises:
        OutputError: the folder cannot be written.
    """
    staging = folder / ".artifact"
    try:
        shutil.rmtree(staging, ignore_errors=True)
        artifact.save(converted, staging)
        (folder / MANIFEST).unlink(missing_ok=True)
        names = sorted(path.name for path in staging.iterdir() if path.name != MANIFEST)
        for name in (*names, MANIFEST):
            os.replace(staging / name, folder / name)  # noqa: PTH105
    except OSError as error:
        message = f"cannot write {folder}: {error.strerror or error}"
        raise OutputError(message) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
