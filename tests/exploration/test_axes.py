from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Axis, grid, overrides, parse_axes, parse_axis, size
from asim_fx.spec import load_spec


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=5,6,7", ("5", "6", "7")),
        ("a.b=5", ("5",)),
        ("a.b= 5 , 6 ", ("5", "6")),
        ("a.b=5,5,6", ("5", "6")),
        ("a.b=5:8:4", ("5", "6", "7", "8")),
        ("a.b=8:5:4", ("8", "7", "6", "5")),
        ("a.b=0:0.4:9", ("0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4")),
        ("a.b=0:1:4", ("0", "0.333333333333", "0.666666666667", "1")),
        ("a.b=-1:1:3", ("-1", "0", "1")),
        ("a.b=1e-3:3e-3:3", ("0.001", "0.002", "0.003")),
        ("a.b=[1,2],[3]", ("[1,2]", "[3]")),
        ("a.b={levels: 2},{levels: 3}", ("{levels: 2}", "{levels: 3}")),
        ("a.b='x,y',z", ("'x,y'", "z")),
        ("a.b=mode,median", ("mode", "median")),
        ("a.b=5:5:1", ("5",)),
        ("a.b=0:1000:3", ("0", "500", "1000")),
    ],
)
def test_values(text: str, values: tuple[str, ...]) -> None:
    assert parse_axis(text) == Axis("a.b", values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "=5",
        "a..b=5",
        "a.b=",
        "a.b=5,,6",
        "a.b=5,",
        "a.b=0:1",
        "a.b=0:1:1",
        "a.b=0:1:2.5",
        "a.b=0:1:x",
        "a.b=1:1:3",
        "a.b=0:1:2:3",
        "a.b=0:1:-2",
        "a.b=0:1:99999",
        "a.b=[1,2",
        "a.b='x",
        "a.b=1:2,3",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_axis(text)
    assert refused.value.hint


@given(st.text(alphabet="ab.=0123456789:,-e[]{}'\" ", max_size=14))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        axis = parse_axis(text)
    except UsageError:
        return
    assert axis.path
    assert axis.values
    assert len(set(axis.values)) == len(axis.values)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(2, 50))
def test_a_range_is_linspace(first: float, last: float, count: int) -> None:
    if first == last:
        return
    numbers = parse_axis(f"a={first!r}:{last!r}:{count}").numbers
    assert numbers is not None
    for place, number in enumerate(numbers if len(numbers) == count else ()):
        exact = first + (last - first) * place / (count - 1)
        assert number == pytest.approx(exact, rel=1e-9, abs=1e-6)
    assert numbers[0] == pytest.approx(first, rel=1e-11)
    assert numbers[-1] == pytest.approx(last, rel=1e-11)


def test_words_are_no_numbers() -> None:
    assert parse_axis("a=mode,median").numbers is None
    assert parse_axis("a=true,false").numbers is None
    assert parse_axis("a=8,ideal").numbers is None


def test_a_grid() -> None:
    axes = parse_axes(["a=1,2", "b=x,y"])
    cells = list(grid(axes))
    assert cells == [
        (("a", "1"), ("b", "x")),
        (("a", "1"), ("b", "y")),
        (("a", "2"), ("b", "x")),
        (("a", "2"), ("b", "y")),
    ]
    assert overrides(cells[1]) == ["a=1", "b=y"]


def test_a_field_given_twice() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_axes(["a=1", "a=2"])


def test_a_field_and_a_part_of_it() -> None:
    for texts in (["a=1,2", "a.b=1"], ["a.b=1,2", "a=1"], ["c=1", "a.b.c=1,2", "a=1"]):
        with pytest.raises(UsageError, match=r"--set a overlaps --set a\.b"):
            parse_axes(texts)
    assert len(parse_axes(["a=1", "a.b=1,2", "ab=1,2"])) == 3  # as with asim-convert, the later one changes the first


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_the_size_of_a_grid(counts: list[int]) -> None:
    axes = parse_axes([f"a{place}={','.join(map(str, range(count)))}" for place, count in enumerate(counts)])
    assert size(axes) == len(list(grid(axes)))


def test_a_cell_is_what_load_spec_takes() -> None:
    axes = parse_axes(["macros.m.adc.bits=5:8:4", "defaults.vote={levels: 2, samples: 3},{levels: 0}"])
    specs = [load_spec("generic-255x8b", overrides(cell)) for cell in grid(axes)]
    assert [(spec.macros["m"].adc.bits, spec.defaults.vote.levels) for spec in specs] == [
        (bits, levels) for bits in (5, 6, 7, 8) for levels in (2, 0)
    ]
