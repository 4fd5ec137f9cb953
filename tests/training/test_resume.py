"""Whole runs that are interrupted or killed: the same command with --resume reaches the same result, to the bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from asim_fx.cli.work.training import DataOptions, open_images
from asim_fx.errors import CheckpointError, RunInterruptedError
from asim_fx.sharding import ALONE
from asim_fx.spec import load_spec
from asim_fx.training import run_checkpoint
from asim_fx.training.fabric import connect
from asim_fx.training.form import trainable_form
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run import train
from asim_fx.training.run_context import Run

from .helper import (
    StopAfter,
    TinyNet,
    form,
    recipe,
    run,
    scalars,
    scripted,
    spec,
    trained,
    untimed,
)


@pytest.mark.parametrize("opt", ["lamb", "adan", "lookahead_adamw"])
def test_an_interruption_changes_nothing_whatever_the_optimiser_counts(tmp_path: Path, opt: str) -> None:
    """They count steps in their groups; Lookahead does something else at every sixth."""
    changes: dict[str, Any] = {"mode": "float", "opt": opt, "epochs": 3}
    whole = trained(tmp_path / "whole", **changes)
    with pytest.raises(RunInterruptedError):
        trained(tmp_path / "cut", options=run(tmp_path / "cut", stopped=StopAfter(4)), **changes)
    rest = trained(tmp_path / "cut", options=run(tmp_path / "cut", resume=True), **changes)
    assert untimed(whole.history) == untimed(rest.history)
    assert (tmp_path / "whole/weights.safetensors").read_bytes() == (tmp_path / "cut/weights.safetensors").read_bytes()


@pytest.mark.parametrize("mode", ["nat", "hardware"])
@pytest.mark.parametrize("parts", [1, 2])
def test_an_interruption_changes_nothing(tmp_path: Path, mode: str, parts: int) -> None:
    changes: dict[str, Any] = {"mode": mode, "parts": parts, "mixup": 0.2, "pact": True}
    whole = trained(tmp_path / "whole", **changes)
    with pytest.raises(RunInterruptedError, match="after update 2"):
        trained(tmp_path / "cut", options=run(tmp_path / "cut", stopped=StopAfter(4)), **changes)
    rest = trained(tmp_path / "cut", options=run(tmp_path / "cut", resume=True), **changes)
    assert untimed(whole.history) == untimed(rest.history)
    assert (tmp_path / "whole/weights.safetensors").read_bytes() == (tmp_path / "cut/weights.safetensors").read_bytes()


def test_an_interruption_between_the_updates_and_the_evaluation_of_an_epoch(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    with pytest.raises(RunInterruptedError, match="after update 3"):
        trained(tmp_path / "cut", options=run(tmp_path / "cut", stopped=StopAfter(2)))
    rest = trained(tmp_path / "cut", options=run(tmp_path / "cut", resume=True))
    assert untimed(whole.history) == untimed(rest.history)


def coloured(folder: Path) -> Path:
    """Write 24 images of three classes, of 12x12 noise with a bright corner."""
    generator = np.random.default_rng(0)
    for number in range(24):
        pixels = generator.integers(0, 120, (12, 12, 3), dtype=np.uint8)
        pixels[: 4 + 4 * (number % 2), :4, number % 3] = 250
        path = folder / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


class Coloured(TinyNet):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)


AUGMENTED: dict[str, Any] = {"aa": "rand-m9-mstd0.5-inc1", "reprob": 0.5, "mixup": 0.2, "cutmix": 1.0, "crop_min": 0.3}


@pytest.mark.parametrize(
    ("workers", "changes"),
    [
        (0, {"precision": "bf16-mixed"}),
        (2, {}),
        (0, {"mode": "nat", "trim_additive": True, "parts": 2, "opt": "sgd", "loss": "bce", "warmup_epochs": 1}),
    ],
)
def test_an_interruption_changes_nothing_with_augmentation(
    tmp_path: Path, workers: int, changes: dict[str, Any]
) -> None:
    """Weights and losses are the same to the bit; without augmentation they are others."""
    config = {"input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.3,) * 3, "interpolation": "bilinear"}
    settings = recipe(batch_size=8, **{**AUGMENTED, **changes})
    options = DataOptions(str(coloured(tmp_path / "images")), "train", "0.25", "validation", None, None, workers)
    torch.manual_seed(0)
    model = Coloured().eval()

    def of(settings: TrainingRecipe, folder: str, **more: Any) -> Any:
        sources = open_images(options, {**config, "crop_pct": 1.0, "crop_mode": "center"}, settings)
        fabric = connect(torch.device("cpu"), settings.precision, ALONE)
        torch.manual_seed(len(folder))  # what was drawn before does not matter
        net = trainable_form(model, spec(), (torch.randn(2, 3, 8, 8),))
        whole_run = Run(tmp_path / folder, fabric, workers=workers, **more)
        return train(net, model, sources.training, sources.validation, settings, whole_run, sources.calibration)

    whole = of(settings, "whole")
    with pytest.raises(RunInterruptedError, match="epoch 2, after update 1"):
        of(settings, "cut", stopped=StopAfter(2))
    rest = of(settings, "cut", resume=True)
    assert untimed(whole.history) == untimed(rest.history)
    assert (tmp_path / "whole/weights.safetensors").read_bytes() == (tmp_path / "cut/weights.safetensors").read_bytes()
    unchanged = {"aa": "", "reprob": 0.0, "crop_min": 0.08, "mixup": 0.0, "cutmix": 0.0}
    plain = of(replace(settings, augment=False, **unchanged), "plain")
    assert plain.history[1].train_loss != whole.history[1].train_loss


def test_another_run_is_not_resumed(tmp_path: Path) -> None:
    trained(tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match=r"lr was 0\.005, is 0\.1"):
        trained(tmp_path, epochs=1, lr=0.1, options=run(tmp_path, resume=True))


def test_more_epochs_are_another_run_where_the_schedule_ends_with_them(tmp_path: Path) -> None:
    trained(tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match="epochs was 1, is 2") as caught:
        trained(tmp_path, epochs=2, options=run(tmp_path, resume=True))
    assert "--checkpoint" in caught.value.hint


def test_a_constant_rate_can_go_on(tmp_path: Path) -> None:
    trained(tmp_path / "longer", epochs=1, sched="none")
    longer = trained(tmp_path / "longer", epochs=3, sched="none", options=run(tmp_path / "longer", resume=True))
    whole = trained(tmp_path / "whole", epochs=3, sched="none")
    assert [record.lr for record in whole.history] == [5e-3] * 3
    assert untimed(longer.history) == untimed(whole.history)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("longer", "whole")]
    assert weights[0] == weights[1]
    with pytest.raises(CheckpointError, match="beyond --epochs 2"):
        trained(tmp_path / "longer", epochs=2, sched="none", options=run(tmp_path / "longer", resume=True))


@pytest.mark.parametrize("updates", [2, 3, 4])
def test_curves_survive_an_interruption(tmp_path: Path, updates: int) -> None:
    """Three updates are an epoch: stopped within the first one, at its end, and within the second."""
    with pytest.raises(RunInterruptedError):
        trained(tmp_path, options=run(tmp_path, stopped=StopAfter(updates - 1)))
    trained(tmp_path, options=run(tmp_path, resume=True))
    assert scalars(tmp_path) == {
        "update_loss": [1, 2, 3, 4, 5, 6],
        **{name: [3, 6] for name in ("lr", "train_loss", "train_cross_entropy", "train_top1", "loss", "top1")},
    }


def test_what_was_logged_before_a_checkpoint_is_on_disk(tmp_path: Path) -> None:
    """Seen after the first epoch by one who reads the files, as they are after kill -9."""
    seen: list[dict[str, list[int]]] = []
    trained(tmp_path, options=run(tmp_path, on_epoch=lambda _: seen.append(scalars(tmp_path))))
    assert seen[0]["update_loss"] == [1, 2, 3]
    assert seen[0]["top1"] == [3]


class Killed(BaseException):
    """Ends a run where a signal might."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_a_checkpoint_loses_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """At the end of the second of three epochs, which is the best one."""
    cut = tmp_path / "cut"
    changes: dict[str, Any] = {"mode": "float", "epochs": 3}
    scripted(monkeypatch, 50, 70, 60)
    trained(tmp_path / "whole", **changes)
    write, done = run_checkpoint.write_checkpoint, []

    def killed(*args: Any) -> None:
        done.append(args)
        if len(done) == 3 and moment == "before":  # the first one is of the start
            raise Killed
        write(*args)
        if len(done) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_checkpoint, "write_checkpoint", killed)
        scripted(patch, 50, 70, 60)
        with pytest.raises(Killed):
            trained(cut, **changes)
    assert len((cut / "history.jsonl").read_text().splitlines()) == 2
    best = (tmp_path / "whole/best.safetensors").read_bytes()
    assert (cut / "best.safetensors").read_bytes() == best
    scripted(monkeypatch, *((70, 60) if moment == "before" else (60,)))
    trained(cut, options=run(cut, resume=True), **changes)
    assert (cut / "best.safetensors").read_bytes() == best
    records = [
        [{**json.loads(line), "seconds": 0} for line in (folder / "history.jsonl").open()]
        for folder in (tmp_path / "whole", cut)
    ]
    assert records[0] == records[1]


def test_a_finished_run_gets_a_lost_history_back(tmp_path: Path) -> None:
    trained(tmp_path, mode="float", epochs=1)
    before = (tmp_path / "history.jsonl").read_text()
    (tmp_path / "history.jsonl").unlink()
    trained(tmp_path, mode="float", epochs=1, options=run(tmp_path, resume=True))
    assert (tmp_path / "history.jsonl").read_text() == before


def test_another_number_of_threads_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    threads = torch.get_num_threads()
    trained(tmp_path, mode="float", epochs=1, sched="none")
    try:
        torch.set_num_threads(threads + 1)
        again = run(tmp_path, resume=True, note=notes.append)
        trained(tmp_path, mode="float", epochs=2, sched="none", options=again)
    finally:
        torch.set_num_threads(threads)
    assert len(notes) == 1
    assert f"with {threads} threads, and this run has {threads + 1}" in notes[0]
    trained(tmp_path, mode="float", epochs=3, sched="none", options=run(tmp_path, resume=True, note=notes.append))
    assert len(notes) == 2


def test_a_kill_before_the_first_checkpoint_leaves_no_second_curve(tmp_path: Path) -> None:
    def kill(done: int, _all: int) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        trained(tmp_path, mode="float", options=run(tmp_path, progress=kill))
    trained(tmp_path, mode="float", options=run(tmp_path, resume=True))
    assert scalars(tmp_path)["update_loss"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_scales_and_windows_survive_an_interruption(tmp_path: Path, ema: float) -> None:
    words = ("defaults.scale=static", "macros.m.adc.range=calibrated", "macros.m.noise.nonlinear_percent_fs=0")

    def of(folder: str, **options: Any) -> Any:
        net = form(spec=load_spec("generic-255x8b", words))
        where = tmp_path / folder
        return trained(where, net=net, mode="hardware", ema=ema, lr=0.02, options=run(where, **options))

    whole = of("whole", eval_start=True)
    with pytest.raises(RunInterruptedError, match="epoch 2, after update 2"):
        of("cut", eval_start=True, stopped=StopAfter(4))
    rest = of("cut", eval_start=True, resume=True)
    assert untimed(whole.history) == untimed(rest.history)
    for name in ("weights.safetensors", "model.safetensors", "calibration.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    again = of("cut", resume=True)  # nothing is left but the files
    assert again.answers == whole.answers
    assert again.converted.calibration == whole.converted.calibration
