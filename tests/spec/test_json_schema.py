from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from asim_fx.spec.json_schema import schema
from asim_fx.spec.schema import Settings
from asim_fx.spec.words import alternatives, fields_of, in_words, schema_at, unknown_name, value_in_words


def parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(inner)


def test_is_json():
    assert json.loads(json.dumps(schema())) == schema()


def test_every_mapping_refuses_unknown_fields():
    mappings = [part for part in parts(schema()) if part.get("type") == "object"]
    assert len(mappings) >= 12
    assert all(part["additionalProperties"] is False for part in mappings)


def test_every_field_is_described():
    root = schema()
    for model in (root, *root["$defs"].values()):
        for name, field in model["properties"].items():
            meanings = [part.get("description") for part in (field, *alternatives(field, root))]
            assert any(meanings), name


def test_a_rule_takes_the_settings_and_shows_no_defaults_for_them():
    rule = schema()["$defs"]["Rule"]["properties"]
    assert {*Settings.model_fields, "match", "why", "optional", "macro"} == set(rule)
    assert not [name for name in Settings.model_fields if "default" in rule[name]]


def test_null_is_never_offered():
    assert not [part for part in parts(schema()) if part.get("type") == "null"]


def test_the_schema_is_a_copy():
    schema()["properties"].clear()
    assert schema()["properties"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("macros", "any", "adc", "bits"), "a whole number from 1 to 24, or `ideal`"),
        (("defaults", "signed"), "`auto`, or `true` or `false`"),
        (
            ("rules", 3, "macro"),
            "text, or a mapping with rows, columns, adc, noise, domain, current, bitline, capacitors, cells, "
            "weights, weight_encoding, cell_bits, differential, cost or count",
        ),
        (("rules", 0, "macro", "noise", "random_percent_fs"), "a number, 0 or more"),
        (("version",), "`1`"),
        (("rules",), "a list"),
    ],
)
def test_fields_in_words(path: tuple[str | int, ...], words: str):
    root = schema()
    assert in_words(schema_at(path, root) or {}, root) == words


def test_no_such_field():
    assert schema_at(("macros", "m", "adcc", "bits"), schema()) is None


def test_names_of_fields_reach_down():
    root = schema()
    assert {"macro", "macro.adc.bits", "vote.how"} <= set(fields_of(schema_at(("rules", 0), root) or {}, root))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("row", "there is no field `row`; did you mean `rows`?"),
        ("bits", "there is no field `bits`; did you mean `adc.bits`?"),
        ("zzz", "there is no field `zzz`; known are rows, adc"),
    ],
)
def test_unknown_names(name: str, message: str):
    assert unknown_name(name, ["rows", "adc", "adc.bits"], "field") == message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        ("a", "the text 'a'"),
        (True, "true"),
        ([], "a list"),
        ({}, "a mapping"),
        (float("inf"), "infinity"),
    ],
)
def test_values_in_words(value: object, words: str):
    assert value_in_words(value) == words
