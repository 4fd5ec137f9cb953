"""Plans of a small network: settings chosen per site, confirmed by simulation, written as a spec."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.analysis import analyse
from asim_fx.errors import PlanError, UsageError
from asim_fx.exploration.calibrator import Calibrator
from asim_fx.exploration.findings import Findings, Workbench, measure_sites
from asim_fx.exploration.images import Images
from asim_fx.exploration.knapsack import cost_of
from asim_fx.exploration.options import Choices, Goal, Option
from asim_fx.exploration.planner import _on_the_other_images, make_plan
from asim_fx.exploration.scores import accuracy_of
from asim_fx.simulation.metrics import Estimate
from asim_fx.spec import load_spec

CHOICES = Choices((1, 2, 4), (0, 2), ((0, 1), (4, 3)))


@pytest.fixture(scope="module")
def bench(small_net: nn.Module, images: Tensor) -> Workbench:
    """Labels are what the model itself says, so that only hardware makes mistakes; no class is likelier than others."""
    pictures = torch.randn(48, 2, 8, 8, generator=torch.Generator().manual_seed(5))
    small_net = copy.deepcopy(small_net)
    with torch.no_grad():
        small_net.head.bias -= small_net(pictures).mean(0)
        labels = small_net(pictures).argmax(1)
    assert len(labels.unique()) > 2
    halves = (Images(pictures[start::2], labels[start::2], 24) for start in (0, 1))
    quiet = ["macros.m.noise.random_percent_fs=0", "macros.m.noise.nonlinear_percent_fs=0"]  # one bit a read is exact
    spec = load_spec("generic-255x8b", quiet)
    return Workbench(analyse(small_net, images), spec, *halves, seeds=(0,))


@pytest.fixture(scope="module")
def findings(bench: Workbench) -> Findings:
    return measure_sites(bench, CHOICES, samples=24)


def test_what_is_measured_of_sites(bench: Workbench, findings: Findings) -> None:
    assert "stem" not in findings.sites  # the spec keeps it digital
    assert {"depthwise", "qkv", "head"} <= set(findings.sites)
    assert len(findings.options) == len(CHOICES.options())
    quiet, loud = (findings.options.index(Option(encoding, 0, 0, 1)) for encoding in (1, 4))
    voted = findings.options.index(Option(4, 0, 4, 3))
    for site in findings.sites:
        assert findings.noise[quiet][site] < findings.noise[loud][site]
        assert findings.conversions[quiet][site] > findings.conversions[loud][site] > 0
        assert findings.conversions[voted][site] > findings.conversions[loud][site]
        assert findings.sensitivity[site] > 0
    converted = bench.convert(bench.spec_with(dict.fromkeys(findings.sites, findings.options[loud])))
    assert converted.report.totals["reads"] == sum(findings.conversions[loud].values())


def test_a_plan_for_a_floor(bench: Workbench, findings: Findings) -> None:
    plan = make_plan(bench, findings, Goal(drop=5.0))
    own, *others = plan.measured
    assert own.name == "plan"
    uniform = next(one for one in others if one.name.startswith("best uniform"))
    assert own.conversions <= uniform.conversions
    assert "corresponds to a KL divergence of" in plan.notes[0]
    assert own.chosen_on >= float(plan.goal.split()[-2]) - 1e-9
    assert set(plan.options) == set(findings.sites)
    assert sum(plan.damage.values()) == pytest.approx(1)
    report = bench.convert(plan.spec).report
    assert report.totals["reads"] == own.conversions
    for row in report.rows:
        if row.name in plan.options:
            assert row.input_encoding == plan.options[row.name].input_encoding
            assert row.why.startswith("asim-plan: ")
            assert "The next dearer" in row.why or "No option does less damage" in row.why


def test_a_floor_of_nothing_takes_the_cheapest_option(bench: Workbench, findings: Findings) -> None:
    plan = make_plan(bench, findings, Goal(floor=0.0))
    least = sum(min(costs[site] for costs in findings.conversions) for site in findings.sites)
    assert plan.measured[0].conversions == least
    assert "must meet this accuracy alone" in plan.notes[0]
    (words,) = [note for note in plan.notes if "cheapest option that was offered" in note]
    assert "larger --encodings (such as 8)" in words
    assert not any("nothing was gained" in note for note in plan.notes)
    assert "--minimise energy" in words
    quiet = make_plan(bench, findings, Goal(drop=0.0))
    assert not any("cheapest option" in note for note in quiet.notes)


@pytest.mark.parametrize("floor", [0.0, 30.0, 60.0])
def test_a_plan_never_costs_more_than_a_uniform_setting_that_holds(
    bench: Workbench, findings: Findings, floor: float
) -> None:
    own, *others = make_plan(bench, findings, Goal(floor=floor)).measured
    assert own.chosen_on >= floor - 1e-9
    for uniform in others[:-1]:
        assert uniform.chosen_on >= floor - 1e-9
        assert own.conversions <= uniform.conversions


def test_a_plan_takes_the_place_of_an_earlier_one(bench: Workbench, findings: Findings) -> None:
    first = make_plan(bench, findings, Goal(share=0.5))
    kept = [rule for rule in bench.spec.rules if rule in first.spec.rules]
    assert len(kept) == len(bench.spec.rules)
    again = make_plan(replace(bench, spec=first.spec), findings, Goal(share=1.0))
    planned = [rule for rule in again.spec.rules if rule.why.startswith("asim-plan")]
    assert len(planned) == len(set(again.options.values()))
    assert len(again.spec.rules) == len(bench.spec.rules) + len(planned)


def test_the_ideal_model_stands_beside_the_plan(bench: Workbench, findings: Findings) -> None:
    plan = make_plan(bench, findings, Goal(drop=5.0))
    ideal = bench.convert(bench.spec)
    ideal.set_fidelity("integer")
    assert plan.ideal_chosen_on == accuracy_of(ideal, bench.choosing, (0,))[0]
    assert plan.ideal.mean == pytest.approx(accuracy_of(ideal, bench.reporting, (0,))[0])


def test_a_model_that_is_always_wrong_is_said(bench: Workbench, findings: Findings) -> None:
    wrong = replace(bench, choosing=replace(bench.choosing, labels=(bench.choosing.labels + 1) % 5))
    (first, *_) = make_plan(wrong, findings, Goal(drop=100.0)).notes
    assert "every plan is within 100 points" in first
    assert "at least 0.00 %" in make_plan(wrong, findings, Goal(drop=100.0)).goal


def test_a_floor_that_is_missed_on_other_images_is_said() -> None:
    low = Estimate(96.0, 95.0, 97.0, "9 seeds, Student t")
    (words,) = _on_the_other_images(Goal(drop=1.0), low, 99.0)
    assert "top-1 is 96.00 %, the floor is 98.00 % (1 point below the 99.00 %" in words
    assert "lies above the 95 % interval of the plan, 95.00 to 97.00 %" in words
    (words,) = _on_the_other_images(Goal(floor=96.5), low, 99.0)
    assert "lies within" in words
    assert _on_the_other_images(Goal(floor=96.0), low, 99.0) == ()
    assert _on_the_other_images(Goal(share=0.5), low, 99.0) == ()


def test_a_plan_for_a_budget(bench: Workbench, findings: Findings) -> None:
    base = bench.convert(bench.spec).report.totals["reads"]
    plan = make_plan(bench, findings, Goal(share=0.5))
    assert plan.measured[0].conversions <= 0.5 * base
    energy = make_plan(bench, findings, Goal(cost="energy", share=0.5)).measured
    assert energy[0].energy_j is not None
    assert energy[-1].energy_j is not None
    assert energy[0].energy_j <= 0.5 * energy[-1].energy_j


def test_a_budget_that_is_not_used_is_said(bench: Workbench, findings: Findings) -> None:
    rich = make_plan(bench, findings, Goal(share=50))
    assert any("of the budget is left" in note for note in rich.notes)
    enough = make_plan(bench, findings, Goal(budget=rich.measured[0].conversions))
    assert not any("of the budget is left" in note for note in enough.notes)
    assert enough.options == rich.options


def test_goals_out_of_reach_say_what_is_in_reach(bench: Workbench, findings: Findings) -> None:
    menus = findings.menus("conversions")
    least = cost_of(menus, tuple(min(range(len(menu)), key=lambda place: menu[place].cost) for menu in menus))
    with pytest.raises(PlanError, match=f"least possible is {least:,.0f} conversions"):
        make_plan(bench, findings, Goal(budget=1))
    with pytest.raises(PlanError, match=r"best is \d+\.\d+ %"):
        make_plan(bench, findings, Goal(floor=100.1))
    with pytest.raises(PlanError, match="budget"):
        make_plan(bench, findings, Goal(budget=least, drop=0.0))


@pytest.mark.parametrize("unknown", ["of a planned site", "of the digital ones"])
def test_energy_that_is_not_known_is_not_counted_as_none(bench: Workbench, findings: Findings, unknown: str) -> None:
    if unknown == "of the digital ones":
        lacking = replace(findings, fixed_energy_j=None)
    else:
        lacking = replace(findings, energy_j=({**findings.energy_j[0], "head": None}, *findings.energy_j[1:]))
    with pytest.raises(UsageError, match="does not say enough for the energy of"):
        make_plan(bench, lacking, Goal(cost="energy", drop=5.0))
    assert make_plan(bench, lacking, Goal(drop=5.0)).measured


def test_nothing_to_plan(bench: Workbench) -> None:
    digital = Workbench(
        bench.analysed, load_spec("ideal", ["defaults.target=integer"]), bench.choosing, bench.reporting
    )
    with pytest.raises(PlanError, match="no site"):
        measure_sites(digital, CHOICES)


def test_options_that_the_hardware_cannot_have_are_left_out(bench: Workbench) -> None:
    found = measure_sites(bench, Choices((1, 16), (0,), ((0, 1),), (8,)), samples=4)
    assert found.options == (Option(1, 0, 0, 1, 8),)
    (words,) = found.dropped
    assert words.startswith("encoding 16, hybrid 0, no votes, ADC 8: `input_encoding: 16` is wider than the input")


def test_what_needs_calibration_is_refused(bench: Workbench) -> None:
    with pytest.raises(UsageError, match="--calibrate"):
        bench.convert(load_spec("generic-255x8b", ["defaults.scale=static"]))


def test_a_plan_of_calibrated_windows(bench: Workbench, images: Tensor) -> None:
    """The spec that is written gives, calibrated on the same images, what the plan was measured with."""
    settings = ["macros.m.adc.range=calibrated", "macros.m.adc.bits=5", "defaults.scale=static"]
    calibrator = Calibrator("", "", [next(bench.choosing.batches())[:4]])
    calibrating = replace(bench, spec=load_spec(bench.spec, settings), calibrator=calibrator)
    found = measure_sites(calibrating, Choices((1, 2), (0,), ((0, 1),)), samples=12)
    seen = len(calibrator.observations.macs)
    plan = make_plan(calibrating, found, Goal(share=0.8))
    assert len(calibrator.observations.macs) == seen  # whole plans mix what was seen of single options
    assert {option.input_encoding for option in plan.options.values()} <= {1, 2}
    model = bench.analysed.model
    alone = asim_fx.convert(model, load_spec(plan.spec), images)
    asim_fx.calibrate(alone, calibrator.batches)
    planned = calibrating.convert(plan.spec)
    assert alone.calibration == planned.calibration
    assert torch.equal(alone(images), planned(images))
