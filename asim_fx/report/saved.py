"""Read the report that was saved with an artifact, without the model and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asim_fx.artifact_files import PROBE, REPORT, SPEC, check_files, measured_text, read_manifest
from asim_fx.errors import ArtifactError
from asim_fx.report.fidelity import FidelityReport
from asim_fx.report.fidelity import from_json as from_probe
from asim_fx.report.rows import MappingReport
from asim_fx.report.serial import from_json
from asim_fx.spec.document import complete_document
from asim_fx.spec.loader import load_spec


@dataclass(frozen=True, slots=True)
class SavedReport:
    """A report that was read from somewhere.

    Attributes:
        path: the folder or file, as it was named.
        report: what it holds.
        spec: the document of the spec with all defaults written out; None where there is only a report.
        fidelity: what ``asim-simulate --probe`` measured, and kept in the artifact; None where it was not run.
    """

    path: str
    report: MappingReport
    spec: Mapping[str, Any] | None = None
    fidelity: FidelityReport | None = None


def read_saved(path: Path) -> SavedReport:
    """Return the report of an artifact's folder, or of a file that ``--report json`` printed.

    The files that are read must be those that were written; weights are not looked at.

    Raises:
        ArtifactError: there is nothing, or something else, or it was changed.
    """
    if path.is_dir():
        return SavedReport(str(path), _report(path / REPORT, of=path), _spec(path), _fidelity(path / PROBE))
    if not path.exists():
        message = f"{path}: there is no such artifact or file"
        raise ArtifactError(message, hint="asim-convert MODEL SPEC -o DIR makes an artifact")
    return SavedReport(str(path), _report(path))


def _report(path: Path, of: Path | None = None) -> MappingReport:
    if of is not None:
        check_files(of, read_manifest(of), only=(REPORT, SPEC))
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise ArtifactError(message) from error
    try:
        return from_json(content)
    except ArtifactError as error:
        message = f"{path}: {error}"
        raise ArtifactError(message, hint=error.hint) from error


def _fidelity(path: Path) -> FidelityReport | None:
    try:
        return from_probe(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise ArtifactError(message) from error


def _spec(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    try:
        measured = dict(manifest["measured"])
        overrides = tuple(map(str, manifest["overrides"]))
        spec = load_spec(folder / SPEC, overrides, read_file=lambda name: measured_text(folder, measured[name]))
    except (KeyError, TypeError, ValueError, OSError) as error:
        message = f"the manifest of {folder} does not say what its spec is: {error!r}"
        raise ArtifactError(message) from error
    return complete_document(spec)
