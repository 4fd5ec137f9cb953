"""asim-train: kill -9 and --resume, several processes, Ctrl-C, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from asim_fx.models import build_model
from tests.cli.command import run
from tests.cli.shell import start
from tests.cli.test_simulate_shared import launch

TRAIN = ("-m", "asim_fx", "train")
MODEL = ("asim:digits_resnet", "generic-255x8b", "--data", "digits", "-j", "0")
SHORT = (*MODEL, "--num-samples", "64", "--epochs", "1", "-b", "32", "--lr", "1e-3", "--eval-every", "9")


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (*MODEL, "--num-samples", "320", "--epochs", "3", "-b", "32", "--mode", "hardware", "--save-every", "2")
    process = start("asim-train", *options, "-o", tmp_path / "cut", "--json", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()  # the start and the first epoch are over
    checkpoint, deadline = tmp_path / "cut/checkpoint.safetensors", time.monotonic() + 60
    first = checkpoint.stat().st_ino
    while checkpoint.stat().st_ino == first and time.monotonic() < deadline:  # the next one is of update 2 of 10
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut/manifest.json").exists()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as the process that was killed
    resumed = launch(*TRAIN, *options, "-o", tmp_path / "cut", "--resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    whole = launch(*TRAIN, *options, "-o", tmp_path / "whole", "--json")
    assert whole.returncode == 0, whole.stderr
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    losses = [
        [json.loads(line)["train_loss"] for line in (tmp_path / name / "history.jsonl").open()]
        for name in ("cut", "whole")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


def test_two_processes_train_what_one_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # what torchrun sets
    options = (*SHORT, "--mode", "hardware", "--parts", "2", "--mixup", "0.2", "--json")
    one = launch(*TRAIN, *options, "-o", tmp_path / "one")
    assert one.returncode == 0, one.stderr
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *TRAIN)
    two = launch(*torchrun, *options, "-o", tmp_path / "two")
    assert two.returncode == 0, two.stderr
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert json.loads(one.stdout.splitlines()[-1])["loss"] == json.loads(two.stdout.splitlines()[-1])["loss"]


def test_two_processes_tell_an_error_once(tmp_path: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *TRAIN)
    refused = launch(*torchrun, *SHORT, "--opt", "sgd", "--lr", "1e25", "-o", tmp_path / "out")
    assert refused.returncode != 0
    assert refused.stderr.count("error: training") == 1
    assert refused.stderr.count("hint: lower --lr") == 1
    assert (tmp_path / "out/checkpoint.safetensors").is_file()


def test_an_interrupt_saves_and_says_so(tmp_path: Path) -> None:
    options = (*MODEL, "--epochs", "50", "--mode", "qat", "--json")
    process = start("asim-train", *options, "-o", tmp_path / "out", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"interrupted in epoch" in err
    assert b"--resume" in err
    assert (tmp_path / "out/checkpoint.safetensors").is_file()


def test_what_it_wrote_is_simulated_and_loaded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("mode: nat\nepochs: 7\npact: true\n")
    trained = run(capsys, "asim-train", *SHORT, "--recipe", recipe, "--scratch", "-o", out, "--json")
    assert trained.code == 0, trained.err
    assert len(trained.out.splitlines()) == 3  # start, epoch, outcome: the option wins over the file
    simulated = run(capsys, "asim-simulate", out, "--data", "digits", "--num-samples", 32, "-j", 0, "--json")
    assert simulated.code == 0, simulated.err
    loaded = run(capsys, "asim-convert", *MODEL[:2], "--checkpoint", out / "weights.safetensors", "--dry-run")
    assert loaded.code == 0, loaded.err


@pytest.fixture
def bounded(tmp_path: Path) -> Path:
    """Return weights of the digits network with bounds beside them, as asim-import writes them."""
    model, file = build_model("asim:digits_resnet").model, tmp_path / "bounded.safetensors"
    bounds = {"act1": 0.75, "layers.0.act2": 1.5}
    save_file(model.state_dict(), file, {"pact_alphas": json.dumps(bounds)})
    return file


@pytest.mark.parametrize("pact", [False, True])
def test_bounds_of_the_checkpoint_are_trained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, bounded: Path, pact: bool
) -> None:
    out = tmp_path / "out"
    options = ("--checkpoint", bounded, *(("--pact",) if pact else ()), "--json")
    trained = run(capsys, "asim-train", *SHORT, *options, "-o", out)
    assert trained.code == 0, trained.err
    words = "2 learned bounds start from those of" if pact else "2 rectifiers have the bounds (PACT)"
    assert words in " ".join(trained.err.split())
    state = load_file(out / "model.safetensors")
    first = state["act1.pact_alpha" if pact else "act1.alpha"].item()
    assert 0 < abs(first - 0.75) < 0.2  # trained for two updates
    plain = load_file(out / "weights.safetensors")
    assert plain.keys() == build_model("asim:digits_resnet").model.state_dict().keys()
    if not pact:  # the weights bring the bounds that were learned
        again = build_model("asim:digits_resnet", checkpoint=out / "weights.safetensors")
        assert again.bounds["act1"] == first
    simulated = run(capsys, "asim-simulate", out, "--data", "digits", "--num-samples", 32, "-j", 0, "--json")
    assert simulated.code == 0, simulated.err


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)


def test_empty_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    refused = run(capsys, "asim-train", *MODEL[:2], "--data", tmp_path / "images", "-o", tmp_path / "out")
    assert refused.code == 2
    assert "holds no images" in refused.err


def test_one_class(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "images/cat" / f"{number}.png")
    refused = run(
        capsys, "asim-train", *MODEL[:2], "--data", tmp_path / "images", "-o", tmp_path / "out", "--val", "0.5"
    )
    assert refused.code == 2
    assert "one class" in refused.err


@pytest.mark.parametrize("mode", ["float", "qat"])
@pytest.mark.parametrize("evaluations", [1, 9])
def test_a_loss_that_explodes(capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: str, evaluations: int) -> None:
    out = tmp_path / "out"
    options = ("--mode", mode, "--opt", "sgd", "--lr", "1e25", "--eval-every", evaluations)
    refused = run(capsys, "asim-train", *SHORT, *options, "-o", out)
    assert refused.code == 2
    assert "epoch 1" in refused.err
    assert "hint: lower --lr" in refused.err
    assert (out / "checkpoint.safetensors").is_file()
    assert not (out / "manifest.json").exists()
    words = " ".join(refused.err.split())
    assert f"--checkpoint {out / 'checkpoint.safetensors'} -o OTHER" in words
    assert "(before the first update)" in words
    again = (*SHORT, "--checkpoint", out / "checkpoint.safetensors", "-o", tmp_path / "again", "--json")
    assert run(capsys, "asim-train", *again).code == 0


def test_resuming_a_run_that_saved_nothing_starts_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "tensorboard").mkdir(parents=True)
    for options in (("--resume",), ()):
        begun = run(capsys, "asim-train", *SHORT, *options, "-o", out, "--json")
        assert begun.code == 0, begun.err
        assert ("holds no checkpoint yet" in " ".join(begun.err.split())) == bool(options)
        for held in out.iterdir():
            if held.name != "tensorboard":
                held.unlink() if held.is_file() else None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--opt", "nonesuch"), "--opt nonesuch"),
        (("--sched", "nonesuch"), "--sched nonesuch"),
        (("--batch-size", "30", "--parts", "4"), "cannot be cut in 4 equal parts"),
        (("--val", "2"), "between 0 and 1"),
        (("--smoothing", "1.5"), "smoothing must lie in 0..1"),
        (("--aa", "rand-m9"), "--aa changes image files"),
        (("--hflip", "0"), "--hflip changes image files"),
        (("--no-augment", "--reprob", "0.5"), "reprob without effect"),
        (("--sched", "plateau"), "sched plateau waits for the accuracy"),
        (("--sched", "step"), "sched step needs decay_epochs"),
        (("--sched", "multistep", "--decay-epochs", "3,x"), "decay_epochs must be a number of epochs"),
        (("--num-classes", "5", "--scratch"), "there are 10 classes; the model tells 5 apart"),
        (("--trim-noise", "-5", "--mode", "nat"), "trim_noise must be at least 0"),
        (("--trim-noise", "5"), "trim noise is for mode nat, and the mode is qat"),
        (("--lr", "0"), "lr must be above 0"),
        (("--warmup-epochs", "10"), "leave none of 10 epochs"),
        (("--amp", "16-mixed"), "--amp 16-mixed on cpu: a CPU does not train in float16"),
        (("--opt", "adahessian"), "needs second derivatives"),
        (("--num-samples", "4", "--parts", "8"), "a batch of 4 images cannot be cut in 8 parts"),
        (("--val-split", "train"), "these are the images to train on"),
    ],
)
def test_settings_that_cannot_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    refused = run(capsys, "asim-train", *MODEL, "-o", tmp_path / "out", *options)
    assert refused.code == 2
    assert words in " ".join(refused.err.split())


def test_one_folder_of_classes_needs_a_share_to_hold_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / "images" / "ab"[number % 2] / f"{number}.png")
    options = (*MODEL[:2], "--data", tmp_path / "images", "-j", "0", "--epochs", "1", "-b", "4", "-o", tmp_path / "out")
    refused = run(capsys, "asim-train", *options)
    assert refused.code == 2
    assert "--val 0.1 holds out a tenth" in refused.err
    assert not (tmp_path / "out").exists()
    trained = run(capsys, "asim-train", *options, "--val", "0.1")
    assert trained.code == 0, trained.err
    assert "on 2 images" in trained.out


def test_a_file_of_settings_and_options_are_one_recipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("trim_factor: 2\n")
    refused = run(capsys, "asim-train", *SHORT, "--recipe", recipe, "-o", tmp_path / "out")
    assert refused.code == 2
    assert f"trim_factor is from {recipe}" in " ".join(refused.err.split())
    trained = run(capsys, "asim-train", *SHORT, "--recipe", recipe, "--mode", "nat", "-o", tmp_path / "out")
    assert trained.code == 0, trained.err


def test_every_setting_has_an_option() -> None:
    from dataclasses import fields
    from inspect import signature

    from asim_fx.cli.train import train
    from asim_fx.training.recipe import TrainingRecipe

    options = {"precision" if name == "amp" else name for name in signature(train).parameters}
    assert {field.name for field in fields(TrainingRecipe)} <= options


def test_a_folder_with_a_run_in_it_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"x")
    refused = run(capsys, "asim-train", *MODEL, "-o", tmp_path)
    assert refused.code == 2
    assert "--resume" in refused.err
    spoilt = run(capsys, "asim-train", *MODEL, "-o", tmp_path, "--resume")
    assert spoilt.code == 2
    assert "cannot read" in spoilt.err


def test_one_command_starts_and_goes_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A run that was killed before it saved anything left its logs and a part of a file."""
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / ".checkpoint.safetensors.x1.tmp").write_bytes(b"half")
    first = run(capsys, "asim-train", *SHORT, "-o", tmp_path, "--resume")
    assert first.code == 0, first.err
    assert "starts from the beginning" in " ".join(first.err.split())
    again = run(capsys, "asim-train", *SHORT, "-o", tmp_path, "--resume")
    assert again.code == 0, again.err
    assert "beginning" not in again.err


def test_wrong_words_are_said_before_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = run(capsys, "asim-train", *MODEL, "-o", tmp_path, "--val", "2", "--set", "defaults.input_bits=none")
    assert "input_bits" in refused.err
    refused = run(capsys, "asim-train", *MODEL, "-o", tmp_path, "--val", "2")
    assert "between 0 and 1" in refused.err


def test_a_folder_with_other_things_is_refused_to_resume_too(capsys, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = run(capsys, "asim-train", *MODEL, "-o", tmp_path, "--resume")
    assert refused.code == 2
    assert "holds no training run" in refused.err


def test_a_training_checkpoint_is_taken_for_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = run(capsys, "asim-train", *SHORT, "--mode", "float", "--opt", "sgd", "--lr", "1e25", "-o", out)
    assert refused.code == 2
    file = out / "checkpoint.safetensors"
    assert f"--checkpoint {file} -o OTHER" in " ".join(refused.err.split())
    again = run(capsys, "asim-train", *SHORT, "--checkpoint", file, "-o", tmp_path / "again")
    assert again.code == 0, again.err
    converted = run(capsys, "asim-convert", *MODEL[:2], "--checkpoint", file, "--dry-run")
    assert converted.code == 0, converted.err


def test_help_shows_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(run(capsys, "asim-train", "--help").out.replace("│", " ").split())
    for value in ("qat", "adamw", "cosine", "cross-entropy", "0.001"):
        assert f"Default: {value}." in shown


def test_help_needs_no_torch() -> None:
    program = "import sys; import asim_fx.cli.train; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_accuracies_say_what_computed_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command that is printed gives the printed accuracy of the hardware again."""
    chip = ("--set", "macros.m.noise.random_percent_fs=0.3", "-b", "48")
    trained = run(capsys, "asim-train", *SHORT, *chip, "-o", tmp_path / "out", "--mode", "qat")
    assert trained.code == 0, trained.err
    start, epoch, ideal, hardware, repeat = trained.out.splitlines()
    assert start.startswith("before training  validation ")
    assert "train top-1" in epoch
    assert "% of ideal integers" in epoch
    assert ideal.startswith("top-1 ")
    assert "% of ideal integers on 360 images; wrote" in ideal
    assert "% of the simulated hardware on 360 images" in hardware
    command = repeat.removeprefix("to repeat it: ").split()
    assert command[-2:] == ["-b", "48"]
    simulated = run(capsys, *command, "-j", 0, "--json")
    assert simulated.code == 0, simulated.err
    words = " ".join(trained.err.split())
    assert "training on 64 images of 10 classes: 1 epoch of 1 update of 48" in words
    assert "(each epoch leaves out 16 images, others each time); evaluated on 360 images" in words
    found = {variant["variant"]: variant["top1"]["mean"] for variant in json.loads(simulated.out)["variants"]}
    for line, variant in ((ideal, "integer"), (hardware, "hardware")):
        assert float(line.split()[1]) == pytest.approx(found[variant], abs=0.006)
    assert ideal.split()[1] != hardware.split()[1]


def test_the_outcome_in_json_names_the_fidelity(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ("--no-eval-start", "--json", "-o", tmp_path / "out")
    trained = run(capsys, "asim-train", "asim:digits_resnet", "ideal", *SHORT[2:], *options, "--eval-every", "1")
    assert trained.code == 0, trained.err
    epoch, outcome = map(json.loads, trained.out.splitlines())
    assert (epoch["epoch"], epoch["fidelity"]) == (1, "integer")
    assert (outcome["fidelity"], outcome["hardware_top1"]) == ("integer", None)


def test_pact_without_rectifiers_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ("asim:digits_vit", "ideal", *SHORT[2:], "--pact", "--no-eval-start")
    trained = run(capsys, "asim-train", *options, "-o", tmp_path / "out")
    assert trained.code == 0, trained.err
    assert "--pact has no effect: the model has no ReLU" in " ".join(trained.err.split())


def test_a_folder_with_more_classes_than_outputs_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(24):
        picture(tmp_path / "images" / "abc"[number % 3] / f"{number}.png")
    out = tmp_path / "out"
    options = (*MODEL[:2], "--data", tmp_path / "images", "-j", "0", "--epochs", "1", "-b", "4", "-o", out)
    refused = run(capsys, "asim-train", *options, "--val", "0.25", "--num-classes", "2", "--scratch")
    assert refused.code == 2
    assert "there are 3 classes; the model tells 2 apart" in " ".join(refused.err.split())
    assert not out.exists()
    more = run(capsys, "asim-train", *options, "--val", "0.25")  # the corrected command, in the same folder
    assert more.code == 0, more.err
    assert "the model has 10 outputs, and the images have 3 classes" in " ".join(more.err.split())
    assert (out / "confusion.csv").read_text().startswith(",a,b,c,3,")
