"""A function that calls back, as an iterator."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from asim_fx.simulation.stepping import stepped


def counting(seen: list[int], until: int = 4) -> Callable[[Callable[[int], None]], None]:
    def run(emit: Callable[[int], None]) -> None:
        for number in range(until):
            seen.append(number)
            emit(number)

    return run


def test_it_stands_still_between_items() -> None:
    seen: list[int] = []
    items = stepped(counting(seen))
    assert not seen
    for number in range(4):
        assert next(items) == number
        assert seen == list(range(number + 1))
    with pytest.raises(StopIteration):
        next(items)


def test_several_go_in_step() -> None:
    seen: list[int] = []
    assert list(zip(stepped(counting(seen)), stepped(counting(seen)), strict=True)) == [(n, n) for n in range(4)]
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3]


def test_an_error_comes_where_it_happens() -> None:
    def run(emit: Callable[[int], None]) -> None:
        emit(1)
        raise KeyError("lost")

    items = stepped(run)
    assert next(items) == 1
    with pytest.raises(KeyError, match="lost"):
        next(items)


def test_one_that_is_left_ends_and_cleans_up() -> None:
    cleaned: list[bool] = []

    def run(emit: Callable[[int], None]) -> None:
        try:
            counting([], 1000)(emit)
        finally:
            cleaned.append(True)

    before = threading.active_count()
    items = stepped(run)
    next(items)
    items.close()
    assert cleaned == [True]
    assert threading.active_count() == before


def test_one_that_never_began_does_nothing() -> None:
    seen: list[int] = []
    items = stepped(counting(seen))
    items.close()
    assert not seen
