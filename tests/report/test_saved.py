from __future__ import annotations

import json
import math

import pytest

from asim_fx.artifact_files import MANIFEST, PROBE, REPORT, SPEC, WEIGHTS, sha256
from asim_fx.errors import ArtifactError
from asim_fx.report.fidelity import FidelityReport, SiteFidelity
from asim_fx.report.fidelity import to_json as probe_json
from asim_fx.report.saved import read_saved
from asim_fx.report.serial import to_json
from tests.report.synthetic import resnet_like

TEXT = """version: 1
name: chip
macros:
  m: {rows: 128, columns: 128, adc: {bits: 6}}
defaults: {macro: m}
"""


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / SPEC).write_text(TEXT)
    (folder / REPORT).write_text(to_json(resnet_like((1, 1, 1, 1))), encoding="utf-8")
    (folder / WEIGHTS).write_bytes(b"weights, which nobody reads here")
    files = {path.name: sha256(path) for path in folder.iterdir()}
    manifest = {"format": 1, "measured": {}, "overrides": ["macros.m.adc.bits=7"], "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_an_artifact_has_its_report_and_its_spec(artifact):
    saved = read_saved(artifact)
    assert saved.report == resnet_like((1, 1, 1, 1))
    assert saved.spec["macros"]["m"]["adc"]["bits"] == 7
    assert saved.path == str(artifact)


def test_a_file_of_json_has_a_report_alone(artifact):
    saved = read_saved(artifact / REPORT)
    assert saved.report == read_saved(artifact).report
    assert saved.spec is None


@pytest.mark.parametrize("name", [REPORT, SPEC])
def test_a_file_that_was_changed_is_refused(artifact, name):
    (artifact / name).write_text("{}")
    with pytest.raises(ArtifactError, match="was changed since"):
        read_saved(artifact)


def test_what_a_probe_measured_is_read_where_it_is(artifact):
    assert read_saved(artifact).fidelity is None
    site = SiteFidelity("fc", "linear", "analog", 40.0, 20.0, 19.9, 38.0, math.inf, None, 100)
    probe = FidelityReport("m", "s", "digits", 64, (0,), (site,))
    (artifact / PROBE).write_text(probe_json(probe))
    assert read_saved(artifact).fidelity == probe
    (artifact / PROBE).write_text("{}")
    with pytest.raises(ArtifactError, match="not a report of asim-simulate --probe"):
        read_saved(artifact)


def test_weights_are_not_looked_at(artifact):
    (artifact / WEIGHTS).write_bytes(b"others")
    assert read_saved(artifact).report.model


def test_what_is_no_report_is_named(artifact, tmp_path):
    with pytest.raises(ArtifactError, match="no such artifact or file"):
        read_saved(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        read_saved(tmp_path)
    with pytest.raises(ArtifactError, match=r"hwspec\.yaml: not a mapping report"):
        read_saved(artifact / SPEC)
    manifest = json.loads((artifact / MANIFEST).read_text())
    (artifact / MANIFEST).write_text(json.dumps({**manifest, "measured": 5}))
    with pytest.raises(ArtifactError, match="does not say what its spec is"):
        read_saved(artifact)
