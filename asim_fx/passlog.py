"""What capture and passes leave for the report: what no graph shows, products folded away, notes. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FoldedOp:
    """A multiply whose operands are all constant, computed once while compiling.

    Attributes:
        name: qualified name of the module it was in.
        op: the torch operation.
        macs: multiply-accumulates that it would have cost in each forward pass.
    """

    name: str
    op: str
    macs: int


@dataclass(frozen=True, slots=True)
class UncapturedOp:
    """Multiply-accumulates of one sample that no graph shows, or that only a branch of one does; they stay in float.

    Attributes:
        name: qualified name of the module that makes them; empty for the model itself.
        macs: how many.
        reason: why they are in no graph.
    """

    name: str
    macs: int
    reason: str


@dataclass(slots=True)
class PassLog:
    """What passes want the report to say.

    Attributes:
        folded: products that were computed while compiling.
        normed: qualified names of what a batch norm was folded into.
        uncaptured: products that no graph shows.
        notes: (module, text) pairs.
    """

    folded: list[FoldedOp] = field(default_factory=list)
    normed: list[str] = field(default_factory=list)
    uncaptured: list[UncapturedOp] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def copied(self) -> PassLog:
        """Return a copy that grows on its own."""
        return PassLog(list(self.folded), list(self.normed), list(self.uncaptured), list(self.notes))

    def note(self, where: str, what: str) -> None:
        """Record something the user should know about a module or the whole model."""
        self.notes.append((where, what))
