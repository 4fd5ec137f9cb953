"""Whole runs: every mode learns, and what it leaves can be used."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import asim_fx
from asim_fx.errors import CheckpointError, DataError, NumericsError, RunInterruptedError, UsageError
from asim_fx.models.checkpoints import load_checkpoint
from asim_fx.spec import load_spec
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.run import train
from asim_fx.training.run_checkpoint import CHECKPOINT, PREVIOUS

from .helper import (
    Differing,
    StopAfter,
    TinyNet,
    form,
    recipe,
    run,
    scripted,
    sites,
    source,
    static_spec,
    tiny_images,
    tiny_net,
    trained,
    untimed,
)


@pytest.mark.parametrize("mode", ["float", "qat", "nat", "hardware"])
def test_every_mode_learns(tmp_path: Path, mode: str) -> None:
    outcome = trained(tmp_path, mode=mode, epochs=8)
    losses = [record.train_loss for record in outcome.history]
    assert losses[-1] < 0.7 * losses[0]
    assert outcome.answers.top1 > 80


def test_what_it_leaves(tmp_path: Path) -> None:
    outcome = trained(tmp_path, pact=True)
    model = tiny_net()
    weights = load_file(tmp_path / "weights.safetensors")
    assert weights.keys() == model.state_dict().keys()
    assert not torch.equal(weights["conv.weight"], model.conv.weight)
    loaded = asim_fx.load(tmp_path, model=model)
    x = tiny_images().images[:7]
    for fidelity in ("float", "integer", "hardware"):
        for converted in (loaded, outcome.converted):
            converted.eval().set_fidelity(fidelity)
            converted.reseed(1)
        assert torch.equal(loaded(x), outcome.converted(x))
    model.load_state_dict(weights)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    table = [list(map(int, row[1:])) for row in list(csv.reader((tmp_path / "confusion.csv").open()))[1:]]
    assert sum(map(sum, table)) == 48
    wrong = list(csv.DictReader((tmp_path / "misclassified.csv").open()))
    assert len(wrong) == 48 - sum(table[n][n] for n in range(3))
    assert [json.loads(line)["epoch"] for line in (tmp_path / "history.jsonl").open()] == [1, 2]
    assert weights["bn1.num_batches_tracked"] == 6  # two epochs of three updates
    assert any((tmp_path / "tensorboard").iterdir())


def test_the_last_evaluation_is_that_of_the_artifact(tmp_path: Path) -> None:
    """What was trained is what runs: the same answers, to the bit, from the saved form."""
    outcome = trained(tmp_path, pact=True, mode="hardware")
    converted = outcome.converted.eval()
    converted.reseed(0)
    images = tiny_images()
    answers = []
    for number, batch in enumerate(images.images.split(16)):
        converted.reseed(0, first_sample=16 * number)
        answers += converted(batch).argmax(1).tolist()
    assert tuple(answers) == outcome.answers.predicted


def test_the_average_of_the_weights_is_what_is_kept(tmp_path: Path) -> None:
    """By timm's formula, over the weights after every update; an interruption changes no bit of it."""
    whole = trained(tmp_path / "whole", ema=0.8)
    with pytest.raises(RunInterruptedError):
        trained(tmp_path / "cut", ema=0.8, options=run(tmp_path / "cut", stopped=StopAfter(4)))
    trained(tmp_path / "cut", ema=0.8, options=run(tmp_path / "cut", resume=True))
    kept = [load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(kept[0][key], kept[1][key]) for key in kept[0])

    expected: dict[str, torch.Tensor] = {}
    for done in range(1, 7):  # the weights after each update, from runs that are stopped there
        folder = tmp_path / str(done)
        with contextlib.suppress(RunInterruptedError):
            trained(folder, options=run(folder, stopped=StopAfter(done - 1)))
        current = load_file(folder / CHECKPOINT)
        weight = min(0.8, 1 - done ** (-2 / 3)) if done > 1 else 0.0
        for key in ("conv.weight", "bn1.running_mean"):
            held = current[f"model.{key}"]
            expected[key] = held if done == 1 else weight * expected[key] + (1 - weight) * held
    for key, value in expected.items():
        torch.testing.assert_close(kept[0][key], value)
        assert not torch.allclose(value, current[f"model.{key}"])
    converted = asim_fx.load(tmp_path / "whole", model=tiny_net())
    assert torch.equal(converted.body.state_dict()["conv.weight"], kept[0]["conv.weight"])
    assert whole.answers.top1 == whole.history[-1].top1


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    images = tiny_images()
    images.images[40] = float("nan")
    net = form()
    with pytest.raises(NumericsError, match="training stopped in epoch 1") as caught:
        train(net, tiny_net(), images, source(tiny_images()), recipe(mode="float"), run(tmp_path))
    assert f"the last good weights are in {tmp_path / CHECKPOINT} (before the first update);" in caught.value.hint
    assert f"--checkpoint {tmp_path / CHECKPOINT} -o OTHER" in caught.value.hint
    assert str(caught.value).count("update") == 1
    kept = load_file(tmp_path / CHECKPOINT)
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())


def test_the_weights_of_a_training_checkpoint_can_be_taken_out(tmp_path: Path) -> None:
    trained(tmp_path, pact=True, epochs=1)
    model, expected = tiny_net(), load_file(tmp_path / "weights.safetensors")
    load_checkpoint(model, tmp_path / CHECKPOINT)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(CheckpointError, match=r"does not fit the model\. .*missing"):
        load_checkpoint(torch.nn.Sequential(torch.nn.Linear(3, 3)), tmp_path / CHECKPOINT)


def test_diverging_weights_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(NumericsError, match=r"NaN|nan|inf"):
        trained(tmp_path, mode="float", opt="sgd", lr=1e20, epochs=3)
    assert all(torch.isfinite(tensor).all() for tensor in load_file(tmp_path / CHECKPOINT).values())


def test_frozen_norms_do_not_move(tmp_path: Path) -> None:
    outcome = trained(tmp_path, freeze_bn=True)
    before, after = tiny_net().state_dict(), outcome.converted.body.state_dict()
    for name in ("bn1.running_mean", "bn1.running_var", "bn1.weight", "bn2.bias"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["conv.weight"], after["conv.weight"])


def test_norms_move_unless_frozen(tmp_path: Path) -> None:
    outcome = trained(tmp_path)
    before, after = tiny_net().state_dict(), outcome.converted.body.state_dict()
    assert not torch.equal(before["bn1.running_mean"], after["bn1.running_mean"])


@pytest.mark.parametrize("pact", [False, True])
def test_what_the_spec_wants_calibrated_is(tmp_path: Path, pact: bool) -> None:
    """Static scales and converter windows come from training images, and go into the artifact."""
    words = ("defaults.scale=static", "macros.m.adc.range=calibrated", "macros.m.noise.nonlinear_percent_fs=0")
    net = form(spec=load_spec("generic-255x8b", words), pact=pact)
    outcome = trained(tmp_path, net=net, mode="hardware", epochs=1, pact=pact)
    loaded = asim_fx.load(tmp_path, model=tiny_net()).eval()
    for converted in (loaded, outcome.converted.eval()):
        converted.reseed(1)
    x = tiny_images().images[:7]
    assert torch.equal(loaded(x), outcome.converted(x))
    assert all(site.config.read.window_known for site in loaded.sites().values())


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of two epochs ends where the second epoch of a longer one does, at a constant rate."""
    changes: dict[str, Any] = {"mode": "float", "sched": "none"}
    trained(tmp_path / "two", epochs=2, **changes)
    scripted(monkeypatch, 50, 70, 60)
    trained(tmp_path / "three", epochs=3, **changes)
    best, last = (load_file(tmp_path / "three" / name) for name in ("best.safetensors", "weights.safetensors"))
    two = load_file(tmp_path / "two/weights.safetensors")
    assert all(torch.equal(best[key], two[key]) for key in two)
    assert not torch.equal(best["conv.weight"], last["conv.weight"])


def test_the_last_epoch_is_evaluated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = scripted(monkeypatch, 50)
    outcome = trained(tmp_path, mode="hardware", epochs=2)
    assert count == [2]
    assert outcome.answers.top1 == 50
    trained(tmp_path, mode="hardware", epochs=2, options=run(tmp_path, resume=True))  # nothing is left but the files
    assert count == [3]


@pytest.mark.parametrize("name", ["weights", "training data", "checkpoint"])
def test_processes_that_differ_write_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"do not start from the same: {name}"):
        trained(tmp_path, mode="float", options=run(tmp_path, shard=Differing(name, "other")))
    assert not list(tmp_path.iterdir())


def test_too_few_images_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a batch of 3 images cannot be cut in 4 parts"):
        train(form(), tiny_net(), tiny_images(3), source(tiny_images()), recipe(parts=4), run(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_callers_generators_are_left_alone(tmp_path: Path) -> None:
    net = form()
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    trained(tmp_path, net=net, mode="nat", epochs=1, mixup=0.2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


class WithAuxiliaryHead(TinyNet):
    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = super().forward(x)
        return scores + self.aux(x.flatten(1)) if self.training else scores


def test_a_head_that_inference_does_not_use_comes_out_as_it_went_in(tmp_path: Path) -> None:
    model = WithAuxiliaryHead().eval()
    images = tiny_images()
    settings = recipe(weight_decay=0.5, epochs=1)
    train(form(model), model, images, source(images), settings, run(tmp_path))
    weights = load_file(tmp_path / "weights.safetensors")
    assert weights.keys() == model.state_dict().keys()
    assert torch.equal(weights["aux.weight"], model.aux.weight)
    assert not torch.equal(weights["fc.weight"], model.fc.weight)


def test_scales_follow_the_weights_from_epoch_to_epoch(tmp_path: Path) -> None:
    """They are those of the start of the last epoch, and what they clip at its end is measured."""
    changes: dict[str, Any] = {"sched": "none", "lr": 0.02}
    scales = []
    for epochs in (1, 2, 4):
        net = form(spec=static_spec())
        outcome = trained(tmp_path / str(epochs), net=net, epochs=epochs, **changes)
        scales.append(sites(outcome.converted)["fc"].input_scale.item())
    assert len(set(scales)) == 3
    found = outcome.converted.calibration["fc"].input
    assert found.scale == scales[-1]
    converted, seen = outcome.converted.eval(), []
    converted.set_fidelity("float")
    sites(converted)["fc"].observer = lambda streamed, _stored, _clip: seen.append(streamed)
    converted(tiny_images().images)
    beyond = (seen[0] > found.scale).float().mean().item()
    assert beyond > 0.002
    assert found.clipped == pytest.approx(beyond, abs=0.01)
    assert found.clipped > 0
    record = json.loads((tmp_path / "4/calibration.json").read_text())
    assert record["images"]["count"] == 48
    assert record["sites"]["fc"]["input"]["clipped"] == found.clipped


def test_much_clipping_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    options = run(tmp_path, note=notes.append)
    trained(tmp_path, net=form(spec=static_spec()), epochs=1, lr=0.5, opt="sgd", options=options)
    assert any("clip many of the values" in note for note in notes)


def test_a_float_run_leaves_an_artifact_with_scales(tmp_path: Path) -> None:
    outcome = trained(tmp_path, net=form(spec=static_spec()), mode="float", epochs=1)
    loaded = asim_fx.load(tmp_path, model=tiny_net()).eval()
    assert torch.isfinite(loaded(tiny_images().images)).all()
    assert outcome.hardware is not None


@pytest.mark.parametrize(
    ("mode", "name", "measured"),
    [("float", "ideal", True), ("qat", "ideal", False), ("qat", "generic-255x8b", True), ("nat", "ideal", False)],
)
def test_the_hardware_is_measured_once_where_it_is_something_else(
    tmp_path: Path, mode: str, name: str, measured: bool
) -> None:
    outcome = trained(tmp_path, net=form(spec=load_spec(name)), mode=mode, epochs=1)
    assert (outcome.hardware is not None) == measured
    converted, images = outcome.converted.eval(), tiny_images()
    answers: list[int] = []
    for number, batch in enumerate(images.images.split(16)):
        converted.reseed(0, first_sample=16 * number)
        answers += converted(batch).argmax(1).tolist()
    if mode != "float":
        assert (outcome.hardware or outcome.answers).predicted == tuple(answers)


def test_the_start_is_evaluated(tmp_path: Path) -> None:
    told: list[EpochRecord] = []
    outcome = trained(tmp_path, epochs=1, options=run(tmp_path, eval_start=True, on_epoch=told.append))
    start, first = outcome.history
    assert told == [start, first]
    assert (start.epoch, start.step, start.train_loss, start.lr, start.fidelity) == (0, 0, None, None, "integer")
    plain = trained(tmp_path / "plain", epochs=1)
    assert untimed(plain.history) == untimed((first,))
    assert (tmp_path / "weights.safetensors").read_bytes() == (tmp_path / "plain/weights.safetensors").read_bytes()
    assert [json.loads(line)["epoch"] for line in (tmp_path / "history.jsonl").open()] == [0, 1]


def test_training_accuracy_rises(tmp_path: Path) -> None:
    outcome = trained(tmp_path, mode="float", epochs=6, smoothing=0.2)
    first, last = outcome.history[0], outcome.history[-1]
    assert first.train_top1 is not None
    assert last.train_top1 is not None
    assert last.train_top1 > max(80, first.train_top1)
    assert last.train_cross_entropy is not None
    assert last.train_loss is not None
    assert last.train_cross_entropy < last.train_loss
    mixed = trained(tmp_path / "mixed", mode="float", epochs=1, mixup=0.5)
    assert (mixed.history[0].train_top1, mixed.history[0].train_cross_entropy) == (None, None)


def test_the_checkpoint_that_is_advised_is_one_to_go_on_from(tmp_path: Path) -> None:
    """Weights explode while they are still numbers, and each state is saved."""
    options = run(tmp_path, save_every=1)
    with pytest.raises(NumericsError) as caught:
        trained(tmp_path, mode="qat", opt="sgd", lr=1e5, epochs=6, options=options)
    good = tmp_path / PREVIOUS
    assert f"the last good weights are in {good} (" in caught.value.hint
    assert max(tensor.abs().max() for tensor in load_file(good).values() if tensor.numel()) < 100
    exploded = [tensor.abs().max() for tensor in load_file(tmp_path / CHECKPOINT).values() if tensor.numel()]
    assert max(exploded) > 1e4
    model = tiny_net()
    load_checkpoint(model, good)
    images, again = tiny_images(), tmp_path / "again"
    outcome = train(form(model), model, images, source(images), recipe(epochs=8), run(again))
    assert outcome.answers.top1 > 80


def test_a_finished_run_has_one_checkpoint(tmp_path: Path) -> None:
    trained(tmp_path, mode="float", options=run(tmp_path, save_every=1))
    assert (tmp_path / CHECKPOINT).exists()
    assert not (tmp_path / PREVIOUS).exists()


@pytest.mark.parametrize("cut", [False, True])
def test_the_artifact_can_be_that_of_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool) -> None:
    """With its scales and bounds, also where the run was interrupted after it."""
    changes: dict[str, Any] = {"sched": "none", "pact": True, "lr": 0.02}
    words = load_spec("ideal", ("defaults.scale=static",))
    two = trained(tmp_path / "two", net=form(spec=words, pact=True), epochs=2, **changes)
    best = tmp_path / "best"
    scripted(monkeypatch, 50, 70, 60, 70)
    stopped: dict[str, Any] = {"stopped": StopAfter(7)} if cut else {}
    with pytest.raises(RunInterruptedError) if cut else contextlib.nullcontext():
        trained(best, net=form(spec=words, pact=True), epochs=3, keep="best", options=run(best, **stopped), **changes)
    if cut:
        scripted(monkeypatch, 60, 70)
        trained(best, net=form(spec=words, pact=True), epochs=3, keep="best", options=run(best, resume=True), **changes)
    ours, theirs = load_file(best / "model.safetensors"), load_file(tmp_path / "two/model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert (best / "weights.safetensors").read_bytes() == (tmp_path / "two/weights.safetensors").read_bytes()
    assert (best / "calibration.json").read_bytes() == (tmp_path / "two/calibration.json").read_bytes()
    assert two.epoch == 2


def test_labels_the_model_does_not_have_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    images = tiny_images()
    images.labels[5] = 3
    for trained_on, evaluated_on in ((images, tiny_images()), (tiny_images(), images)):
        with pytest.raises(DataError, match="there are 4 classes; the model tells 3 apart"):
            train(form(), tiny_net(), trained_on, source(evaluated_on), recipe(), run(tmp_path))
    assert not list(tmp_path.iterdir())


def test_measured_trim_noise_is_told_and_written(tmp_path: Path) -> None:
    notes: list[str] = []
    trained(tmp_path, mode="nat", trim_factor=2.0, epochs=1, options=run(tmp_path, note=notes.append))
    rows = list(csv.DictReader((tmp_path / "trim_noise.csv").open()))
    percent = [float(row["percent"]) for row in rows]
    assert [row["site"] for row in rows] == ["stem", "conv", "fc"]
    assert percent[0] == 0  # in digital integers
    middle = (percent[1] + percent[2]) / 2
    assert notes[0].startswith(f"trim noise of 2 sites (measured, times 2): median {middle:.3g} %, from ")
    trained(
        tmp_path / "given", mode="nat", trim_noise=2.0, epochs=1, options=run(tmp_path / "given", note=notes.append)
    )
    assert len(notes) == 1
    assert not (tmp_path / "given/trim_noise.csv").exists()
