"""The files of a training run: history, weights, curves, a confusion matrix, the wrong answers and the artifact."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from asim_fx import artifact
from asim_fx.artifact_files import MANIFEST
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageStream
from asim_fx.errors import OutputError
from asim_fx.files import write_atomically
from asim_fx.models.pact import ALPHA, BOUNDS
from asim_fx.training import drawings
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import Answers
from asim_fx.training.form import original_state

HISTORY = "history.jsonl"
WEIGHTS = "weights.safetensors"
BEST = "best.safetensors"


def write_history(folder: Path, history: Sequence[EpochRecord]) -> None:
    """Write one line of JSON for each finished epoch."""
    write_atomically(folder / HISTORY, "".join(json.dumps(record.to_json()) + "\n" for record in history))


def write_progress(folder: Path, net: ConvertedModel, model: nn.Module, history: Sequence[EpochRecord]) -> None:
    """Write the history, and the weights of the last epoch as ``best.safetensors`` if none before was better.

    Of two epochs with the same accuracy the later one is the best.
    """
    write_history(folder, history)
    measured = [record.top1 for record in history if record.top1 is not None]
    if history and history[-1].top1 is not None and history[-1].top1 == max(measured):
        write_trained(folder / BEST, net, model)


def write_trained(path: Path, net: ConvertedModel, model: nn.Module) -> None:
    """Write the weights of a training form under the keys of the original model."""
    source = net.recipe.source
    write_weights(path, original_state(net, model), source.bounded if source is not None else ())


def draw(folder: Path, history: Sequence[EpochRecord], answers: Answers) -> None:
    """Write ``curves.png`` and ``confusion.png``, where matplotlib is installed."""
    if drawings.can_draw():
        drawings.draw_curves(history, folder)
        drawings.draw_confusion(confusion(answers), folder)


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
    """Write ``confusion.csv`` (a row for each right class) and ``misclassified.csv``."""
    write_atomically(folder / "confusion.csv", _csv([["", *range(answers.classes)], *_labelled(confusion(answers))]))
    where = None if isinstance(data.images, ImageStream) else data.images.where
    rows = [
        [number, where(number) if where else "", label, given, f"{confidence:.4f}"]
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


def _labelled(table: list[list[int]]) -> list[list[int]]:
    return [[number, *row] for number, row in enumerate(table)]


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
