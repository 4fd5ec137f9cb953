"""What the files of a run say, on answers that are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asim_fx.errors import RunInterruptedError
from asim_fx.training import drawings
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import Answers, evaluate
from asim_fx.training.run import train
from asim_fx.training.run_files import confusion, write_answers

from .helper import StopAfter, form, recipe, run, source, tiny_images, tiny_net

ANSWERS = Answers(labels=(0, 1, 2, 2, 1), predicted=(0, 2, 2, 0, 1), confidence=(0.9, 0.5, 0.8, 0.4, 1.0), loss=1.0,
                  classes=3)  # fmt: skip
RIGHT_BY_ANSWER = [[1, 0, 0], [0, 1, 1], [1, 0, 1]]


def test_rows_are_right_classes_and_columns_answers(tmp_path: Path) -> None:
    assert confusion(ANSWERS) == RIGHT_BY_ANSWER
    write_answers(tmp_path, ANSWERS, source(tiny_images()))
    rows = list(csv.reader((tmp_path / "confusion.csv").open()))
    assert rows == [["", "0", "1", "2"], ["0", "1", "0", "0"], ["1", "0", "1", "1"], ["2", "1", "0", "1"]]


def test_what_is_misclassified_is_listed_with_its_place(tmp_path: Path) -> None:
    images = tiny_images()
    write_answers(tmp_path, ANSWERS, source(images))
    rows = list(csv.DictReader((tmp_path / "misclassified.csv").open()))
    assert rows == [
        {"image": "1", "where": images.where(1), "label": "1", "predicted": "2", "confidence": "0.5000"},
        {"image": "3", "where": images.where(3), "label": "2", "predicted": "0", "confidence": "0.4000"},
    ]
    assert ANSWERS.top1 == 60


def test_answers_are_those_of_the_model() -> None:
    """A net that was not trained errs; its answers are compared with a plain forward pass."""
    images, net = tiny_images(), form()
    answers = evaluate(net, source(images), "float", device=torch.device("cpu"))
    with torch.no_grad():
        scores = tiny_net()(images.images)
    assert answers.labels == tuple(images.labels.tolist())
    assert answers.predicted == tuple(scores.argmax(1).tolist())
    assert answers.predicted != answers.labels
    assert answers.confidence == pytest.approx(scores.softmax(1).max(1).values.tolist(), abs=1e-5)
    assert answers.loss == pytest.approx(torch.nn.functional.cross_entropy(scores, images.labels).item(), abs=1e-5)


def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    monkeypatch.setattr(drawings, "_write", lambda figure, path: figures.update({path.name: figure}))
    return figures


def test_curves_show_every_epoch_and_each_evaluation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = drawn(monkeypatch)
    history = [
        EpochRecord(epoch=1, step=3, lr=0.1, train_loss=2.0, loss=None, top1=None, seconds=1.0),
        EpochRecord(epoch=2, step=6, lr=0.1, train_loss=1.5, loss=1.75, top1=60.0, seconds=1.0),
    ]
    drawings.draw_curves(history, tmp_path)
    left, right = figures["curves.png"].axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in left.lines}
    assert lines == {"training": ([1, 2], [2.0, 1.5]), "validation": ([2], [1.75])}
    assert [list(line.get_ydata()) for line in right.lines] == [[60.0]]


def test_the_picture_of_the_matrix_has_its_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = drawn(monkeypatch)
    drawings.draw_confusion(RIGHT_BY_ANSWER, tmp_path)
    (axes,) = figures["confusion.png"].axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}  # (column, row)
    assert counts == {(0, 0): "1", (1, 1): "1", (2, 1): "1", (0, 2): "1", (2, 2): "1"}
    assert axes.images[0].get_array().tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "class")


class Killed(Exception):  # noqa: N818 (what happened, not what went wrong)
    """Ends a run where a signal might."""


def kill(record: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    ("cut", "ends"), [({"stopped": StopAfter(4)}, RunInterruptedError), ({"on_epoch": kill}, Killed)]
)
def test_tensorboard_has_what_the_history_has(tmp_path: Path, cut: dict[str, object], ends: type[Exception]) -> None:
    """Also after an interruption within an epoch or behind one: nothing is logged twice, and nothing is lost."""
    images = tiny_images()

    def of(**options: object) -> None:
        train(form(), tiny_net(), images, source(images), recipe(epochs=3), run(tmp_path, eval_every=2, **options))

    with pytest.raises(ends):
        of(**cut)
    of(resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").open()]
    assert sorted(events.Tags()["scalars"]) == ["loss", "lr", "top1", "train_loss", "update_loss"]
    for name in ("lr", "train_loss", "loss", "top1"):
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        told = [(record["step"], record[name]) for record in history if record[name] is not None]
        assert [step for step, _ in logged] == [step for step, _ in told]
        assert [value for _, value in logged] == pytest.approx([value for _, value in told], rel=1e-6)
    updates = events.Scalars("update_loss")
    assert [event.step for event in updates] == list(range(1, 10))
    means = [sum(event.value for event in updates[n : n + 3]) / 3 for n in (0, 3, 6)]
    assert means == pytest.approx([record["train_loss"] for record in history], rel=1e-5)
