from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from asim_fx.cli.plan import _intervals
from asim_fx.exploration.planner import Measured
from asim_fx.simulation.metrics import Estimate
from tests.cli.command import run
from tests.cli.test_bad_input import is_refused

NET = ("asim:digits_vit", "generic-255x8b", "--data", "digits", "--num-samples", 12, "-b", 12, "--seeds", "0")
FEW = ("--encodings", "1,2", "--hybrid", "0", "--votes", "0", "--probe-samples", 4)


def test_a_plan_is_an_ordinary_spec(capsys, tmp_path: Path) -> None:
    file = tmp_path / "planned.yaml"
    result = run(capsys, "asim-plan", *NET, *FEW, "--budget", "conversions=0.8x", "-o", file, "--json")
    assert result.code == 0, result.err
    data = json.loads(result.out)
    plan, spec = data["measured"][0], data["measured"][-1]
    assert plan["conversions"] <= 0.8 * spec["conversions"]
    assert sum(site["conversions"] for site in data["sites"]) == plan["conversions"]
    assert run(capsys, "asim-spec", "check", file).code == 0
    converted = run(capsys, "asim-convert", "asim:digits_vit", file, "--dry-run", "--report", "json")
    assert json.loads(converted.out)["totals"]["reads"] == plan["conversions"]
    assert "asim-plan: " in file.read_text()


def test_a_plan_of_calibrated_windows_is_one_too(capsys, tmp_path: Path) -> None:
    file = tmp_path / "planned.yaml"
    settings = ("--set", "macros.m.adc.range=calibrated", "--set", "macros.m.adc.bits=6")
    images = ("--calibrate", "digits", "--calib-samples", 8)
    few = ("--encodings", "2", "--hybrid", "0", "--votes", "0", "--probe-samples", 4)
    result = run(capsys, "asim-plan", *NET, *settings, *images, *few, "--budget", "conversions=1x", "-o", file)
    assert result.code == 0, result.err
    assert "asim-convert --calibrate digits --calib-samples 8 --calib-split train" in file.read_text()
    made = run(capsys, "asim-convert", "asim:digits_vit", file, *images, "-o", tmp_path / "out")
    assert made.code == 0, made.err
    refused = run(capsys, "asim-plan", *NET, *settings, *few, "--budget", "conversions=1x")
    is_refused(refused, 2, "--calibrate SOURCE")
    is_refused(run(capsys, "asim-plan", *NET, *images, "--floor", "drop=1"), 2, "nothing to do")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ("no goal", "--floor accuracy=97.5")),
        (("--budget", "much"), 2, ("--budget much",)),
        (("--floor", "drop=1", "--votes", "3"), 2, ("--votes 3", "LEVELSxSAMPLES")),
        (("--floor", "drop=1", "--hybrid", "x"), 2, ("--hybrid x",)),
        (("--floor", "drop=1", "--set", "defaults.input_encodin=2"), 2, ("input_encoding",)),
        (("--floor", "drop=1", "--num-samples", 1), 2, ("two images",)),
        (("--budget", "conversions=10", *FEW), 4, ("cannot be met", "least possible is")),
    ],
)
def test_bad_input(capsys, arguments: tuple[object, ...], code: int, words: tuple[str, ...]) -> None:
    is_refused(run(capsys, "asim-plan", *NET, *arguments), code, *words)


def test_nothing_is_written_over(capsys, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    shipped = run(capsys, "asim-spec", "show", "generic-255x8b").out
    for file in (mine, other):
        file.write_text(f"# my own words\n{shipped}")
    goal = ("--data", "digits", "--floor", "drop=1", "-o")
    is_refused(run(capsys, "asim-plan", NET[0], mine, *goal, mine, "--overwrite"), 2, "reads; it would be lost")
    is_refused(run(capsys, "asim-plan", NET[0], mine, *goal, other), 2, "exists", "--overwrite replaces it")
    assert mine.read_text() == other.read_text() == f"# my own words\n{shipped}"
    replaced = run(capsys, "asim-plan", *NET, *FEW, "--budget", "conversions=1x", "-o", other, "--overwrite")
    assert replaced.code == 0, replaced.err
    assert "my own words" not in other.read_text()
    is_refused(run(capsys, "asim-plan", *NET, "--floor", "drop=1", "--overwrite"), 2, "--overwrite needs -o")


def test_the_images_to_choose_on_are_not_those_to_report_on(capsys, tmp_path: Path) -> None:
    """One part of the digits has two names; a folder without parts is the same whatever part is asked for."""
    same = ("names the same images", "leave it out")
    is_refused(run(capsys, "asim-plan", *NET, "--floor", "drop=1", "--choose-split", "test"), 2, *same)
    for label in (0, 1):
        (tmp_path / str(label)).mkdir()
        for number in range(2):
            Image.new("L", (8, 8), 40 * number).save(tmp_path / str(label) / f"{number}.png")
    arguments = (NET[0], NET[1], "--data", tmp_path, "--floor", "drop=1", "--choose-split", "train")
    is_refused(run(capsys, "asim-plan", *arguments), 2, *same)


def test_intervals_are_named_for_each_row_where_they_differ() -> None:
    rows = [
        Measured(name, 1, None, 0.0, Estimate(0.0, 0.0, 0.0, kind), 0.0)
        for name, kind in (("plan", "9 seeds"), ("best uniform", "180 images"), ("the spec as it is", "9 seeds"))
    ]
    assert _intervals((rows[0], rows[2])) == "95 % interval over 9 seeds"
    words = "95 % interval over 9 seeds (plan, the spec as it is); 180 images (best uniform)"
    assert _intervals(tuple(rows)) == words


def test_one_class(capsys, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    for number in range(4):
        Image.new("L", (8, 8), 40 * number).save(tmp_path / "0" / f"{number}.png")
    arguments = ("asim:digits_vit", "generic-255x8b", "--data", tmp_path, "--floor", "drop=1")
    is_refused(run(capsys, "asim-plan", *arguments), 2, "all images are of one class")


def test_empty_data(capsys, tmp_path: Path) -> None:
    arguments = ("asim:digits_vit", "generic-255x8b", "--data", tmp_path, "--floor", "drop=1")
    is_refused(run(capsys, "asim-plan", *arguments), 2, str(tmp_path.name))
