from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from asim_fx.report.fitting import Column, fitted_table, fold


@given(st.text(alphabet="ab. _", max_size=60), st.integers(4, 20))
def test_folding_loses_nothing_and_keeps_the_width(text: str, width: int):
    lines = fold(text, width).split("\n")
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_names_are_broken_after_their_parts():
    assert fold("encoder.layers.layer_0.qk", 16) == "encoder.layers.\nlayer_0.qk"
    assert fold("a few words", 7) == "a few\nwords"


@given(st.integers(20, 80))
def test_figures_are_whole_and_lines_fit(width: int):
    columns = [
        Column("name", ["layers.0.attention.query", "fc"], least=8),
        Column("figure", ["123456", "7"], right=True),
        Column("other", ["654321", "8"], 1, right=True),
    ]
    console = Console(file=io.StringIO(), width=width)
    console.print(fitted_table(columns, width))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "123456" in text
    assert ("654321" in text) != ("Left out" in text)
