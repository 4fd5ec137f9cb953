"""What a plan may choose for a site: its encoding, digital levels, votes and converter."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from asim_fx.errors import UsageError
from asim_fx.exploration.costs import COSTS


@dataclass(frozen=True, slots=True, order=True)
class Option:
    """Settings of one site. Fields that are None stay as the spec has them.

    Attributes:
        input_encoding: bits of the input that one read applies.
        hybrid_levels: levels that are digital.
        vote_levels: levels that are voted.
        vote_samples: reads of a voted cycle.
        adc_bits: of the converter.
    """

    input_encoding: int | None = None
    hybrid_levels: int | None = None
    vote_levels: int = 0
    vote_samples: int = 1
    adc_bits: int | None = None

    def rule(self) -> dict[str, Any]:
        """Return the fields of a rule that set it."""
        fields: dict[str, Any] = {"vote": {"levels": self.vote_levels, "samples": self.vote_samples}}
        if self.input_encoding is not None:
            fields["input_encoding"] = self.input_encoding
        if self.hybrid_levels is not None:
            fields["hybrid"] = {"levels": self.hybrid_levels}
        if self.adc_bits is not None:
            fields["macro"] = {"adc": {"bits": self.adc_bits}}
        return fields

    def __str__(self) -> str:
        words = [] if self.input_encoding is None else [f"encoding {self.input_encoding}"]
        words += [] if self.hybrid_levels is None else [f"hybrid {self.hybrid_levels}"]
        words += [f"votes {self.vote_levels}x{self.vote_samples}" if self.vote_levels else "no votes"]
        words += [] if self.adc_bits is None else [f"ADC {self.adc_bits}"]
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Choices:
    """What each site may choose from; every combination is an option. An empty list leaves the spec's own value.

    Attributes:
        encodings: bits of the input that one read applies.
        hybrids: levels that are digital.
        votes: (levels, samples) pairs.
        adc_bits: of the converter.
    """

    encodings: tuple[int, ...] = (1, 2, 4)
    hybrids: tuple[int, ...] = (0, 2, 3)
    votes: tuple[tuple[int, int], ...] = ((0, 1), (1, 3), (2, 3), (3, 3), (4, 3), (5, 3), (6, 3))
    adc_bits: tuple[int, ...] = ()

    def options(self) -> list[Option]:
        """Return every combination.

        Raises:
            UsageError: there is none, as every voted level would be digital.
        """
        found = [
            Option(encoding, hybrid, *vote, adc)
            for encoding, hybrid, vote, adc in itertools.product(
                self.encodings or (None,), self.hybrids or (None,), self.votes or ((0, 1),), self.adc_bits or (None,)
            )
            if not vote[0] or hybrid is None or vote[0] > hybrid  # else all that would be voted is digital
        ]
        if not found:
            votes = ",".join(f"{levels}x{samples}" for levels, samples in self.votes)
            hybrids = ",".join(map(str, self.hybrids))
            message = f"--votes {votes} with --hybrid {hybrids} leaves no option: every voted level would be digital"
            raise UsageError(
                message, hint="add 0 (no votes) to --votes, or vote more levels than --hybrid makes digital"
            )
        return found


def parse_counts(flag: str, text: str, least: int, most: int) -> tuple[int, ...]:
    """Return the numbers of ``1,2,4``.

    Raises:
        UsageError: one is no whole number between the bounds.
    """
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(least <= number <= most for number in numbers):
        message = f"{flag} {text}: must be whole numbers from {least} to {most}, with commas"
        raise UsageError(message, hint=f"for example {flag} {least},{least + 1}")
    return numbers


def parse_votes(text: str) -> tuple[tuple[int, int], ...]:
    """Return the (levels, samples) pairs of ``0,3x3,6x5``; 0 stands for no votes.

    Raises:
        UsageError: it holds something else.
    """
    found = []
    for part in text.split(","):
        levels, cross, samples = part.strip().partition("x")
        if part.strip() == "0":
            found.append((0, 1))
        elif cross and levels.isdecimal() and samples.isdecimal() and int(levels) >= 1 and int(samples) >= 2:
            found.append((int(levels), int(samples)))
        else:
            message = f"--votes {text}: {part!r} is not LEVELSxSAMPLES with at least 1 level and 2 samples, or 0"
            raise UsageError(message, hint="for example --votes 0,3x3,6x5")
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Goal:
    """What a plan is for. At least one of ``floor``, ``drop``, ``budget`` and ``share`` is set.

    Attributes:
        cost: ``conversions`` or ``energy``.
        budget: the most it may cost.
        share: the same as a share of what the spec costs as it is.
        floor: the least top-1 accuracy in percent.
        drop: the same as points below the ideal integer model.
    """

    cost: str = "conversions"
    budget: float | None = None
    share: float | None = None
    floor: float | None = None
    drop: float | None = None


def parse_goal(budget: str | None, floor: str | None, minimise: str) -> Goal:
    """Return what ``--budget conversions=0.6x``, ``--floor drop=0.5`` and ``--minimise`` mean.

    Raises:
        UsageError: they mean nothing, or there is neither budget nor floor.
    """
    if minimise not in COSTS:
        message = f"--minimise {minimise}: known are {', '.join(COSTS)}"
        raise UsageError(message)
    if budget is None and floor is None:
        message = "there is no goal"
        raise UsageError(message, hint="--floor accuracy=97.5, --floor drop=0.5, or --budget conversions=0.6x")
    fields: dict[str, Any] = {"cost": minimise}
    if budget is not None:
        name, _, value = budget.partition("=")
        relative = value.endswith("x")
        number = _positive(value.removesuffix("x"))
        if name not in COSTS or number is None or number == 0:
            message = (
                f"--budget {budget}: must be conversions=N, energy=JOULES, or a share of the spec's own such as 0.6x"
            )
            raise UsageError(message, hint="for example --budget conversions=0.6x, or --budget energy=2e-6")
        fields |= {"cost": name, "share" if relative else "budget": number}
    if floor is not None:
        name, _, value = floor.partition("=")
        number = _number(value)
        if name in ("accuracy", "drop") and number is not None and not 0 <= number <= 100:
            message = f"--floor {floor}: {name} is out of range, it goes from 0 to 100"
            raise UsageError(message, hint="drop=0.5 is half a point below the ideal integer model")
        if name not in ("accuracy", "drop") or number is None:
            message = f"--floor {floor}: must be accuracy=PERCENT, or drop=POINTS below the ideal integer model"
            raise UsageError(message, hint="for example --floor accuracy=97.5, or --floor drop=0.5")
        fields["floor" if name == "accuracy" else "drop"] = number
    return Goal(**fields)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if isnan(number) else number


def _positive(text: str) -> float | None:
    number = _number(text)
    return number if number is not None and 0 <= number < float("inf") else None


PLANNED = "asim-plan"
"""How the ``why`` of a rule begins that a plan made."""


def plan_rules(chosen: Mapping[str, Option], why: Mapping[Option, str]) -> list[dict[str, Any]]:
    """Return rules that give each site its option; sites with equal options share one.

    Args:
        chosen: site -> its option.
        why: option -> why its sites have it.
    """
    groups: dict[Option, list[str]] = {}
    for site, option in chosen.items():
        groups.setdefault(option, []).append(site)
    return [
        {
            "match": {"name": sites[0] if len(sites) == 1 else sites},
            **option.rule(),
            "why": f"{PLANNED}: {why[option]}" if option in why else PLANNED,
        }
        for option, sites in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
