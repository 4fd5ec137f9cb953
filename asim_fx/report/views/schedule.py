"""The schedule of one image as a Gantt chart: which sites work when, round by round, and how busy the macros are."""

from __future__ import annotations

from collections.abc import Mapping

from asim_fx.mapping.schedule import Schedule
from asim_fx.report.cost import banded
from asim_fx.report.elements import Element, breakable, element
from asim_fx.report.rows import MappingReport
from asim_fx.report.views.facts import fact
from asim_fx.report.views.gantt import chart, lanes_of
from asim_fx.report.words import count, efficiency, quantity, share


def schedule_section(report: MappingReport, anchors: Mapping[str, str]) -> list[Element]:
    """Return the chart with its figures, or why there is none; nothing where no site is analog.

    Args:
        report: of a mapping.
        anchors: name of a report row -> id of its line in the table of sites.
    """
    schedule = report.schedule
    if not schedule.slots and not schedule.notes:
        return []
    title = element("h2", "Schedule of one image", id="schedule-heading")
    parts = [title]
    if schedule.slots:
        parts.append(_facts(schedule))
    end = _end(schedule)
    if end:
        parts += [element("p", _explanation(schedule), class_="quiet"), _legend(schedule)]
        parts += [chart(schedule, end, anchors), _table(schedule)]
    else:
        parts.append(element("p", f"There is no chart: {_why_not(report)}."))
    if schedule.notes:
        parts.append(element("ul", *(element("li", note) for note in schedule.notes), class_="notes"))
    return [element("section", *parts, aria_labelledby="schedule-heading")]


def _end(schedule: Schedule) -> float | None:
    """Return the end of the time axis; None where a time is not known."""
    ends = [slot.end_s for slot in schedule.slots]
    if not ends or None in ends or any(slot.start_s is None for slot in schedule.slots):
        return None
    return max([*(end for end in ends if end is not None), schedule.latency_s or 0.0])


def _why_not(report: MappingReport) -> str:
    if not report.schedule.slots:
        return "no site works on analog arrays"
    reasons = dict.fromkeys(
        row.cost_models["latency"].removeprefix("unknown: ")
        for row in report.rows
        if row.latency_s is None and "latency" in row.cost_models
    )
    return "a latency is unknown" + (f" ({'; '.join(reasons)})" if reasons else "")


def _facts(schedule: Schedule) -> Element:
    band = banded(schedule.latency_low_s, schedule.latency_high_s, "s")
    rate = "" if schedule.interval_s is None else f"one every {quantity(schedule.interval_s, 's')}"
    reloaded = f"{count(schedule.reloads)} macros reloaded for each image" if schedule.reloads else "all weights stay"
    alone = "" if schedule.mean_utilisation is None else f"{share(schedule.mean_utilisation)} with one image alone"
    loading = f"{quantity(schedule.reload_energy_j, 'J')} of it for loading" if schedule.reload_energy_j else ""
    facts = [
        fact("Latency", quantity(schedule.latency_s, "s"), band),
        fact("Images per second", count(schedule.images_per_s), rate),
        fact("Macros", count(schedule.macros_used), _pools(schedule)),
        fact("Rounds", str(len(schedule.rounds)), reloaded),
        fact("Macros at work", share(schedule.pipelined_utilisation), alone),
        fact("Energy for one image", quantity(schedule.energy_j_per_image, "J"), loading),
        fact("TOPS/W", efficiency(schedule.tops_per_w).removesuffix(" TOPS/W"), "all loading included"),
        fact("One site after another", quantity(schedule.sequential_s, "s"), "the latency if nothing overlapped"),
    ]
    if schedule.buffer_bytes is not None:
        limit = "" if schedule.buffer_limit_bytes is None else f"of {quantity(schedule.buffer_limit_bytes, 'B')}, "
        facts.append(fact("Buffer", quantity(schedule.buffer_bytes, "B"), f"{limit}at {schedule.buffer_at}"))
    return element("dl", *facts, class_=f"cards rows-of-{3 if len(facts) % 3 == 0 else 4}")


def _pools(schedule: Schedule) -> str:
    return ", ".join(
        f"{pool.macro}: {count(pool.used)}{'' if pool.count is None else f' of {count(pool.count)}'}"
        + (f", {count(pool.needed)} needed" if pool.needed != pool.used else "")
        for pool in schedule.pools
    )


def _explanation(schedule: Schedule) -> str:
    parts = [f"{len(set(schedule.critical_path))} of {len(schedule.slots)} calls set the latency."]
    if schedule.bottleneck:
        parts.append(f"{schedule.bottleneck} is busiest, and sets the images per second.")
    if len(lanes_of(schedule.slots)) < len(schedule.slots):
        parts.append("A line is a module; its sites are drawn one beside another.")
    return " ".join(parts)


def _legend(schedule: Schedule) -> Element:
    kinds = [("critical", "on the critical path")]
    if len(set(schedule.critical_path)) < len(schedule.slots):
        kinds.append(("slack", "not on it"))
    if any(part.loads for part in schedule.rounds):
        kinds.append(("load", "loading weights"))
    swatches = ((kind, element("span", class_="swatch"), text) for kind, text in kinds)
    return element("ul", *(element("li", swatch, text, class_=f"slot-{kind}") for kind, swatch, text in swatches),
                   class_="legend")  # fmt: skip


def _table(schedule: Schedule) -> Element:
    columns = (("Site", "name"), ("Macros", "num"), ("Copies", "num"), ("Filled", "num w1"), ("Round", "num w1"),
               ("Start", "num"), ("End", "num"), ("Critical", "short"))  # fmt: skip
    critical = set(schedule.critical_path)
    body = element("tbody")
    for slot in schedule.slots:
        figures = (count(slot.macros), str(slot.copies), str(slot.passes), str(slot.round))
        times = (quantity(slot.start_s, "s"), quantity(slot.end_s, "s"), "yes" if slot.site in critical else "")
        line = element("tr", element("td", *breakable(slot.site), class_="name"))
        cells = zip((*figures, *times), columns[1:], strict=True)
        line.extend(element("td", text, class_=classes) for text, (_, classes) in cells)
        body.append(line)
    head = element("tr", *(element("th", title, scope="col", class_=classes) for title, classes in columns))
    table = element("table", element("thead", head), body)
    region = element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Schedule as a table")
    return element("details", element("summary", "The same as a table"), region)
