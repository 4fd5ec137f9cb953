"""Run passes in an order that is checked before anything runs.

A pass is a plain function ``(GraphModule, PassContext) -> bool`` (True: it changed something) that declares the facts
it requires of the graph and the facts that hold once it ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from asim_fx.errors import PipelineError, VerificationError
from asim_fx.passlog import FoldedOp as FoldedOp
from asim_fx.passlog import PassLog as PassLog
from asim_fx.spec.schema import HardwareSpec


class Fact(StrEnum):
    """Something that is true of a graph, and of every graph that later passes make of it."""

    CAPTURED = auto()
    FLAT = auto()
    COMPOSITE = auto()
    NO_SDPA = auto()
    CANONICAL = auto()
    ROLES = auto()
    NO_NOOPS = auto()
    STATIC_WEIGHTS = auto()
    FOLDED = auto()
    CLIPPED = auto()
    SITES = auto()
    SIGNS = auto()
    CLIPS = auto()
    LAYOUTS = auto()
    MAPPING = auto()
    LEGAL = auto()
    TILES = auto()
    BITPLAN = auto()
    VOTED = auto()
    LOWERED = auto()
    TRAINABLE = auto()
    VERIFIED = auto()


@dataclass(frozen=True, slots=True)
class PassContext:
    """What a pass may know beside the graph.

    Attributes:
        spec: the hardware spec.
        batch: size of the batch that the graph was captured with.
        aliases: ``@first_conv`` and ``@classifier`` as the model's own configuration names them.
        prefix: qualified name of the captured submodule, empty for a whole model.
        strict: whether a site that stays unmapped is an error.
        fold_batch_norm: whether batch norm is folded into the op before it.
        pact: whether ReLUs get a learned bound.
        trainable: whether the graph is to be trained: what is computed from parameters stays in it, and dropout.
        log: what the report must say.
    """

    spec: HardwareSpec
    batch: int = 2
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefix: str = ""
    strict: bool = False
    fold_batch_norm: bool = True
    pact: bool = False
    trainable: bool = False
    log: PassLog = field(default_factory=PassLog)


GraphPass = Callable[[GraphModule, PassContext], bool]


def graph_pass(*, requires: Sequence[Fact], provides: Sequence[Fact]) -> Callable[[GraphPass], GraphPass]:
    """Declare what a pass needs and what it makes true.

    Args:
        requires: facts that must hold before it runs.
        provides: facts that hold afterwards.
    """

    def declare(function: GraphPass) -> GraphPass:
        function.requires = frozenset(requires)  # type: ignore[attr-defined]
        function.provides = frozenset(provides)  # type: ignore[attr-defined]
        return function

    return declare


@dataclass(frozen=True, slots=True)
class PassTiming:
    """How long a pass took, and whether it changed the graph."""

    name: str
    seconds: float
    changed: bool


class Pipeline:
    """An ordered list of passes whose facts were checked.

    Args:
        passes: the passes, in order.
        given: facts that hold before the first of them.

    Raises:
        PipelineError: a pass requires a fact that no earlier pass provides. All such passes are named.
    """

    def __init__(self, passes: Sequence[GraphPass], *, given: Sequence[Fact] = (Fact.CAPTURED,)) -> None:
        self.passes = tuple(passes)
        facts = set(given)
        problems = []
        for step in self.passes:
            missing = requires_of(step) - facts
            problems += [f"{name_of(step)} requires {fact}; no earlier pass provides it" for fact in sorted(missing)]
            facts |= provides_of(step)
        if problems:
            raise PipelineError("the passes cannot run in this order:\n" + "\n".join(problems))

    def run(
        self,
        graph_module: GraphModule,
        context: PassContext,
        *,
        until: Fact | None = None,
        check: Callable[[GraphModule], Any] | None = None,
        dump: Path | None = None,
    ) -> list[PassTiming]:
        """Run the passes in place.

        Args:
            graph_module: the captured graph; changed in place.
            context: what the passes may know.
            until: stop after the pass that provides this fact.
            check: called after each pass that changed the graph; whatever it raises is reported with the pass's name.
            dump: folder that gets the graph as text after each pass (``03_fold_constants.txt``).

        Returns:
            one timing for each pass that ran.

        Raises:
            PipelineError: a pass left a graph that is not valid.
            VerificationError: ``check`` failed after a pass.
        """
        timings = []
        for number, step in enumerate(self.passes):
            name = name_of(step)
            start = time.perf_counter()
            changed = step(graph_module, context)
            if changed:
                try:
                    graph_module.graph.lint()
                except RuntimeError as error:
                    message = f"pass {name} left a graph that is not valid: {error}"
                    raise PipelineError(message) from error
                graph_module.recompile()
            timings.append(PassTiming(name, time.perf_counter() - start, changed))
            if dump is not None:
                dump.mkdir(parents=True, exist_ok=True)
                (dump / f"{number:02d}_{name}.txt").write_text(str(graph_module.graph))
            if changed and check is not None:
                try:
                    check(graph_module)
                except VerificationError as error:
                    message = f"after pass {name}: {error}"
                    raise VerificationError(message, hint=error.hint) from error
            if until is not None and until in provides_of(step):
                break
        return timings


def check_outputs(
    inputs: tuple[Any, ...], expected: Any, *, tolerance: float, keywords: Mapping[str, Any] | None = None
) -> Callable[[GraphModule], None]:
    """Return a check for ``Pipeline.run``: the graph still computes ``expected`` from ``inputs``.

    Args:
        inputs: positional arguments of the graph.
        expected: the model's own result.
        tolerance: largest difference allowed, as a share of the largest magnitude expected.
        keywords: keyword arguments of the graph.
    """

    def check(graph_module: GraphModule) -> None:
        actual = output_of(graph_module, inputs, keywords)
        for one, other in zip(_tensors(actual), _tensors(expected), strict=True):
            worst = float((one - other).abs().max())
            allowed = tolerance * float(other.abs().max())
            if not worst <= allowed:
                message = f"the graph's output moved by {worst:.3g}, more than {allowed:.3g}"
                raise VerificationError(message)

    return check


def output_of(graph_module: GraphModule, inputs: tuple[Any, ...], keywords: Mapping[str, Any] | None = None) -> Any:
    """Return what a graph computes, with fixed random numbers, from copies of its inputs: a model may change them."""
    args, kwargs = torch.utils._pytree.tree_map_only(Tensor, Tensor.clone, (inputs, dict(keywords or {})))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return graph_module(*args, **kwargs)


def _tensors(value: Any) -> list[Tensor]:
    leaves = torch.utils._pytree.tree_leaves(value)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.is_meta]


def facts_after(passes: Sequence[GraphPass]) -> tuple[Fact, ...]:
    """Return the facts that hold once ``passes`` ran on a captured graph."""
    return (Fact.CAPTURED, *sorted(set().union(*map(provides_of, passes))))


def name_of(step: GraphPass) -> str:
    """Return the name of a pass: that of its function."""
    return step.__name__


def requires_of(step: GraphPass) -> frozenset[Fact]:
    """Return the facts that a pass requires."""
    return getattr(step, "requires", frozenset())


def provides_of(step: GraphPass) -> frozenset[Fact]:
    """Return the facts that a pass provides."""
    return getattr(step, "provides", frozenset())
