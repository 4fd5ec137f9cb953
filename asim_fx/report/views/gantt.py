"""A schedule as a Gantt chart: lines of sites, bands of loading, and the share of the macros at work below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from asim_fx.mapping.schedule import Round, Schedule, Slot
from asim_fx.report.elements import Element, element
from asim_fx.report.modules import by_module
from asim_fx.report.views.axis import ticks
from asim_fx.report.words import count, quantity, share

MOST_LANES = 40
_LANE = 18
"""Pixels, as the style sheet has them."""
_AXIS = 20
_CURVE = 56
_LEAST_WIDTH = 500
"""A call shorter than this part of the whole is drawn as long as that, so that it can be seen."""


def chart(schedule: Schedule, end: float, anchors: Mapping[str, str]) -> Element:
    """Return the chart.

    Args:
        schedule: with all its times known.
        end: of the time axis, in s.
        anchors: name of a report row -> id of its line in the table of sites.
    """
    lanes = lanes_of(schedule.slots)
    critical = set(schedule.critical_path)
    names = element("ol", *(_name(name, slots, anchors) for name, slots in lanes))
    height = _AXIS + len(lanes) * _LANE
    told = (
        f"Gantt chart of {len(schedule.slots)} calls in {len(schedule.rounds)} rounds; the same is in the table below"
    )
    drawing = element("svg", element("title", "Schedule"), role="img", aria_label=told, height=height)
    drawing.extend(_loads(schedule.rounds, end, height))
    drawing.extend(_grid(end, height))
    for line, (_, slots) in enumerate(lanes):
        for slot in slots:
            drawing.extend(_bar(slot, end, _AXIS + line * _LANE, on_path=slot.site in critical, alone=len(slots) == 1))
    parts = [names, element("div", drawing, class_="lanes")]
    if len(schedule.utilisation) > 1:
        highest = max(value for _, value in schedule.utilisation)
        parts += [
            element("p", "macros at work, highest ", share(highest), class_="quiet"),
            element("div", _curve(schedule.utilisation, end, highest), class_="lanes"),
        ]
    return element("div", *parts, class_="gantt")


def lanes_of(slots: Sequence[Slot]) -> list[tuple[str, list[Slot]]]:
    """Return the lines of the chart: one a call, or one a module where the calls are many."""
    groups = by_module([slot.site for slot in slots], MOST_LANES)
    return [(name, [slots[place] for place in places]) for name, places in groups]


def _name(name: str, slots: Sequence[Slot], anchors: Mapping[str, str]) -> Element:
    anchor = anchors.get(slots[0].row) if len(slots) == 1 else None
    text = element("a", name, href=f"#{anchor}") if anchor else element("span", name)
    text.set("title", name if len(slots) == 1 else f"{name}: {len(slots)} calls")
    return element("li", text)


def _loads(rounds: Iterable[Round], end: float, height: float) -> list[Element]:
    """Return a band for each time in which weights are loaded."""
    bands = []
    for number, part in enumerate(rounds):
        if not part.loads or part.load_start_s is None or part.start_s is None:
            continue
        told = f"round {number}: {count(part.loads)} macros loaded in {quantity(part.start_s - part.load_start_s, 's')}"
        bands.append(
            element("rect", element("title", told), class_="slot-load", x=_percent(part.load_start_s, end), y=_AXIS - 4,
                    width=_percent(part.start_s - part.load_start_s, end), height=height - _AXIS + 4)
        )  # fmt: skip
    return bands


def _grid(end: float, height: float) -> list[Element]:
    drawn = []
    for place, time in enumerate(ticks(end)):
        x = _percent(time, end)
        drawn.append(element("line", class_="grid", x1=x, x2=x, y1=_AXIS - 4, y2=height))
        anchor = "start" if not place else "end" if time > 0.93 * end else "middle"
        drawn.append(element("text", quantity(time, "s"), class_="tick", x=x, y=11, text_anchor=anchor))
    return drawn


def _bar(slot: Slot, end: float, top: float, *, on_path: bool, alone: bool) -> list[Element]:
    start, stop = slot.start_s or 0.0, slot.end_s or 0.0
    width = max(stop - start, end / _LEAST_WIDTH)
    beside = not (alone or on_path)  # below what it works beside, in a line that several calls share
    bar = element(
        "rect",
        element("title", _in_words(slot, on_path=on_path)),
        class_="slot-critical" if on_path else "slot-slack",
        x=_percent(min(start, end - width), end),
        y=top + (12 if beside else 3),
        width=_percent(width, end),
        height=4 if beside else _LANE - 10 if not alone else _LANE - 6,
    )
    more = [f"{slot.copies} copies"] if slot.copies > 1 else []
    more += [f"filled {slot.passes} times"] if slot.passes > 1 else []
    if not (alone and more):
        return [bar]
    late = stop > 0.7 * end
    x, side, anchor = (start, -4, "end") if late else (stop, 4, "start")
    label = element("text", ", ".join(more), x=_percent(x, end), dx=side, y=top + 13, text_anchor=anchor, class_="tick")
    return [bar, label]


def _in_words(slot: Slot, *, on_path: bool) -> str:
    parts = [
        f"{slot.site}: {quantity(slot.start_s, 's')} to {quantity(slot.end_s, 's')}",
        f"{count(slot.macros)} {slot.macro} macros from number {slot.first_macro}",
    ]
    parts += [f"{slot.copies} copies"] if slot.copies > 1 else []
    parts += [f"filled {slot.passes} times"] if slot.passes > 1 else []
    parts += [f"round {slot.round}"] if slot.round else []
    parts += ["on the critical path"] if on_path else []
    return ", ".join(parts)


def _curve(utilisation: Sequence[tuple[float, float]], end: float, highest: float) -> Element:
    """Return the share of the macros at work over time, as steps; its height is the highest share."""
    scale = 1 / highest if highest else 0.0
    path = "M0 100"
    for time, value in utilisation:
        path += f"H{1000 * time / end:.1f}V{100 - 100 * value * scale:.1f}"
    told = f"macros at work over time, highest {share(highest)}"
    return element(
        "svg",
        element("title", told),
        element("path", class_="curve", d=f"{path}V100Z"),
        viewBox="0 0 1000 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=told,
        height=_CURVE,
    )


def _percent(time: float, end: float) -> str:
    return f"{100 * time / end:.3f}%"
