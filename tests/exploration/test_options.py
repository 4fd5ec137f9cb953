from __future__ import annotations

import pytest

from asim_fx.errors import UsageError
from asim_fx.exploration.options import Choices, Goal, Option, parse_counts, parse_goal, parse_votes, plan_rules


def test_options_are_every_combination_that_differs() -> None:
    options = Choices((1, 2), (0, 3), ((0, 1), (3, 3), (6, 5)), (7, 8)).options()
    assert len(options) == len(set(options)) == 2 * 2 * (2 * 3 - 1)  # three levels voted that are digital anyway
    assert Choices((), (), (), ()).options() == [Option()]


def test_lists_that_leave_no_option_are_refused() -> None:
    with pytest.raises(UsageError, match="--votes 3x3 with --hybrid 3 leaves no option") as refused:
        Choices((2, 4), (3,), ((3, 3),)).options()
    assert "add 0" in refused.value.hint


def test_a_rule_sets_what_the_option_says() -> None:
    assert Option(2, 3, 6, 5, 7).rule() == {
        "input_encoding": 2,
        "hybrid": {"levels": 3},
        "vote": {"levels": 6, "samples": 5},
        "macro": {"adc": {"bits": 7}},
    }
    assert Option().rule() == {"vote": {"levels": 0, "samples": 1}}


def test_sites_with_equal_options_share_a_rule() -> None:
    chosen = {"a": Option(1), "b": Option(2), "c": Option(1)}
    rules = plan_rules(chosen, {Option(1): "A", Option(2): "B"})
    assert [rule["match"]["name"] for rule in rules] == [["a", "c"], "b"]
    assert [rule["why"] for rule in rules] == ["asim-plan: A", "asim-plan: B"]


@pytest.mark.parametrize(
    ("budget", "floor", "goal"),
    [
        ("conversions=0.6x", None, Goal("conversions", share=0.6)),
        ("energy=2e-6", None, Goal("energy", budget=2e-6)),
        (None, "accuracy=97.5", Goal("conversions", floor=97.5)),
        (None, "drop=0", Goal("conversions", drop=0)),
        ("energy=0.5x", "drop=1", Goal("energy", share=0.5, drop=1)),
    ],
)
def test_goals(budget: str | None, floor: str | None, goal: Goal) -> None:
    assert parse_goal(budget, floor, "conversions") == goal


@pytest.mark.parametrize(
    ("budget", "floor", "minimise"),
    [
        (None, None, "conversions"),
        ("0.6x", None, "conversions"),
        ("conversions=", None, "conversions"),
        ("conversions=0x", None, "conversions"),
        ("conversions=-5", None, "conversions"),
        ("joy=5", None, "conversions"),
        ("energy=nan", None, "conversions"),
        (None, "accuracy=101", "conversions"),
        (None, "97", "conversions"),
        (None, "drop=x", "conversions"),
        (None, "drop=1", "joy"),
    ],
)
def test_goals_that_mean_nothing(budget: str | None, floor: str | None, minimise: str) -> None:
    with pytest.raises(UsageError):
        parse_goal(budget, floor, minimise)


@pytest.mark.parametrize("floor", ["accuracy=101", "accuracy=-1", "drop=-0.5", "drop=inf"])
def test_a_floor_out_of_range_says_the_range(floor: str) -> None:
    with pytest.raises(UsageError, match=r"out of range, it goes from 0 to 100"):
        parse_goal(None, floor, "conversions")
    with pytest.raises(UsageError, match="must be accuracy=PERCENT"):
        parse_goal(None, "accuracy=nan", "conversions")


def test_lists() -> None:
    assert parse_counts("--adc-bits", "6,7,7", 1, 24) == (6, 7)
    assert parse_votes("0,3x3,6x5,3x3") == ((0, 1), (3, 3), (6, 5))
    for wrong in ("", "x", "0", "25", "1.5"):
        with pytest.raises(UsageError):
            parse_counts("--adc-bits", wrong, 1, 24)
    for wrong in ("", "3", "3x", "3x1", "0x3", "ax3"):
        with pytest.raises(UsageError):
            parse_votes(wrong)
