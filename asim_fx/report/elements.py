"""HTML and SVG elements as values; the serialiser escapes every text and attribute."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

Element = ET.Element

# Control characters are not allowed in HTML, and a name may hold any.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def element(tag: str, *children: Element | str, **attributes: str | float) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: elements, and text that is shown as it is.
        attributes: ``class_`` is class; other underscores become hyphens.
    """
    names = {key: key.rstrip("_").replace("_", "-") for key in attributes}
    made = ET.Element(tag, {names[key]: clean(_number(value)) for key, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            if len(made):
                made[-1].tail = (made[-1].tail or "") + clean(child)
            else:
                made.text = (made.text or "") + clean(child)
        else:
            made.append(child)
    return made


def breakable(name: str) -> list[Element | str]:
    """Return a qualified name that may be broken after its dots."""
    first, *rest = name.split(".")
    parts: list[Element | str] = [first]
    for part in rest:
        parts += [".", element("wbr"), part]
    return parts


def markup(*elements: Element) -> str:
    """Return elements as HTML."""
    return "\n".join(ET.tostring(one, encoding="unicode", method="html") for one in elements)


def clean(text: str) -> str:
    """Return a text with a replacement character for what HTML cannot hold."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _number(value: str | float) -> str:
    return (
        value if isinstance(value, str) else f"{value:.4g}" if abs(value) < 100 else f"{value:.1f}".removesuffix(".0")
    )
