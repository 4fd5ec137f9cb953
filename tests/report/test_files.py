from __future__ import annotations

import csv
import io
from dataclasses import fields, replace

import pytest

from asim_fx.errors import UsageError
from asim_fx.report.files import CSV_COLUMNS, render, to_csv, to_markdown
from asim_fx.report.rows import ReportRow
from tests.report import golden
from tests.report.synthetic import resnet_like, vit_like

SMALL = resnet_like((1, 1, 1, 1))


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_forms_are_as_they_were(form):
    golden.check(f"resnet.{form}", render(SMALL, form))


@pytest.mark.parametrize("form", ["json", "csv", "md", "html"])
def test_the_same_report_gives_the_same_text(form):
    assert render(vit_like(depth=2), form) == render(vit_like(depth=2), form)


def test_an_unknown_form_is_a_usage_error():
    with pytest.raises(UsageError, match="no such report format: pdf"):
        render(SMALL, "pdf")


def test_csv_has_one_line_a_site_and_every_scalar_field():
    lines = list(csv.DictReader(io.StringIO(to_csv(SMALL))))
    assert [line["name"] for line in lines] == [row.name for row in SMALL.rows]
    assert sum(int(line["macs"]) for line in lines) == sum(row.macs for row in SMALL.rows)
    assert lines[0]["adc_bits"] == ""
    left_out = {field.name for field in fields(ReportRow)} - set(CSV_COLUMNS)
    assert left_out == {"settings", "provenance", "reads_per_cell", "energy_parts_j"}


def test_markdown_shows_names_as_they_are():
    nasty = replace(SMALL.rows[0], name="a|b\n<script>`*_c_*`")
    text = to_markdown(replace(SMALL, rows=(nasty,)))
    (line,) = [line for line in text.splitlines() if "script" in line]
    assert line.startswith(r"| a\|b \<script\>\`\*\_c\_\*\` | conv |")
