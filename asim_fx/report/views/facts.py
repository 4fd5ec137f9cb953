"""A figure with its title, as the cards of the page show it."""

from __future__ import annotations

from asim_fx.report.elements import Element, element


def fact(title: str, figure: str, more: str) -> Element:
    """Return one card: what it is, how much, and what must be known about it."""
    return element(
        "div", element("dt", title), element("dd", figure, class_="figure"), element("dd", more, class_="more")
    )
