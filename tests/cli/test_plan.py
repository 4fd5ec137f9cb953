from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from asim_fx.cli.plan import _comparison, _intervals
from asim_fx.exploration.planner import Measured, Plan
from asim_fx.simulation.metrics import Estimate
from asim_fx.spec import load_spec
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
    text = file.read_text()
    assert "asim-plan: " in text
    own, ideal = plan["reported_on"]["mean"], data["ideal_integer"]["reported_on"]["mean"]
    assert f"#   plan: {plan['chosen_on']:.2f} %; {own:.2f} (" in text
    assert f"#   ideal integer model: {data['ideal_integer']['chosen_on']:.2f} %; {ideal:.2f} (" in text
    again = tmp_path / "again.yaml"
    replanned = run(capsys, "asim-plan", NET[0], file, *NET[2:], *FEW, "--budget", "conversions=1x", "-o", again)
    assert replanned.code == 0, replanned.err
    assert "\nname: generic-255x8b-planned\n" in again.read_text()


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
        (("--floor", "drop=1", "--hybrid", "3", "--votes", "3x3"), 2, ("leaves no option", "add 0")),
        (("--floor", "drop=1", "--device", "nowhere"), 2, ("unknown device 'nowhere'",)),
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
    kinds = {"plan": "9 seeds", "the spec as it is": "9 seeds", "best uniform": "180 images"}
    rows = {name: Estimate(0.0, 0.0, 0.0, kind) for name, kind in kinds.items()}
    assert _intervals({"plan": rows["plan"]}) == "95 % interval over 9 seeds"
    words = "95 % interval over 9 seeds (plan, the spec as it is); 180 images (best uniform)"
    assert _intervals(rows) == words


def compared(cost: str, *, has_floor: bool, own_energy_j: float | None = 1e-6) -> str:
    """Return the comparison of a plan in words, its cells separated by spaces."""
    sure = Estimate(99.0, 98.0, 100.0, "9 seeds")
    own = Measured("plan", 500, own_energy_j, 99.0, sure, 0.0)
    other = Measured("the spec as it is", 1000, 4e-6, 98.5, replace(sure, mean=98.5), 0.0)
    plan = Plan(load_spec("ideal"), {}, {}, "", cost, has_floor, (own, other), replace(sure, mean=99.5), 99.0)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(_comparison(plan, 120))
    return " ".join(console.export_text().split())


def test_what_a_plan_saves_is_in_the_unit_of_its_goal() -> None:
    words = compared("conversions", has_floor=True)
    assert "plan saves conversions" in words
    assert "1,000 50.0% 4" in words
    assert "ideal integer model 99.50 (98.0-100.0)" in words
    words = compared("energy", has_floor=True)
    assert "plan saves energy" in words
    assert "1,000 75.0% 4" in words


def test_an_unknown_energy_is_said_to_be_unknown() -> None:
    assert "500 unknown" in compared("conversions", has_floor=True, own_energy_j=None)


def test_a_budget_shows_what_a_plan_gains() -> None:
    words = compared("energy", has_floor=False)
    assert "plan gains, points" in words
    assert "1,000 +0.50 4" in words


def test_one_class(capsys, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    for number in range(4):
        Image.new("L", (8, 8), 40 * number).save(tmp_path / "0" / f"{number}.png")
    arguments = ("asim:digits_vit", "generic-255x8b", "--data", tmp_path, "--floor", "drop=1")
    is_refused(run(capsys, "asim-plan", *arguments), 2, "all images are of one class")


def test_empty_data(capsys, tmp_path: Path) -> None:
    arguments = ("asim:digits_vit", "generic-255x8b", "--data", tmp_path, "--floor", "drop=1")
    is_refused(run(capsys, "asim-plan", *arguments), 2, str(tmp_path.name))
