"""The members of a ``.pt2`` archive: which there may be, and that none is larger than the file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from asim_fx.errors import ModelError

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"

_RE_EXPORT = "export it again with this torch: torch.export.save(torch.export.export(model.eval(), (x,)), FILE)"
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_PLAIN = frozenset(
    {
        "archive_format",
        "archive_version",
        "byteorder",
        "version",
        ".data/version",
        ".data/serialization_id",
        PROGRAM,
        SAMPLE_INPUTS,
        f"{WEIGHTS}model_weights_config.json",
        f"{CONSTANTS}model_constants_config.json",
    }
)
_REFUSED = {
    "data/aotinductor/": "compiled code",
    "data/constants/custom_obj_": "pickled objects (custom classes of TorchScript)",
    "data/constants/opaque_obj_": "pickled objects",
    "data/weights/model.pt": "pickled weights, of an older torch",
    "data/constants/model.pt": "pickled constants, of an older torch",
}


def read_members(path: Path) -> Mapping[str, bytes]:
    """Return the members of an archive by name, without the folder that they all lie in.

    Args:
        path: a file that ``torch.export.save`` wrote (of torch 2.8 or later: before, weights were one pickle).

    Raises:
        ModelError: no such file, it is damaged, or it holds something that is no part of an exported program.
    """
    if not path.is_file():
        message = f"{path}: no such file"
        raise ModelError(message)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        message = f"{path} is damaged or no .pt2 file: {error}"
        raise ModelError(message, hint="torch.export.save writes one") from error


def _read(archive: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    names = [info.filename for info in archive.infolist()]
    if "serialized_exported_program.json" in names:
        message = f"{path} was written by a torch that pickled its weights, which are refused"
        raise ModelError(message, hint=_RE_EXPORT)
    roots = {name.partition("/")[0] for name in names}
    if len(roots) != 1 or len(set(names)) != len(names):
        message = f"{path} is not laid out as torch.export.save does it"
        raise ModelError(message, hint=_RE_EXPORT)
    # Nothing is compressed in what torch writes: members that add up to more than the file are a trap.
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()) or (
        sum(info.file_size for info in archive.infolist()) > path.stat().st_size
    ):
        message = f"{path} holds compressed members, which torch.export.save never writes"
        raise ModelError(message, hint=_RE_EXPORT)
    members: dict[str, bytes] = {}
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        if name.startswith("extra/"):  # notes of the user's own, which nothing here reads
            continue
        _check_name(name, path)
        members[name] = archive.read(info)
    missing = sorted(
        {PROGRAM, f"{WEIGHTS}model_weights_config.json", f"{CONSTANTS}model_constants_config.json"} - members.keys()
    )
    if missing:
        message = f"{path} holds no exported program: {missing[0]} is missing"
        raise ModelError(message, hint=_RE_EXPORT)
    if members.get("archive_version", b"0") != b"0" or members.get("byteorder", b"little") != b"little":
        message = f"{path} is of another version or byte order than this one"
        raise ModelError(message, hint=_RE_EXPORT)
    return members


def _check_name(name: str, path: Path) -> None:
    if name in _PLAIN or _TENSOR.fullmatch(name):
        return
    what = next((what for prefix, what in _REFUSED.items() if name.startswith(prefix)), "")
    if what:
        message = f"{path} holds {what}, which is refused: reading it could run code ({name})"
        raise ModelError(message, hint="export a model of plain tensors and operations")
    message = f"{path} holds {name!r}, which is no part of one exported program"
    raise ModelError(message, hint="torch.export.save writes one program named model")
