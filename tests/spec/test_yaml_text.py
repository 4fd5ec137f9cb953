from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from asim_fx.spec.document import to_yaml
from asim_fx.spec.yaml_text import parse_value, read_yaml

WORDS = st.text("abcxyz ", min_size=1, max_size=6).map(str.strip).filter(bool)
SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-10, 10).map(lambda x: round(x, 3)) | WORDS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_reads_what_was_written(document: dict):
    text = to_yaml(document)
    read = read_yaml(text, "chip.yaml")
    assert read.issues == []
    assert read.data == document == YAML(typ="safe", pure=True).load(text)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_every_line_holds_its_key(document: dict):
    text = to_yaml(document)
    for path, line in read_yaml(text, "chip.yaml").lines.items():
        key = path.rpartition(".")[2]
        assert key.isdecimal() or key in text.splitlines()[line - 1]


def test_merge_keys_yield_to_own_keys():
    text = "base: &base {rows: 64, columns: 8}\nother:\n  rows: 32\n  <<: *base\n"
    assert read_yaml(text, "c").data["other"] == {"rows": 32, "columns": 8}


def test_keys_are_text():
    assert read_yaml("1: a\ntrue: b\n", "c").data == {"1": "a", "true": "b"}


def test_every_duplicate_key_is_told():
    issues = read_yaml("a: 1\nb: {x: 1, x: 2}\na: 3\n", "c").issues
    assert [str(issue) for issue in issues] == [
        "c:2: b.x: this key is already in line 2; remove one of them",
        "c:3: a: this key is already in line 1; remove one of them",
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: 1\nb: [1,\n", "c:"),
        ("a: b: c\n", "c:1: this is not YAML: mapping values are not allowed here"),
        ("a: 1\nb:\n\t- x\n", "c:3: this is not YAML: "),
        ("a: 1\n---\nb: 2\n", "c:2: this is not YAML: expected a single document"),
        ("a: 1\nb: \x07\n", "c:2: this is not YAML: the character U+0007 is not allowed"),
    ],
)
def test_syntax_errors_have_their_line(text: str, start: str):
    (issue,) = read_yaml(text, "c").issues
    assert str(issue).startswith(start)
    assert "this is not YAML" in issue.message


@pytest.mark.parametrize("name", ["**.qk", "*.conv", "@first_conv"])
def test_unquoted_selectors_get_a_hint(name: str):
    (issue,) = read_yaml(f"a: 1\nname: {name}\n", "c").issues
    assert issue.where == "c:2"
    assert issue.message.endswith("a text that starts with `*` or `@` needs quotes")


def test_yaml_is_data():
    issues = read_yaml("a: !!python/object/apply:os.getcwd []\nb: !!python/name:os.getcwd x\n", "c").issues
    assert [(issue.where, issue.field) for issue in issues] == [("c:1", "a"), ("c:2", "b")]


def test_aliases_that_hold_themselves_or_explode():
    assert len(read_yaml("a: &x [*x]\n", "c").issues) == 1
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    assert read_yaml(bomb, "c").issues


@pytest.mark.parametrize(("text", "value"), [("6", 6), ("0.5", 0.5), ("true", True), ("ideal", "ideal"), ("", None)])
def test_values(text: str, value: object):
    assert parse_value(text) == value
