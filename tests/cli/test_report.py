from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asim_fx.artifact_files import MANIFEST, PAGE, REPORT
from tests.cli.command import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One model on one chip, and on the same with another converter."""
    import torch

    import asim_fx
    from asim_fx.models import build_model
    from asim_fx.spec import load_spec

    built = build_model("asim:digits_resnet")
    folder = tmp_path_factory.mktemp("artifacts")
    for name, overrides in (("a", ()), ("b", ("macros.m.adc.bits=7",))):
        spec = load_spec("generic-255x8b", overrides)
        example = torch.zeros(2, *built.source.input_size)
        asim_fx.convert(built.model, spec, example, source=built.source).save(folder / name)
    return folder / "a", folder / "b"


def test_show_prints_what_convert_saved(capsys: Capture, artifacts: tuple[Path, Path]):
    a, _ = artifacts
    done = run(capsys, "asim-report", "show", a, "--report", "json")
    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == (a / REPORT).read_text(encoding="utf-8").strip()
    assert run(capsys, "asim", "report", "show", a, "--json").out == done.out
    page = run(capsys, "asim-report", "show", a, "--report", "html").out
    assert page.strip() == (a / PAGE).read_text(encoding="utf-8").strip()
    table = run(capsys, "asim-report", "show", a / REPORT).out
    assert "digits_resnet on generic-255x8b" in table
    assert "layers.0.conv1" in table
    assert run(capsys, "asim-report", "show", a, "--report", "csv").out.startswith("name,kind,op")
    assert run(capsys, "asim-report", "show", a, "--report", "md").out.startswith("# ")


def test_diff_says_what_differs(capsys: Capture, artifacts: tuple[Path, Path]):
    done = run(capsys, "asim-report", "diff", *artifacts)
    assert (done.code, done.err) == (0, "")
    assert "macros.m.adc.bits" in done.out
    assert "ADC bits 8 \N{RIGHTWARDS ARROW} 7" in done.out
    data = json.loads(run(capsys, "asim-report", "diff", *artifacts, "--json").out)
    assert [(change["field"], change["a"], change["b"]) for change in data["spec"]] == [("macros.m.adc.bits", 8, 7)]
    analog = {site["name"] for site in data["sites"]}
    assert analog
    assert all({"field": "adc_bits"}.items() <= site["decisions"][0].items() for site in data["sites"])
    assert run(capsys, "asim-report", "diff", *artifacts, "--report", "csv").out.startswith("part,site,field")
    assert run(capsys, "asim-report", "diff", *artifacts, "--report", "md").out.startswith("# Difference")


def test_check_is_an_exit_code(capsys: Capture, artifacts: tuple[Path, Path]):
    a, b = artifacts
    assert run(capsys, "asim-report", "diff", a, b, "--check").code == 5
    same = run(capsys, "asim-report", "diff", a, a / REPORT, "--check")
    assert same.code == 0
    assert "They do not differ." in same.out


def test_what_is_no_artifact_is_an_error_in_words(capsys: Capture, tmp_path: Path, artifacts: tuple[Path, Path]):
    a, _ = artifacts
    for other, words in (
        (tmp_path / "no", "no such artifact"),
        (tmp_path, "no artifact"),
        (a / MANIFEST, "not a mapping"),
    ):
        done = run(capsys, "asim-report", "diff", a, other)
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert "Traceback" not in done.err
    assert run(capsys, "asim-report", "diff", a).code == 2
    assert run(capsys, "asim-report", "show", a, "--report", "pdf").code == 2


def test_neither_the_model_nor_torch_is_loaded(artifacts: tuple[Path, Path]):
    code = (
        "import sys; from asim_fx.cli.main import run_report\n"
        "try: run_report()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "assert not {'torch', 'timm', 'numba', 'numpy'} & set(sys.modules)\n"
    )
    for arguments in (["diff", *artifacts], ["show", artifacts[0], "--report", "html"], ["--help"]):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
