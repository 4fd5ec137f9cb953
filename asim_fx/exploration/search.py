"""Search a grid with Optuna instead of running all of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Axis, Settings, size
from asim_fx.exploration.cells import CellResult, Objective, RunCells

Sampler = Literal["tpe", "nsga2"]

_MOST_ASKED = 5
"""Times as many points are asked for as are to be tried: a sampler chooses some again."""
_FEW = 4
"""Cells that may all lack an objective before a search ends for it."""


@dataclass(frozen=True, slots=True)
class Search:
    """How a grid is searched.

    Attributes:
        trials: how many different points are tried. Samplers choose some points again; they are asked a few times as
            often at most, and then fewer points are tried.
        objectives: what is improved, all at once.
        sampler: ``tpe`` (tree-structured Parzen estimator) or ``nsga2``.
        seed: of the sampler.
        at_once: points that are chosen before the first of them is known: as many as run side by side.
    """

    trials: int
    objectives: tuple[Objective, ...]
    sampler: Sampler = "tpe"
    seed: int = 0
    at_once: int = 1


def search(axes: Sequence[Axis], plan: Search, run: RunCells) -> list[CellResult]:
    """Try points of a grid, and return their results in the order they were tried, each once. Needs Optuna.

    The study lives in memory. To go on after an interruption the same search starts again from its seed: the sampler
    makes the same choices as before, and what was measured is not measured again. So nothing but results is stored.

    Args:
        axes: the values of each field. Numbers are ordered for the sampler, words are not.
        plan: how.
        run: evaluates points.

    Raises:
        UsageError: no cell has a value for an objective, for example no energy.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: Any
    if plan.sampler == "nsga2":
        sampler = optuna.samplers.NSGAIISampler(seed=plan.seed, population_size=max(4, min(20, plan.trials // 4)))
    else:
        sampler = optuna.samplers.TPESampler(seed=plan.seed, n_startup_trials=max(4, min(10, plan.trials // 3)))
    directions = ["maximize" if objective.largest else "minimize" for objective in plan.objectives]
    study = optuna.create_study(directions=directions, sampler=sampler)
    results: dict[Settings, CellResult] = {}
    wanted = min(plan.trials, size(axes))
    asked = 0
    while len(results) < wanted and asked < _MOST_ASKED * plan.trials:
        trials = [study.ask() for _ in range(min(plan.at_once, wanted - len(results)))]
        asked += len(trials)
        chosen = [_choose(trial, axes) for trial in trials]
        new = [cell for cell in dict.fromkeys(chosen) if cell not in results]
        found = {result.settings: result for result in run(new)}
        results.update({cell: found[cell] for cell in new})  # in the order tried: they come as they are finished
        _check_known(list(results.values()), plan.objectives, last=len(results) == wanted)
        for trial, cell in zip(trials, chosen, strict=True):
            _tell(study, trial, _values(results[cell], plan.objectives, list(results.values())))
    return list(results.values())


def _choose(trial: Any, axes: Sequence[Axis]) -> Settings:
    return tuple((axis.path, axis.values[_position(trial, axis)]) for axis in axes)


def _position(trial: Any, axis: Axis) -> int:
    if axis.numbers is None:
        chosen: str = trial.suggest_categorical(axis.path, axis.values)
        return axis.values.index(chosen)
    numbers = axis.numbers
    ordered = sorted(range(len(numbers)), key=numbers.__getitem__)
    place: int = trial.suggest_int(axis.path, 0, len(numbers) - 1)
    return ordered[place]


def _check_known(results: Sequence[CellResult], objectives: Sequence[Objective], *, last: bool) -> None:
    """Refuse to search for what no cell has; one cell without it does not end a search.

    Raises:
        UsageError: it is unknown for all cells that were tried, and they are not few or the last ones.
    """
    measured = [result for result in results if not result.error]
    if not measured or (len(measured) < _FEW and not last):
        return
    for objective in objectives:
        if all(objective.of(result) is None for result in measured):
            message = f"the spec does not say enough for {objective.name}"
            raise UsageError(message, hint="macros.*.cost says what energy and latency follow from")


def _values(result: CellResult, objectives: Sequence[Objective], all_results: Sequence[CellResult]) -> list[float]:
    """Return what a sampler is told of a cell: where it lacks an objective, the worst of every objective so far.

    A cell that cannot be run lacks all of them. A trial that is reported as failed is as good as untried to the
    samplers, and they choose it again and again. Nothing where no cell has all objectives so far.
    """
    own = _known(result, objectives)
    if own is not None:
        return own
    known = [values for other in all_results if (values := _known(other, objectives)) is not None]
    columns = zip(objectives, zip(*known, strict=True), strict=True) if known else ()
    return [min(column) if objective.largest else max(column) for objective, column in columns]


def _known(result: CellResult, objectives: Sequence[Objective]) -> list[float] | None:
    """Return the objectives of a cell; None where one is unknown."""
    values = [value for objective in objectives if (value := objective.of(result)) is not None]
    return values if len(values) == len(objectives) else None


def _tell(study: Any, trial: Any, values: Sequence[float]) -> None:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's about its own interfaces
        if values:
            study.tell(trial, values)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
