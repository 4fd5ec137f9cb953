from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from asim_fx.report.table import print_report
from asim_fx.report.words import count
from tests.report import golden
from tests.report.synthetic import resnet_like, vit_like

SMALL = resnet_like((1, 1, 1, 1))


def printed(report, width=100, **more):
    console = Console(file=io.StringIO(), width=width, **more)
    print_report(report, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_is_as_it_was(width):
    golden.check(f"resnet_{width}.txt", printed(SMALL, width))


@pytest.mark.parametrize("width", range(64, 240, 11))
def test_no_figure_is_cut_and_no_line_is_too_long(width):
    text = printed(resnet_like(), width)
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r"\d…", text)
    for row in resnet_like().rows:
        assert f" {count(row.macs)} " in text


@pytest.mark.parametrize("width", [34, 40, 64, 100, 1000])
def test_long_names_are_whole(width):
    names = [f"encoder.layers.encoder_layer_{number}.self_attention.qk" for number in range(12)]
    rows = tuple(replace(SMALL.rows[1], name=name) for name in names)
    text = printed(replace(SMALL, rows=rows, unmapped=()), width)
    lines = text[text.index("site ") : text.index(" sites")].splitlines()[2:]
    joined = "".join(line[1:].split("  ")[0].strip() for line in lines)
    assert joined.startswith("".join(names))
    assert "…" not in text


@pytest.mark.parametrize("width", [34, 40, 50, 64, 80])
def test_narrow_tables_say_which_columns_are_left_out(width):
    text = printed(resnet_like(), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert f"Left out to fit {width} characters: " in words
    assert "decided by" in words
    assert "area; a wider terminal" in words
    for row in resnet_like().rows:
        assert re.search(rf" {re.escape(count(row.macs))}( |$)", text, re.MULTILINE)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_reasons_break_between_words(width):
    reason = "integer: the stem sees the image, holds few MACs and costs accuracy"
    text = printed(replace(SMALL, unmapped=(replace(SMALL.unmapped[0], reason=reason),)), width)
    printed_words = text[text.index("Not analog") :].split()
    assert all(word in printed_words for word in reason.split())


def test_everything_that_is_not_analog_is_listed():
    text = printed(vit_like())
    assert "an additive mask that is not constant" in text
    assert re.search(r"blocks\.11\.attn\.qk +qk +7\.45 M +0\.6 %", text)


def test_there_is_no_colour_where_it_is_not_wanted(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3\d", printed(SMALL, force_terminal=True))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert re.search(r"\x1b\[[0-9;]*3\d", printed(SMALL, force_terminal=True, color_system="standard"))


def test_names_are_neither_markup_nor_control_codes():
    text = printed(replace(SMALL, rows=(replace(SMALL.rows[1], name="[red]x\x1b[2J"),)))
    assert "[red]x\ufffd[2J" in text
    assert "\x1b" not in text
