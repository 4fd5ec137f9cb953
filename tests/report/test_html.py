from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from asim_fx.report.elements import element, markup
from asim_fx.report.html import to_html
from asim_fx.report.rows import UnmappedRow
from asim_fx.report.serial import as_data
from tests.report.synthetic import resnet_like, vit_like

NASTY = """</script><script>alert(1)</script>"' onload=x &amp; <!-- \u2028 \x00\x1b"""


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def nasty():
    report = resnet_like((1, 1, 1, 1))
    row = replace(report.rows[0], name=NASTY, reason=NASTY, why=NASTY, notes=(NASTY,), provenance={NASTY: NASTY})
    nodes = tuple(replace(node, label=NASTY) for node in report.dataflow.nodes)
    return replace(
        report,
        model=NASTY,
        spec=NASTY,
        rows=(row, *report.rows[1:]),
        unmapped=(UnmappedRow(NASTY, NASTY, 1, 0.1, NASTY),),
        notes=((NASTY, NASTY),),
        dataflow=replace(report.dataflow, nodes=nodes),
        verification=NASTY,
    )


def test_names_stay_text(nasty):
    page, harmless = Page(to_html(nasty)), Page(to_html(resnet_like((1, 1, 1, 1))))
    assert len(page.scripts) == len(harmless.scripts) == 2
    known = {name for _, attributes in harmless.tags for name in attributes}
    assert {name for _, attributes in page.tags for name in attributes} == known
    assert not any(name.startswith("on") or name == "style" for name in known)


def test_the_data_survives_its_escaping():
    report = vit_like(depth=2)
    page = Page(to_html(report))
    data = json.loads(page.scripts[0])
    shared = data["shared"]
    sites = [{**site, **{field: shared[field][site[field]] for field in shared}} for site in data["sites"]]
    assert sites == json.loads(json.dumps(as_data(report)["sites"]))


def test_nothing_is_loaded_and_only_its_own_code_may_run():
    page = Page(to_html(vit_like(depth=2)))
    text = to_html(vit_like(depth=2))
    for tag, attributes in page.tags:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#"), tag
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)
    (policy,) = [a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    for part in (page.scripts[1], re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_every_row_has_a_line_and_every_box_leads_to_one():
    report = resnet_like()
    page = Page(to_html(report))
    ids = {attributes["id"] for attributes in page.named("tr") if "id" in attributes}
    assert ids == {f"site-{number}" for number in range(len(report.rows))}
    leads = {attributes["href"][1:] for attributes in page.named("a")}
    assert {name for name in leads if name.startswith("site-")} == ids
    headings = {attributes["id"] for attributes in page.named("h2") if "id" in attributes}
    assert leads - ids == headings - {"detail-name"}


def test_a_report_without_macs_notes_or_dataflow_is_a_page_too():
    report = replace(
        vit_like(depth=1), rows=(), totals={}, unmapped=(), notes=(), dataflow=type(vit_like(depth=1).dataflow)()
    )
    text = to_html(report)
    assert "unknown" in text
    assert "multiplies nothing" in text


def test_elements_escape_text_and_attributes():
    made = markup(element("b", "<", element("i", "x"), "&", "\x00", title='">&'))
    assert made == '<b title="&quot;&gt;&amp;">&lt;<i>x</i>&amp;\ufffd</b>'
