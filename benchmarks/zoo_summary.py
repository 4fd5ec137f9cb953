"""The survey's tables: what was planned in each family, and what failed and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from rich.table import Table

from benchmarks.zoo_row import ZooRow

TITLES = (
    "models from",
    "models",
    "planned",
    "MACs equal",
    "without values",
    "all analog",
    "median s",
    "longest s",
    "largest MB",
)


def families(rows: Sequence[ZooRow]) -> list[tuple[str, ...]]:
    """Return one line for timm, one for each part of torchvision, and one for all; see ``TITLES``."""
    groups: dict[str, list[ZooRow]] = defaultdict(list)
    for row in rows:
        groups[_family(row.name)].append(row)
    lines = [(family, *_figures(members)) for family, members in sorted(groups.items())]
    return lines if len(groups) == 1 else [*lines, ("all", *_figures(rows))]


def families_table(rows: Sequence[ZooRow]) -> Table:
    """Return the lines of ``families`` for a terminal."""
    table = Table(title="Models planned", title_justify="left")
    for title in TITLES:
        table.add_column(title, justify="left" if title == TITLES[0] else "right")
    for line in families(rows):
        table.add_row(*line)
    return table


def families_markdown(rows: Sequence[ZooRow]) -> str:
    """Return the lines of ``families`` as a table in Markdown."""
    lines = [TITLES, ("---", *["---:"] * (len(TITLES) - 1)), *families(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def unmapped_markdown(rows: Iterable[ZooRow]) -> str:
    """Return one line in Markdown for each reason why MACs are not analog: of how many models, and their shares."""
    shares: dict[str, list[float]] = defaultdict(list)
    models: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for reason, macs in (row.unmapped or {}).items():
            shares[reason].append(macs / row.macs)
            models[reason].append(row.name)
    lines = ["| reason | models | largest share | for example |", "| --- | ---: | ---: | --- |"]
    for reason in sorted(shares, key=lambda reason: -len(shares[reason])):
        examples = ", ".join(models[reason][:3])
        lines.append(f"| {reason} | {len(shares[reason])} | {max(shares[reason]):.1%} | {examples} |")
    return "\n".join(lines)


def _figures(rows: Sequence[ZooRow]) -> list[str]:
    planned = [row for row in rows if not row.error]
    seconds = [row.seconds for row in rows] or [0.0]
    return [
        str(len(rows)),
        str(len(planned)),
        str(sum(row.equal for row in rows)),
        str(sum(row.device == "meta" for row in rows)),
        str(sum(row.analog_share == 1 for row in rows)),
        f"{median(seconds):.1f}",
        f"{max(seconds):.1f}",
        str(max((row.peak_mb for row in rows), default=0)),
    ]


def _family(name: str) -> str:
    library, colon, bare = name.partition(":")
    if not colon:
        return "timm"
    from torchvision import models

    part = models.get_model_builder(bare).__module__.split(".")[2]
    part = part if part in ("segmentation", "detection", "video", "optical_flow", "quantization") else "classification"
    return f"{library} {part}"


def failures(rows: Iterable[ZooRow]) -> Table:
    """Return one line for each kind of failure, the most frequent first."""
    table = Table("models", "why", "for example", title="Not planned", title_justify="left")
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.error:
            groups[row.error[:160]].append(row.name)
    for why, names in sorted(groups.items(), key=lambda group: -len(group[1])):
        table.add_row(str(len(names)), why, ", ".join(names[:3]))
    return table
