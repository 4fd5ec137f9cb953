"""The commands of the figures: what they print, on a few digits."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from safetensors.torch import save_file

from asim_fx.models import build_model
from benchmarks.reproduce import paper
from benchmarks.reproduce.drawing import Line, draw
from benchmarks.reproduce.setup import chip

Capture = pytest.CaptureFixture[str]
FEW = ["--num-samples", "4", "--seeds", "0:1"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fig6", ["--bits", "8"], ["| 8 | 100.00 | 92.08 | 65.48 | 95.27 | 68.14 |"]),
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
    assert list(tmp_path.glob("digits_resnet_*.jsonl"))


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
        command = ["--checkpoint", str(weights), "--bits", "8", "--results", str(tmp_path)]
        import_module("benchmarks.reproduce.fig6").main([*FEW, *command])
        assert len(list(tmp_path.glob("*.jsonl"))) == 2 * (seed + 1)
