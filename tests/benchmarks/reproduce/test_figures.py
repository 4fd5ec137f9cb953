"""The commands of the figures: what they print, on a few digits."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.reproduce import paper
from benchmarks.reproduce.mnist import mnist_resnet, with_noise
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


def test_training_with_noise_keeps_the_names_of_the_weights() -> None:
    model = mnist_resnet()
    noisy = with_noise(model, 10.0)
    assert list(noisy.state_dict()) == list(model.state_dict())
    assert noisy.conv1.trim_noise == 0
    assert noisy.fc.trim_noise == 0.1
