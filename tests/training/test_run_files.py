"""What the files of a run say, on answers that are known."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asim_fx.errors import RunInterruptedError
from asim_fx.training import drawings
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import Answers, evaluate
from asim_fx.training.run import train
from asim_fx.training.run_context import Run
from asim_fx.training.run_files import best_epoch, confusion, write_answers, write_trim_noise

from .helper import StopAfter, form, recipe, record, run, source, tiny_images, tiny_net

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


def test_classes_of_a_folder_have_their_names(tmp_path: Path) -> None:
    """An output beyond the classes of the folder has its number."""

    class Named:
        names = ("cat", "dog")

        def where(self, index: int) -> str:
            return f"{index}.png"

    write_answers(tmp_path, ANSWERS, replace(source(tiny_images()), images=Named()))
    rows = list(csv.reader((tmp_path / "confusion.csv").open()))
    assert [rows[0], *(row[:1] for row in rows[1:])] == [["", "cat", "dog", "2"], ["cat"], ["dog"], ["2"]]
    wrong = list(csv.DictReader((tmp_path / "misclassified.csv").open()))
    assert [(row["label"], row["predicted"]) for row in wrong] == [("dog", "2"), ("2", "cat")]


def test_the_later_of_equal_epochs_is_the_best_and_the_start_is_none() -> None:
    assert best_epoch([record(epoch=0, top1=90.0)]) is None
    history = [record(epoch=number, top1=top1) for number, top1 in enumerate((90.0, 50.0, 70.0, 70.0, None))]
    assert best_epoch(history) == 3


def test_trim_noise_is_a_table(tmp_path: Path) -> None:
    write_trim_noise(tmp_path, {"conv": 1.25, "fc": 0.5})
    assert (tmp_path / "trim_noise.csv").read_text() == "site,percent\nconv,1.25\nfc,0.5\n"


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
    start = record(epoch=0, train_loss=None, loss=3.0, top1=10.0)
    first = record(epoch=1, train_loss=2.0, train_cross_entropy=1.0, train_top1=50.0)
    last = record(epoch=2, train_loss=1.5, train_cross_entropy=0.5, train_top1=100.0, loss=1.75, top1=60.0)
    drawings.draw_curves([start, first, last], tmp_path)
    left, right = figures["curves.png"].axes
    training, validation = "training, before each update", "validation, ideal integers"
    assert lines(left) == {training: ([1, 2], [1.0, 0.5]), validation: ([0, 2], [3.0, 1.75])}
    assert lines(right) == {training: ([1, 2], [50.0, 100.0]), validation: ([0, 2], [10.0, 60.0])}
    assert left.get_ylabel() == "cross-entropy"
    assert right.get_ylim()[1] == 100
    assert all(float(tick).is_integer() for tick in left.get_xticks())


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_a_loss_of_mixed_images_is_called_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = drawn(monkeypatch)
    drawings.draw_curves([record(train_loss=2.0)], tmp_path)
    left, right = figures["curves.png"].axes
    assert lines(left) == {"training, mixed images, with smoothing and penalties": ([1], [2.0])}
    assert left.get_ylabel() == "loss"
    assert not right.lines


def test_the_picture_of_the_matrix_has_its_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = drawn(monkeypatch)
    drawings.draw_confusion(RIGHT_BY_ANSWER, tmp_path, ("cat", "dog", "2"))
    (axes,) = figures["confusion.png"].axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}  # (column, row)
    assert counts == {(0, 0): "1", (1, 1): "1", (2, 1): "1", (0, 2): "1", (2, 2): "1"}
    assert axes.images[0].get_array().tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "class")
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["cat", "dog", "2"]


class Killed(Exception):  # noqa: N818 (what happened, not what went wrong)
    """Ends a run where a signal might."""


def kill(record: EpochRecord) -> None:
    if record.epoch:
        raise Killed


@pytest.mark.parametrize(
    ("cut", "ends"), [({"stopped": StopAfter(4)}, RunInterruptedError), ({"on_epoch": kill}, Killed)]
)
def test_tensorboard_has_what_the_history_has(tmp_path: Path, cut: dict[str, object], ends: type[Exception]) -> None:
    """Also after an interruption within an epoch or behind one: nothing is logged twice, and nothing is lost."""
    images = tiny_images()

    def of(**options: object) -> None:
        train(form(), tiny_net(), images, source(images), recipe(epochs=3), begun(tmp_path, options))

    def begun(folder: Path, options: dict[str, object]) -> Run:
        return run(folder, eval_every=2, eval_start=True, **options)

    with pytest.raises(ends):
        of(**cut)
    of(resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").open()]
    assert sorted(events.Tags()["scalars"]) == [
        *("loss", "lr", "top1", "train_cross_entropy", "train_loss", "train_top1", "update_loss")
    ]
    for name in ("lr", "train_loss", "train_cross_entropy", "train_top1", "loss", "top1"):
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        told = [(record["step"], record[name]) for record in history if record[name] is not None]
        assert [step for step, _ in logged] == [step for step, _ in told]
        assert [value for _, value in logged] == pytest.approx([value for _, value in told], rel=1e-6)
    updates = events.Scalars("update_loss")
    assert [event.step for event in updates] == list(range(1, 10))
    means = [sum(event.value for event in updates[n : n + 3]) / 3 for n in (0, 3, 6)]
    assert means == pytest.approx([record["train_loss"] for record in history[1:]], rel=1e-5)
