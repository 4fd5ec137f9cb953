"""The weights and constants of a ``.pt2`` archive: raw numbers, and a table that says which tensor they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from asim_fx.errors import ModelError
from asim_fx.models.pt2.program import parse_json
from asim_fx.models.pt2.words import check_path, refused

_FILE = re.compile(r"(weight|tensor)_\d+")
_ITEM_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2}
"""Bytes of an element by the number that torch.export writes for its dtype; 1 for what is not listed."""


def clean_table(content: bytes, members: Mapping[str, bytes], folder: str) -> tuple[bytes, dict[str, bytes]]:
    """Return a table of tensors with only what is needed to read them, and the members that hold their numbers.

    Args:
        content: the table as the file has it.
        members: of the archive.
        folder: where the members of this table lie.

    Raises:
        ModelError: a tensor is pickled, or is larger than its numbers.
    """
    table = parse_json(content, "table of tensors")
    try:
        entries = {check_path(name, "name"): _entry(name, entry) for name, entry in table["config"].items()}
        files = {f"{folder}{entry['path_name']}": b"" for entry in entries.values()}
        for name in files:
            files[name] = members[name]
        for name, entry in entries.items():
            _check_size(name, entry["tensor_meta"], len(files[f"{folder}{entry['path_name']}"]))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        message = f"the table of tensors in the file is damaged ({type(error).__name__}: {error})"
        raise ModelError(message) from error
    return json.dumps({"config": entries}).encode(), files


def _entry(name: str, entry: Any) -> dict[str, Any]:
    if entry["use_pickle"] is not False:
        message = f"{name} is pickled, which is refused: reading it could run code"
        raise ModelError(message, hint="export a model whose weights are plain tensors, no subclasses of them")
    if not _FILE.fullmatch(entry["path_name"]):
        what = "name of a tensor's file"
        raise refused(what, entry["path_name"])
    meta = entry["tensor_meta"]
    return {
        "path_name": entry["path_name"],
        "is_param": bool(entry["is_param"]),
        "use_pickle": False,
        "tensor_meta": {
            "dtype": int(meta["dtype"]),
            "sizes": _numbers(meta["sizes"]),
            "strides": _numbers(meta["strides"]),
            "storage_offset": {"as_int": _number(meta["storage_offset"])},
            "requires_grad": bool(meta["requires_grad"]),
            "device": {"type": "cpu", "index": None},
            "layout": int(meta["layout"]),
        },
    }


def _numbers(sizes: list[Any]) -> list[dict[str, int]]:
    return [{"as_int": _number(size)} for size in sizes]


def _number(size: Mapping[str, Any]) -> int:
    number = size["as_int"]
    if not isinstance(number, int) or not 0 <= number < 2**63:
        message = f"{number!r} is no size"
        raise ValueError(message)
    return number


def _check_size(name: str, meta: Mapping[str, Any], available: int) -> None:
    """Refuse a tensor that needs more memory than the file is long: torch would allocate it."""
    sizes = [size["as_int"] for size in meta["sizes"]]
    steps = [stride["as_int"] for stride in meta["strides"]]
    item = _ITEM_SIZES.get(meta["dtype"], 1)
    last = meta["storage_offset"]["as_int"] + sum(
        (size - 1) * step for size, step in zip(sizes, steps, strict=True) if size
    )
    elements = math.prod(sizes)
    if elements and ((last + 1) * item > available or elements * item > max(available, 2**26)):
        shape = ", ".join(map(str, sizes))
        message = f"{name} of shape ({shape}) does not fit the {available:,} bytes that the file holds of it"
        raise ModelError(message, hint="the file is damaged; export it again")
