"""Every error that asim-fx raises on purpose: one tree, each with the exit code of the commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the commands return to the shell."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CAPTURE = 3
    INCOMPLETE = 4
    VERIFICATION = 5
    INTERRUPTED = 130


class AsimError(Exception):
    """Base of all errors that asim-fx raises on purpose.

    Attributes:
        hint: what the user can do about it, or the empty string.
        exit_code: what a command returns when this error ends it.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AsimError):
    """The caller gave something that cannot be used: an argument, a file, a model name, data."""

    exit_code = ExitCode.USAGE


class ModelError(UsageError):
    """No such model, or it cannot be built with these arguments."""


class CheckpointError(UsageError):
    """A checkpoint cannot be read, or does not fit the model."""


class DataError(UsageError):
    """A data source is missing, empty or holds something that cannot be decoded."""


class InputError(UsageError):
    """A tensor does not have the shape or dtype that a converted model, a module or an operation takes."""


class ArtifactError(UsageError):
    """A saved model is missing files, was changed, or was made from something else."""


class OutputError(UsageError):
    """A result cannot be written where it was asked for."""


@dataclass(frozen=True, slots=True)
class SpecIssue:
    """One thing that is wrong in a hardware spec.

    Attributes:
        where: ``file:line`` or the flag that it came from.
        field: dotted path of the field, for example ``macros.m.adc.bits``.
        message: what is wrong, in words.
    """

    where: str
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.where}: {field}{self.message}"


_MOST_ALIKE = 10


class SpecError(UsageError):
    """A hardware spec is not valid. Holds every issue that was found, not just the first."""

    def __init__(self, issues: Sequence[SpecIssue], *, hint: str = "") -> None:
        self.issues = tuple(issues)
        seen: Counter[str] = Counter()
        lines = []
        for issue in self.issues:
            seen[issue.message] += 1
            if seen[issue.message] <= _MOST_ALIKE:
                lines.append(str(issue))
        alike = sum(max(0, times - _MOST_ALIKE) for times in seen.values())
        if alike:
            lines.append(f"and {alike} more of the same")
        if len(self.issues) > 1:
            lines.append(f"{len(self.issues)} errors")
        super().__init__("\n".join(lines), hint=hint)


class CaptureError(AsimError):
    """torch.export cannot capture the model, or the captured graph is not the model."""

    exit_code = ExitCode.CAPTURE


class PlanError(AsimError):
    """The mapping is incomplete: a rule matches nothing, or a site stays unmapped under ``strict``."""

    exit_code = ExitCode.INCOMPLETE


class VerificationError(AsimError):
    """A check of the result against the original failed."""

    exit_code = ExitCode.VERIFICATION


class PipelineError(AsimError):
    """The passes cannot run in the order given, or one of them broke the graph."""


class NumericsError(AsimError):
    """An operation met values that it cannot quantise, such as NaN or infinity."""

    exit_code = ExitCode.USAGE


class RunInterruptedError(AsimError):
    """The user stopped a run, whose state was saved."""

    exit_code = ExitCode.INTERRUPTED
