from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asim_fx.cli.work import planning
from asim_fx.spec.loader import load_spec, parse_spec
from tests.cli.command import run
from tests.test_rules import SITES

Capture = pytest.CaptureFixture[str]


def test_list(capsys: Capture):
    done = run(capsys, "asim-spec", "list")
    assert (done.code, done.err) == (0, "")
    assert all(
        word in done.out for word in ("generic-255x8b", "generic-256x7b-hybrid", "ideal", "7 bits", "0.05 random")
    )


def test_a_pipe_gets_whole_lines(capsys: Capture):
    (line,) = [line for line in run(capsys, "asim-spec", "list").out.splitlines() if "256x7b" in line]
    assert line.rstrip().endswith(load_spec("generic-256x7b-hybrid").description)


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_columns_of_the_terminal_are_kept(capsys: Capture, monkeypatch: pytest.MonkeyPatch, columns: int):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run(capsys, "asim-spec", "list").out.splitlines())) <= columns


def test_list_as_json(capsys: Capture):
    listed = {spec["name"]: spec for spec in json.loads(run(capsys, "asim-spec", "list", "--json").out)}
    assert listed["ideal"]["macros"] == ["m"]
    assert (listed["jia-isscc2021"]["venue"], listed["jia-isscc2021"]["year"]) == ("ISSCC", 2021)


def test_list_shows_what_was_published_and_what_was_not(capsys: Capture):
    lines = {line.split()[0]: line for line in run(capsys, "asim-spec", "list").out.splitlines() if line.split()}
    chip = ("ISSCC 2021", "16 nm", "1152 x 256", "8 bits", "0.2667 random", "1936 (1b/1b)")
    assert all(word in lines["jia-isscc2021"] for word in chip)
    assert "unknown" in lines["jia-jssc2020"]  # its noise
    assert "512 x unknown" in lines["cr-cim-vlsi2023"]


def test_show_explains_a_published_chip(capsys: Capture):
    done = run(capsys, "asim-spec", "show", "jia-jssc2020")
    assert parse_spec(done.out, "shown.yaml") == load_spec("jia-jssc2020")
    comments = [line for line in done.out.splitlines() if line.startswith("#")]
    assert "Hongyang Jia" in comments[0]
    assert any("0.85 V, 11.49 pJ for a read, 1750 ns for a read, 400 TOPS/W (1b/1b)" in line for line in comments)
    assert any(line.startswith("#   not published") and "noise" in line for line in comments)


def test_show_is_a_spec_again(capsys: Capture):
    done = run(capsys, "asim-spec", "show", "generic-255x8b", "--set", "macros.m.adc.bits=6")
    assert parse_spec(done.out, "shown.yaml") == load_spec("generic-255x8b", ["macros.m.adc.bits=6"])
    assert "weights: bit-planes" in done.out


def test_show_as_json(capsys: Capture):
    shown = json.loads(run(capsys, "asim-spec", "show", "ideal", "--json").out)
    assert shown["macros"]["m"]["adc"] == {"bits": "ideal", "range": "rows"}
    assert shown["defaults"]["vote"] == {"levels": 0, "samples": 1, "how": "mode"}


def test_check_says_ok(capsys: Capture):
    done = run(capsys, "asim-spec", "check", "generic-256x7b-hybrid")
    assert done.code == 0
    assert done.out.startswith("generic-256x7b-hybrid.yaml: ok\n")
    assert "256 rows" in done.out


def test_check_says_everything_that_is_wrong(capsys: Capture, tmp_path: Path):
    file = tmp_path / "chip.yaml"
    file.write_text("version: 1\nname: x\nmacros: {m: {rows: 0, adc: {bits: 0}}}\ndefaults: {input_encodin: 3}\n")
    done = run(capsys, "asim-spec", "check", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        f"error: {file}:3: macros.m.rows: must be a whole number from 1 to 1048576, not 0",
        f"{file}:3: macros.m.adc.bits: must be a whole number from 1 to 24, or `ideal`, not 0",
        f"{file}:4: defaults.input_encodin: there is no field `input_encodin`; did you mean `input_encoding`?",
        "3 errors",
    ]


@pytest.mark.parametrize("command", ["check", "show"])
def test_bad_flags_are_named(capsys: Capture, command: str):
    done = run(capsys, "asim-spec", command, "ideal", "--set", "macros.m.rows=0")
    assert done.code == 2
    assert done.err.startswith("error: --set macros.m.rows=0: macros.m.rows: must be a whole number")


def test_unknown_name(capsys: Capture):
    done = run(capsys, "asim-spec", "show", "idael")
    assert done.code == 2
    assert "did you mean `ideal`?" in done.err


def test_schema(capsys: Capture):
    assert json.loads(run(capsys, "asim-spec", "schema").out)["additionalProperties"] is False


@pytest.fixture
def known_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "list_sites", lambda model, options: SITES)


@pytest.mark.usefixtures("known_sites")
def test_sites_as_json(capsys: Capture):
    done = run(capsys, "asim-spec", "sites", "resnet18", "--json", "--name", "layer4.**")
    assert json.loads(done.out)[1] == {
        "name": "layer4.1.dw",
        "op": "conv",
        "k": 9,
        "n": 1,
        "groups": 64,
        "kernel": "3x3",
        "stride": "1x1",
        "depthwise": True,
        "macs": 1_806_336,
        "aliases": [],
    }


@pytest.mark.usefixtures("known_sites")
def test_sites_as_a_table(capsys: Capture):
    done = run(capsys, "asim-spec", "sites", "resnet18", "--op", "qk")
    assert "blocks.0.attn.qk" in done.out
    assert "layer4" not in done.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--name", "re:("], "--name re:(: the regular expression `(` cannot be used"),
        (["--name", "@stem"], "--name @stem: there is no selector `@stem`"),
        (["--op", "cnov"], "--op cnov: known are conv, linear, qk, av, matmul"),
    ],
)
def test_bad_selectors(capsys: Capture, flags: list[str], message: str):
    done = run(capsys, "asim-spec", "sites", "resnet18", *flags)
    assert done.code == 2
    assert done.err.startswith(f"error: {message}")


def test_nothing_but_sites_imports_torch():
    script = """
import sys
from asim_fx.cli.main import run_spec
import asim_fx.rules, asim_fx.spec.reference
for arguments in (["--help"], ["list"], ["show", "ideal"], ["check", "ideal"], ["schema"]):
    sys.argv = ["asim-spec", *arguments]
    try:
        run_spec()
    except SystemExit as stop:
        assert not stop.code, stop.code
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
