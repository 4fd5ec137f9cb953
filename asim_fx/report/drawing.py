"""The dataflow as SVG."""

from __future__ import annotations

from collections.abc import Mapping

from asim_fx.report.elements import Element, element
from asim_fx.report.layout import Box, Drawing, Segment
from asim_fx.report.words import count, shorten

_NAME_CHARACTERS = 30
_TIP = 6.0


def draw(drawing: Drawing, anchors: Mapping[str, str]) -> Element:
    """Return an arranged dataflow as an ``svg`` element.

    Args:
        drawing: boxes and arrows with coordinates.
        anchors: name of a report row -> id of the element that a click on its box leads to.
    """
    width, height = drawing.width, drawing.height
    lines = "".join(map(_line, drawing.segments))
    tips = "".join(_tip(segment) for segment in drawing.segments if segment.tip)
    return element(
        "svg",
        element("path", class_="lines", d=lines),
        element("path", class_="tips", d=tips),
        *(_box(box, anchors) for box in drawing.boxes),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
    )


def _line(segment: Segment) -> str:
    (x1, y1), (x2, y2) = segment.start, segment.end
    if segment.tip:
        y2 -= _TIP
    if abs(x1 - x2) < 0.5:
        return f"M{x1:.1f} {y1:.1f}V{y2:.1f}"
    middle = (y1 + y2) / 2
    return f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"


def _tip(segment: Segment) -> str:
    x, y = segment.end
    return f"M{x - 3.5:.1f} {y - _TIP - 1:.1f}H{x + 3.5:.1f}L{x:.1f} {y:.1f}Z"


def _box(box: Box, anchors: Mapping[str, str]) -> Element:
    node = box.node
    frame = element(
        "rect",
        class_=f"box {node.target or 'other'}",
        x=box.x - box.width / 2,
        y=box.y,
        width=box.width,
        height=box.height,
        rx=4.0 if node.site else box.height / 2,
    )
    if not node.site:
        label = element("text", shorten(node.label, _NAME_CHARACTERS), x=box.x, y=box.y + 15)
        return element("g", frame, label, class_="other")
    parts = [
        element("title", f"{node.label}: {node.target}, {count(node.macs)} MACs"),
        frame,
        element("text", shorten(node.label, _NAME_CHARACTERS), x=box.x, y=box.y + 18),
        element("text", f"{node.kind}, {count(node.macs)} MACs", class_="sub", x=box.x, y=box.y + 33),
    ]
    anchor = anchors.get(node.label) or anchors.get(node.site)
    return element("a", *parts, href=f"#{anchor}") if anchor else element("g", *parts)
