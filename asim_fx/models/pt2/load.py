"""From a ``.pt2`` file to the program in it, over an archive of our own."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from asim_fx.capture.explain import one_line, quietly
from asim_fx.errors import ModelError
from asim_fx.models.pt2.members import CONSTANTS, PROGRAM, SAMPLE_INPUTS, WEIGHTS, read_members
from asim_fx.models.pt2.payload import clean_table
from asim_fx.models.pt2.program import clean_program
from asim_fx.models.pt2.samples import read_samples

_HEADER = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little", ".data/version": b"6\n"}


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """What a ``.pt2`` file holds.

    Attributes:
        program: the exported program, on the CPU.
        samples: positional and keyword arguments that it was exported with; None where the file has none.
    """

    program: ExportedProgram
    samples: tuple[tuple[Any, ...], dict[str, Any]] | None


def read_program(path: Path) -> ProgramFile:
    """Read the program in a ``.pt2`` file. Nothing in the file can make this run code.

    Raises:
        ModelError: the file is missing or damaged, or holds something that could run code.
        CaptureError: the program uses an operation that is not known here.
    """
    members = read_members(path)
    samples = read_samples(members.get(SAMPLE_INPUTS, b""), path)
    try:
        # What remains can fail only for being inconsistent.
        with quietly(), torch.no_grad():
            program = torch.export.load(io.BytesIO(_clean(members)))
    except ModelError:
        raise
    except Exception as error:
        if getattr(error, "exit_code", None) is not None:
            raise
        message = f"{path} is damaged, or of another torch than {torch.__version__}: {one_line(error)}"
        raise ModelError(message, hint="export it again with this torch") from error
    return ProgramFile(program, samples)


def clean_archive(path: Path) -> bytes:
    """Return the program of a ``.pt2`` file as an archive without any pickle, as ``read_program`` takes it.

    Raises:
        ModelError, CaptureError: as ``read_program``.
    """
    return _clean(read_members(path))


def _clean(members: Mapping[str, bytes]) -> bytes:
    written = {**_HEADER, PROGRAM: clean_program(members[PROGRAM]), SAMPLE_INPUTS: b""}
    for folder, config in ((WEIGHTS, "model_weights_config.json"), (CONSTANTS, "model_constants_config.json")):
        table, files = clean_table(members[f"{folder}{config}"], members, folder)
        written |= {f"{folder}{config}": table, **files}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in written.items():
            archive.writestr(zipfile.ZipInfo(f"program/{name}"), data)
    return content.getvalue()
