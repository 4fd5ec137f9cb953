from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.errors import ExitCode, SpecError
from asim_fx.spec import HardwareSpec, load_spec, parse_spec, shipped_names
from tests.spec.documents import CONTRACT, SMALL, errors_of


def load_errors(source: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(source)  # type: ignore[arg-type]
    assert caught.value.exit_code is ExitCode.USAGE
    return str(caught.value).splitlines()


def test_documented_example_loads():
    spec = parse_spec(CONTRACT, "chip.yaml")
    assert spec.macros["m"].adc.bits == 8
    assert spec.rules[1].settings == {"input_bits": 9, "input_encoding": 2, "macro": {"adc": {"bits": 9}}}
    assert spec.rules[2].settings == {"hybrid": {"levels": 2}, "vote": {"levels": 4, "samples": 3, "how": "median"}}


def test_ideal_converter_loads():
    assert parse_spec(CONTRACT.replace("bits: 8, range", "bits: ideal, range"), "c").macros["m"].adc.bits == "ideal"


def test_origin_keeps_text_and_lines(tmp_path: Path):
    file = tmp_path / "chip.yaml"
    file.write_text(CONTRACT)
    origin = load_spec(file).origin
    assert origin.text == CONTRACT
    assert origin.where("macros.m.adc.bits") == f"{file}:4"
    assert origin.where("defaults.vote") == f"{file}:7"
    assert origin.where("rules.2.vote.levels") == f"{file}:11"
    assert origin.where("rules.2.nothing") == f"{file}:11"
    assert origin.where("nothing") == f"{file}:1"


@pytest.mark.parametrize("name", ["generic-255x8b", "generic-256x7b-hybrid", "ideal"])
def test_shipped_by_name(name: str):
    assert name in shipped_names()
    spec = load_spec(name)
    assert spec.name == name
    assert spec.origin.name == f"{name}.yaml"


def test_spec_is_returned_as_it_is():
    spec = parse_spec(SMALL, "chip.yaml")
    assert load_spec(spec) is spec


def test_spec_with_overrides_keeps_its_lines():
    spec = load_spec(parse_spec(CONTRACT, "chip.yaml"), ["defaults.vote.samples=5"])
    assert spec.defaults.vote.samples == 5
    assert spec.origin.where("defaults.vote.samples") == "--set defaults.vote.samples=5"
    assert spec.origin.where("defaults.vote.how") == "chip.yaml:7"
    again = load_spec(spec, ["macros.m.rows=16"])
    assert again.origin.overrides == ("defaults.vote.samples=5", "macros.m.rows=16")
    assert (again.defaults.vote.samples, again.macros["m"].rows) == (5, 16)


def test_spec_from_python_says_so():
    spec = HardwareSpec.model_validate({"version": 1, "name": "x", "macros": {"m": {}}})
    assert spec.origin.where("macros.m.rows") == "<python>"
    changed = load_spec(spec, ["macros.m.rows=3"])
    assert changed.origin.where("macros.m.rows") == "--set macros.m.rows=3"
    with pytest.raises(SpecError, match=r"^<python>: defaults\.weight_bits: `weight_bits: 1`"):
        load_spec(HardwareSpec.model_validate({**spec.model_dump(), "defaults": {"weight_bits": 1}}), ["name=y"])


def test_unknown_name_suggests():
    assert load_errors("generic-255x8") == [
        "generic-255x8: no hardware spec of this name ships with asim-fx, and there is no such file; did you mean "
        "`generic-255x8b`? `asim-spec list` shows what ships"
    ]


def test_missing_file(tmp_path: Path):
    missing = tmp_path / "nowhere.yaml"
    (line,) = load_errors(missing)
    assert line.startswith(f"{missing}: there is no such file; `asim-spec list`")


def test_shipped_name_with_suffix_is_suggested_without():
    (line,) = load_errors("ideal.yaml")
    assert "did you mean `ideal`?" in line


def test_folder(tmp_path: Path):
    assert load_errors(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


@pytest.mark.parametrize("source", ["", "."])
def test_no_real_name(source: str):
    assert len(load_errors(source)) == 1


def test_not_utf8(tmp_path: Path):
    file = tmp_path / "chip.yaml"
    file.write_bytes(b"version: 1\nname: caf\xe9\n")
    assert load_errors(file) == [f"{file}:2: this is not UTF-8 text; save the file as UTF-8"]


def test_byte_order_mark_is_fine(tmp_path: Path):
    file = tmp_path / "chip.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_spec(file).name == "small"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "chip.yaml:1: the file is empty; a hardware spec starts with `version: 1`"),
        ("# nothing\n", "chip.yaml:1: the document holds nothing; a hardware spec starts with `version: 1`"),
        (
            "- 1\n",
            "chip.yaml:1: a hardware spec must be a mapping with version, name, description, chip, macros, defaults, "
            "rules, mapping or engine, not a list",
        ),
        ("name: x\nmacros: {m: [}\n", None),
    ],
)
def test_no_document(text: str, message: str | None):
    (line,) = errors_of(text)
    if message is None:
        assert line.startswith("chip.yaml:2: this is not YAML: ")
    else:
        assert line == message


def test_everything_wrong_at_once():
    text = """\
versoin: 1
name: 3
macros:
  m: {rows: 0, colums: 3, adc: {bits: 0}, noise: {random_percent_fs: -1}}
  m2: 5
  m2: {}
defaults: {signed: yes, input_bits: 4, input_encoding: 8, macro: mm, vote: 3}
rules:
  - {target: integer}
  - match: {name: "re:(", op: cnov, where: {k: "=>3", depthwise: 1}}
    macro: {adcc: 3, adc: {bits: nine}}
  - match: {name: [1, "@firstconv"]}
    rows: 3
  - match: {}
    weight_bits: 1
"""
    kinds = "`conv`, `linear`, `qk`, `av` or `matmul`"
    assert errors_of(text, "defaults.scale=statik") == [
        "chip.yaml:1: version: this field is missing; it must be `1`, for example `version: 1`",
        "chip.yaml:1: versoin: there is no field `versoin`; did you mean `version`?",
        "chip.yaml:2: name: must be text, not 3",
        "chip.yaml:4: macros.m.rows: must be a whole number from 1 to 1048576, not 0",
        "chip.yaml:4: macros.m.adc.bits: must be a whole number from 1 to 24, or `ideal`, not 0",
        "chip.yaml:4: macros.m.noise.random_percent_fs: must be a number, 0 or more, not -1",
        "chip.yaml:4: macros.m.colums: there is no field `colums`; did you mean `columns`?",
        "chip.yaml:5: macros.m2: must be a mapping with rows, columns, adc, noise, domain, current, bitline, "
        "capacitors, cells, weights, weight_encoding, cell_bits, differential, cost or count, not 5",
        "chip.yaml:6: macros.m2: this key is already in line 5; remove one of them",
        "chip.yaml:7: defaults.signed: must be `auto`, or `true` or `false`, not the text 'yes'",
        "chip.yaml:7: defaults.vote: must be a mapping with levels, samples or how, not 3",
        "chip.yaml:7: defaults.macro: there is no macro `mm`; did you mean `m`?",
        "chip.yaml:7: defaults.input_encoding: `input_encoding: 8` is wider than the input, which has `input_bits: 4`",
        "chip.yaml:9: rules.0.match: this field is missing; it must be a mapping with name, op or where",
        "chip.yaml:10: rules.1.match.name: the regular expression `(` cannot be used: missing ), unterminated "
        "subpattern at position 0",
        f"chip.yaml:10: rules.1.match.op: must be {kinds}, or a list, not the text 'cnov'",
        "chip.yaml:10: rules.1.match.where.k: must be a number or a comparison such as `>=64`, not '=>3'",
        "chip.yaml:10: rules.1.match.where.depthwise: must be `true` or `false`, not 1",
        "chip.yaml:11: rules.1.macro.adc.bits: must be a whole number from 1 to 24, or `ideal`, not the text 'nine'",
        "chip.yaml:11: rules.1.macro.adcc: there is no field `adcc`; did you mean `adc`?",
        "chip.yaml:12: rules.2.match.name.0: must be text, not 1",
        "chip.yaml:12: rules.2.match.name: there is no selector `@firstconv`; did you mean `@first_conv`?",
        "chip.yaml:13: rules.2.rows: there is no field `rows`; did you mean `macro.rows`?",
        "chip.yaml:15: rules.3.weight_bits: `weight_bits: 1` leaves no bit for the magnitude, as weights are signed; "
        "use 2 or more",
        "--set defaults.scale=statik: defaults.scale: must be `dynamic`, `sample` or `static`, not the text 'statik'",
        "25 errors",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", "true"), ("rows", '"255"'), ("rows", "2.5"), ("rows", ""), ("columns", "[1]"), ("columns", "1e99")],
)
def test_numbers_are_not_guessed(field: str, value: str):
    (line,) = errors_of(f"version: 1\nname: x\nmacros:\n  m:\n    {field}: {value}\n")
    assert line.startswith(f"chip.yaml:5: macros.m.{field}: must be a whole number from 1 to 1048576, not ")


@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_noise_is_finite(value: str):
    (line,) = errors_of(SMALL.replace("{}", f"{{noise: {{random_percent_fs: {value}}}}}"))
    assert line.startswith("chip.yaml:3: macros.m.noise.random_percent_fs: must be a number, 0 or more, not ")


@pytest.mark.parametrize("version", ["2", "'1'", "true", "1.0", ""])
def test_other_version(version: str):
    (line,) = errors_of(SMALL.replace("version: 1", f"version: {version}"))
    assert line.startswith("chip.yaml:1: version: must be `1`, not ")


@pytest.mark.parametrize("value", ["1", "0", "yes", ""])
def test_signed_is_no_number(value: str):
    (line,) = errors_of(f"{SMALL}defaults:\n  signed: {value}\n")
    assert line.startswith("chip.yaml:5: defaults.signed: must be `auto`, or `true` or `false`, not ")


def test_no_pydantic_words_reach_the_user():
    lines = errors_of("a: 1\nmacros: 3\nrules: {}\ndefaults: []\n")
    assert not [line for line in lines if "Input should" in line or "pydantic" in line or "Extra" in line]
    assert len(lines) == 7


def test_rules_that_are_not_there_cannot_be_set():
    with pytest.raises(SpecError, match=r"`rules\.9` does not exist: there are no rules"):
        parse_spec("version: 1\nname: x\nmacros: {m: {rows: 8}}\n", "chip.yaml", ["rules.9.target=float"])


def test_no_macro_to_name_is_said():
    with pytest.raises(SpecError, match=r"needs a macro and there is none") as refused:
        parse_spec("version: 1\nname: x\nmacros: {}\n", "chip.yaml")
    assert "give `macro` the name" not in str(refused.value)


def test_aliases_that_multiply_are_told_once():
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8))
    with pytest.raises(SpecError) as refused:
        parse_spec(f"version: 1\nname: x\nmacros: {{m: {{rows: 8}}}}\na0: &a0 [1]\n{levels}\n", "chip.yaml")
    assert str(refused.value).count("for far too much") == 1
    assert len(str(refused.value).splitlines()) <= 11


def test_of_the_same_issue_ten_are_shown():
    rules = "\n".join("  - {match: {op: conv}, weight_bits: 0}" for _ in range(15))
    with pytest.raises(SpecError) as refused:
        parse_spec(f"version: 1\nname: x\nmacros: {{m: {{rows: 8}}}}\nrules:\n{rules}\n", "chip.yaml")
    assert len(refused.value.issues) == 15
    assert str(refused.value).splitlines()[10:] == ["and 5 more of the same", "15 errors"]
