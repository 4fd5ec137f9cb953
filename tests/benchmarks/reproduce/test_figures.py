"""The commands of the figures: what they print, on a few digits."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from asim_fx.models import build_model
from benchmarks.reproduce import paper
from benchmarks.reproduce.command import run
from benchmarks.reproduce.drawing import Line, draw
from benchmarks.reproduce.setup import Setup, chip, parser

Capture = pytest.CaptureFixture[str]
FEW = ["--num-samples", "4", "--seeds", "0:1"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fig6", ["--points", "8"], ["| 8 | 100.00 | 92.08 | 65.48 | 95.27 | 68.14 |"]),
        ("fig7", ["--points", "9", "--encodings", "1", "4"], ["Figure 7", "92.09", "91.96", "4 bits a read"]),
        ("fig9a", ["--points", "0.2", "0.3", "--encodings", "2"], ["55.30", "| 0.3 |"]),
        ("fig9b", ["--points", "0.2", "--encodings", "4", "--beside", "ViT-IN"], ["chance"]),
        ("fig18", ["--points", "0", "--encodings", "1"], ["93.42"]),
        ("table1", [], ["NeuroSim (min-max) |  | 61.09", "ASiM, no noise"]),
        ("table3", [], ["91.70", "91.84"]),
        ("jia", [], ["4 bits", "0.68 LSB rms"]),
        ("voting", [], ["72.74", "90.55", "median"]),
    ],
)
def test_a_command_prints_its_table(
    name: str, options: list[str], words: list[str], capsys: Capture, tmp_path: Path
) -> None:
    import_module(f"benchmarks.reproduce.{name}").main([*FEW, "--results", str(tmp_path), *options])
    out = capsys.readouterr().out
    assert all(word in out for word in [*words, "asim:digits_resnet", "4 images"])
    assert "`digits_resnet` is not a network of the paper" in out
    assert list(tmp_path.glob("digits_resnet_*_unfolded_*.jsonl"))


def test_batch_norms_are_folded_on_request_alone(capsys: Capture, tmp_path: Path) -> None:
    """A weight has other codes where a batch norm was folded into it."""
    fig6 = import_module("benchmarks.reproduce.fig6")
    command = [*FEW, "--points", "8", "--results", str(tmp_path)]
    fig6.main(command)
    assert "folded" not in capsys.readouterr().out
    fig6.main([*command, "--fold"])
    assert "Batch norms are folded into the weights" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*_folded_*.jsonl"))) == len(list(tmp_path.glob("*_unfolded_*.jsonl"))) == 2
    chips = []
    for fold in (True, False):
        setup = Setup(parser("").parse_args([*FEW, *["--fold"] * fold]))
        size = setup.built.source.input_size
        chips.append(setup.converted(())(torch.ones(1, *size)))
    assert not torch.equal(*chips)


def test_figure_6_is_drawn(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "6.svg"
    import_module("benchmarks.reproduce.fig6").main([*FEW, "--points", "8", "--plot", str(file)])
    assert file.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fig6", ["--data", "nowhere"], "there is no data folder nowhere"),
        ("fig6", ["--model", "asim:resnet19"], "resnet19"),
        ("fig6", ["--checkpoint", "none.pkl"], "none.pkl: no such checkpoint file"),
        ("fig6", ["--num-samples", "0"], "--num-samples: 0 is below 1"),
        ("fig6", ["--seeds", "x"], "'x' is no list of seeds"),
        ("fig6", ["--device", "cuda:99"], "cuda:99"),
        ("fig6", ["--device", "tpux"], "unknown device"),
        ("fig6", ["--points", "0"], "0 is not from 1 to 24"),
        ("fig6", ["--plot", "x.foo"], "does not end in .svg"),
        ("fig6", ["--plot", "nowhere/x.svg"], "there is no folder nowhere"),
        ("fig7", ["--encodings", "9"], "--encodings: invalid choice: 9"),
        ("fig9a", ["--points", "nan"], "nan is no finite number"),
        ("fig18", ["--colour"], "unrecognized arguments: --colour"),
        ("bounds", ["none.pkl", "--data", "nowhere", "-o", "out"], "none.pkl: no such checkpoint file"),
        ("bounds", ["none.pkl", "--data", "nowhere", "-o", "out", "--times", "0"], "0 is not above 0"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    name: str, options: list[str], words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [name, *options])
    with pytest.raises(SystemExit) as stop:
        run(import_module(f"benchmarks.reproduce.{name}").main)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.err.startswith("error: ")
    assert words in captured.err
    assert not captured.out


@pytest.mark.parametrize("part", ["test", "valid", "val"])
def test_the_folder_that_exists_is_taken(part: str, tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / part / f"class{number}").mkdir(parents=True)
        Image.new("L", (8, 8), 90 * number).save(tmp_path / part / f"class{number}" / "1.png")
    (tmp_path / "train").mkdir()
    setup = Setup(parser("").parse_args(["--data", str(tmp_path)]))
    assert setup.data.samples == 2


def test_the_papers_curves_have_a_value_for_each_point() -> None:
    for curves, points in (
        (paper.FIG6, paper.FIG6_BITS),
        (paper.FIG7, paper.FIG7_BITS),
        (paper.FIG9A, paper.NOISE_PERCENT),
        (paper.FIG9B, paper.NOISE_PERCENT),
        (paper.FIG18, paper.NOISE_PERCENT),
    ):
        assert all(len(curve) == len(points) for curve in curves.values())


def test_the_chip_takes_the_changes_of_the_figures() -> None:
    spec = chip(("macros.m.adc.bits=6", "defaults.input_encoding=4"))
    assert (spec.macros["m"].rows, spec.macros["m"].adc.bits, spec.defaults.input_encoding) == (256, 6, 4)


def test_a_figure_is_drawn_beside_the_papers(tmp_path: Path) -> None:
    lines = [Line("bit-serial", (0.0, 0.1), (90.0, 80.0), (0.0, 0.1, 0.2), (92.0, 85.0, None))]
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for file in files:
        draw(lines, "noise", "here", "paper", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"<svg" in files[0].read_bytes()


def test_journals_of_two_sets_of_weights_do_not_meet(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        weights = tmp_path / f"{name}.safetensors"
        save_file(build_model("asim:digits_resnet").model.state_dict(), weights)
        command = ["--checkpoint", str(weights), "--points", "8", "--results", str(tmp_path)]
        import_module("benchmarks.reproduce.fig6").main([*FEW, *command])
        assert len(list(tmp_path.glob("*.jsonl"))) == 2 * (seed + 1)
