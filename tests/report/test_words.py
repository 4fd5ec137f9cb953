from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.report.words import UNKNOWN, bit_plan, count, printable, quantity, shape, share, shorten

SCALE = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, UNKNOWN),
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (3_630_000_000, "3.63 G"),
        (9_999, "10.0 k"),
        (999_499, "999 k"),
        (999_999, "1.00 M"),
    ],
)
def test_counts_are_humanised(value, words):
    assert count(value) == words


@given(st.integers(1, 10**20))
def test_a_count_is_right_to_three_digits(value):
    figure, _, unit = count(value).partition(" ")
    assert float(figure) * SCALE[unit] == pytest.approx(value, rel=0.0051)
    assert len(figure.replace(".", "")) <= 3


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, UNKNOWN), (0, "0 %"), (1, "100 %"), (1e-9, "<0.1 %"), (1 - 1e-9, ">99.9 %"), (0.9714, "97.1 %")],
)
def test_a_share_never_rounds_to_all_or_nothing(value, words):
    assert share(value) == words


@given(st.text(), st.integers(1, 40))
def test_shortening_keeps_both_ends_and_the_width(text, width):
    short = shorten(text, width)
    assert len(short) <= width
    if len(text) <= width:
        assert short == text
    else:
        head, tail = short.split("…")[0], short.rsplit("…", 1)[-1]
        assert text.startswith(head)
        assert text.endswith(tail)


def test_shapes_name_the_batch():
    assert shape((None, 64, 7, 7)) == "Nx64x7x7"
    assert shape(()) == "scalar"


def test_a_bit_plan_is_one_line():
    reads = tuple(tuple(0 if i + j < 2 else 3 if i + j < 3 else 1 for j in range(8)) for i in range(8))
    assert bit_plan(reads) == "8x8: 3 digital, 3x3 voted, 58 analog"
    assert bit_plan(((1,),)) == "1x1: 1 analog"
    assert bit_plan(None) == "-"


def test_names_cannot_steer_a_terminal():
    assert printable("a\x1b[31m\nb") == "a\ufffd[31m\ufffdb"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0, "0 J"),
        (1.5, "1.5 J"),
        (3.63e-6, "3.63 µJ"),
        (9.9999e-7, "1 µJ"),
        (4.2e-15, "4.2 fJ"),
        (1234.0, "1.23 kJ"),
        (0.25, "250 mJ"),
    ],
)
def test_quantities(value, text):
    assert quantity(value, "J") == text
