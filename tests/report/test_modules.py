from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asim_fx.report.modules import by_module

NAMES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), min_size=1, max_size=40)


def test_few_names_stay_as_they_are():
    assert by_module(["a.b", "a.c"], 2) == [("a.b", [0]), ("a.c", [1])]


def test_many_names_are_cut_as_deep_as_few_enough_groups_come_out():
    names = ["stem", "a.0.x", "a.0.y", "a.1.x", "a.1.y", "b.0.x"]
    assert by_module(names, 4) == [("stem", [0]), ("a.0", [1, 2]), ("a.1", [3, 4]), ("b.0.x", [5])]
    assert by_module(names, 3) == [("stem", [0]), ("a", [1, 2, 3, 4]), ("b.0.x", [5])]


def test_where_even_the_outermost_modules_are_too_many_they_are_the_groups():
    assert [name for name, _ in by_module(["a.x", "a.y", "b", "c"], 2)] == ["a", "b", "c"]


@given(NAMES, st.integers(1, 20))
def test_every_name_is_in_one_group(names, most):
    groups = by_module(names, most)
    assert sorted(place for _, places in groups for place in places) == list(range(len(names)))
    outermost = len({name.split(".")[0] for name in names})
    assert len(groups) <= max(most, outermost)
