from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.spec.selectors import Condition, check_name_selector, name_pattern, parse_condition

PARTS = st.text("ab0_", min_size=1, max_size=3)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(".".join)
PATTERN_PARTS = (
    st.sampled_from(["**", "*"]) | PARTS | st.text("ab*", min_size=1, max_size=3).filter(lambda p: "**" not in p)
)
PATTERNS = st.lists(PATTERN_PARTS, min_size=1, max_size=4)


def part_matches(pattern: str, part: str) -> bool:
    """Match one dotted part, by recursion over characters."""
    if not pattern:
        return not part
    if pattern[0] == "*":
        return part_matches(pattern[1:], part) or (bool(part) and part_matches(pattern, part[1:]))
    return bool(part) and part[0] == pattern[0] and part_matches(pattern[1:], part[1:])


def parts_match(patterns: list[str], parts: list[str]) -> bool:
    """Match a list of dotted parts: ``**`` is any number of them, but at least one where it is the last."""
    if not patterns:
        return not parts
    if patterns == ["**"]:
        return bool(parts)
    if patterns[0] == "**":
        return parts_match(patterns[1:], parts) or (bool(parts) and parts_match(patterns, parts[1:]))
    return bool(parts) and part_matches(patterns[0], parts[0]) and parts_match(patterns[1:], parts[1:])


@given(PATTERNS, NAMES)
def test_glob_is_the_simple_oracle(patterns: list[str], name: str):
    matched = name_pattern(".".join(patterns)).fullmatch(name) is not None
    assert matched == parts_match(patterns, name.split("."))


@given(NAMES, NAMES)
def test_a_plain_name_matches_itself_alone(name: str, other: str):
    assert (name_pattern(name).fullmatch(other) is not None) == (name == other)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("layer4.**", "layer4.0.conv1", True),
        ("layer4.**", "layer4", False),
        ("layer4.**", "layer40.conv", False),
        ("layer4.*", "layer4.0.conv1", False),
        ("layer*.0.conv1", "layer12.0.conv1", True),
        ("layer**", "layer4.0.conv1", True),
        ("**.qk", "qk", True),
        ("**.qk", "blocks.3.attn.qk", True),
        ("**.qk", "blocks.3.attnqk", False),
        ("a.**.b", "a.b", True),
        ("**", "a.b.c", True),
        ("conv+", "convv", False),
        ("re:conv+", "convv", True),
        ("re:conv", "conv1", False),
        (r"re:.*\.[02]\..*", "layer4.2.conv1", True),
    ],
)
def test_examples(pattern: str, name: str, expected: bool):
    assert (name_pattern(pattern).fullmatch(name) is not None) is expected


@pytest.mark.parametrize("selector", ["", "@first", "@", "re:(", "re:*"])
def test_bad_selectors(selector: str):
    with pytest.raises(ValueError, match=r"matches nothing|there is no selector|cannot be used"):
        check_name_selector(selector)


@pytest.mark.parametrize("selector", ["@first_conv", "@classifier", "re:a|b", "**", "a.b"])
def test_good_selectors(selector: str):
    check_name_selector(selector)


@given(st.sampled_from([">=", "<=", ">", "<", "==", "=", "!=", ""]), st.integers(0, 20), st.integers(0, 20))
def test_comparisons(sign: str, constant: int, number: int):
    python_sign = {"": "==", "=": "=="}.get(sign, sign)
    expected = eval(f"{number} {python_sign} {constant}")
    assert parse_condition(f"{sign}{constant}").holds((number,)) == expected


@pytest.mark.parametrize(
    ("text", "extents", "expected"),
    [
        (3, (3, 3), True),
        (3, (1, 3), False),
        ("1x3", (1, 3), True),
        ("1x3", (3, 1), False),
        ("3x3", (3,), False),
        (">=3", (3, 5), True),
        (">=3", (1, 5), False),
        ("!=3", (1, 3), True),
        ("!=3", (3, 3), False),
        ("> 1x2", (2, 3), True),
    ],
)
def test_windows(text: int | str, extents: tuple[int, ...], expected: bool):
    assert parse_condition(text, window=True).holds(extents) is expected


@pytest.mark.parametrize(("text", "value"), [("1e6", 10**6), (">=2_000", 2000), ("12e2", 1200)])
def test_large_numbers(text: str, value: int):
    assert parse_condition(text).values == (value,)


@pytest.mark.parametrize("text", ["", "=>3", "3x3", "-1", "a", "1.5", ">= ", -1])
def test_no_condition(text: int | str):
    with pytest.raises(ValueError, match="must be a number or a comparison such as `>=64`, not "):
        parse_condition(text)


def test_a_window_is_offered_where_it_is_allowed():
    with pytest.raises(ValueError, match=r"or a window such as `3x3`, not '3by3'"):
        parse_condition("3by3", window=True)
    assert parse_condition("3x3", window=True) == Condition("==", (3, 3))
