"""The report as one self-contained page: no network, and nothing but its own script runs."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from string import Template
from typing import Any

from asim_fx.report import fragments
from asim_fx.report.elements import clean, element, markup
from asim_fx.report.fidelity import FidelityReport
from asim_fx.report.rows import MappingReport
from asim_fx.report.serial import as_data
from asim_fx.report.views.bit_plans import bit_plans_section, plan_numbers
from asim_fx.report.views.fidelity import fidelity_section
from asim_fx.report.views.schedule import schedule_section
from asim_fx.report.words import footer


def to_html(report: MappingReport, fidelity: FidelityReport | None = None) -> str:
    """Return the report as an HTML page.

    Args:
        report: of a mapping.
        fidelity: what a probe measured at its sites, if one did.

    Every name is text to it: elements are escaped as they are written, data travels as JSON that cannot close
    its element, and a content security policy allows only the page's own script and style, by their hashes.
    """
    style, script = _part("page.css") + _part("views.css"), _part("page.js")
    plans = plan_numbers(report)
    sections = [
        *bit_plans_section(report, plans),
        *fragments.clipping_section(report),
        *fragments.cost_section(report),
        *(fidelity_section(fidelity, fragments.anchors(report)) if fidelity is not None else ()),
        *schedule_section(report, fragments.anchors(report)),
        *fragments.unmapped_section(report),
        *fragments.dataflow_section(report),
        *fragments.notes_section(report),
    ]
    return Template(_part("page.html")).substitute(
        title=markup(element("title", f"{report.model} on {report.spec}"))
        .removeprefix("<title>")
        .removesuffix("</title>"),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        headline=markup(fragments.headline(report)),
        cards=markup(fragments.cards(report)),
        split=markup(fragments.split(report)),
        jump=markup(fragments.jump(sections)),
        chips=markup(*fragments.chips(report)),
        sites=markup(fragments.sites_table(report, plans)),
        sections=markup(*sections),
        origin=markup(element("p", footer(report))),
        data=_data(report),
    )


def _data(report: MappingReport) -> str:
    """Return the sites as JSON that no HTML parser mistakes for markup.

    What many sites share stands once, and each site has its number there: settings of a large model repeat often.
    """
    sites = as_data(report)["sites"]
    shared = {field: _stand_once(sites, field) for field in _SHARED}
    text = json.dumps({"sites": sites, "shared": shared}, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return clean(text)


_SHARED = ("settings", "provenance", "cost_models", "notes")


def _stand_once(sites: list[dict[str, Any]], field: str) -> list[Any]:
    """Put a number in the place of each site's ``field``, and return the list that the numbers count."""
    places: dict[str, int] = {}
    values: list[Any] = []
    for site in sites:
        key = json.dumps(site[field])
        if key not in places:
            places[key] = len(values)
            values.append(site[field])
        site[field] = places[key]
    return values


@cache
def _part(name: str) -> str:
    return resources.files("asim_fx.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
