"""The files of an artifact: what they are called, and whether they are still those that were written. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asim_fx.errors import ArtifactError

FORMAT = 1
MANIFEST = "manifest.json"
SPEC = "hwspec.yaml"
WEIGHTS = "model.safetensors"
REPORT = "report.json"
PAGE = "report.html"
PROGRAM = "program.pt2"
CALIBRATION = "calibration.json"
PROBE = "probe.json"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what an artifact says of itself.

    Raises:
        ArtifactError: the folder is no artifact, or one of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{folder} is no artifact: it has no {MANIFEST}"
        raise ArtifactError(message, hint="asim-convert MODEL SPEC -o DIR makes one") from error
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}"
        raise ArtifactError(message) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        message = f"{path} is of format {found}; this version reads format {FORMAT}"
        raise ArtifactError(message)
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any], only: Iterable[str] = ()) -> None:
    """Check that the files of an artifact are those that were written.

    Args:
        folder: of the artifact.
        manifest: what ``read_manifest`` returned.
        only: names to check; all where there are none.

    Raises:
        ArtifactError: one is missing or was changed.
    """
    files = manifest.get("files")
    if not isinstance(files, dict) or not {SPEC, WEIGHTS, REPORT} <= set(files):
        message = f"{folder / MANIFEST} does not list the files of an artifact"
        raise ArtifactError(message)
    names = set(only) or set(files)
    for name in (name for name in files if name in names):
        path = folder / Path(name).name
        if not path.is_file():
            message = f"{path} is missing"
            raise ArtifactError(message)
        if sha256(path) != files[name]:
            message = f"{path} was changed since the artifact was made"
            raise ArtifactError(message, hint="convert the model again")


def measured_text(folder: Path, name: str) -> str:
    """Return the text of a measured file of an artifact, as it was when the artifact was made."""
    return (folder / Path(name).name).read_bytes().decode("utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
