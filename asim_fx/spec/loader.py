"""Load a hardware spec: a shipped one by name, a YAML file, or one that is a value already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from asim_fx.errors import SpecError, SpecIssue, UsageError
from asim_fx.spec.attach import ReadFile, attach_files, beside
from asim_fx.spec.checks import spec_issues
from asim_fx.spec.origin import SpecOrigin
from asim_fx.spec.overrides import apply_overrides
from asim_fx.spec.schema import HardwareSpec
from asim_fx.spec.validation import validate
from asim_fx.spec.yaml_text import YamlDocument, read_yaml

_SHIPPED = "asim_fx.hwspecs"
_SUFFIXES = (".yaml", ".yml")


def load_spec(
    source: str | os.PathLike[str] | HardwareSpec, overrides: Sequence[str] = (), *, read_file: ReadFile | None = None
) -> HardwareSpec:
    """Load a hardware spec and check all that can be checked without a model.

    Args:
        source: name of a shipped spec (``generic-255x8b``), path to a YAML file, or a spec.
        overrides: fields to change, each ``a.b=value`` with the path from the root and the value in YAML
            (``macros.m.adc.bits=6``, ``rules.0.vote.levels=3``).
        read_file: gives the text of a measured file that the spec names; by default it lies beside the spec.

    Raises:
        SpecError: there is no such spec, or it is not valid; with every issue that was found.
        UsageError: ``source`` is something else.
    """
    if isinstance(source, HardwareSpec):
        return _changed(source, overrides, read_file)
    if not isinstance(source, (str, os.PathLike)):
        message = f"a spec is a HardwareSpec, the name of a shipped one, or a path, not {type(source).__name__}"
        raise UsageError(message)
    text, name = _read(source)
    return parse_spec(text, name, overrides, read_file=read_file)


def parse_spec(
    text: str, name: str, overrides: Sequence[str] = (), *, read_file: ReadFile | None = None
) -> HardwareSpec:
    """Do what ``load_spec`` does with a document that was read already.

    Args:
        text: the YAML document.
        name: the file, for messages.
        overrides: fields to change.
        read_file: gives the text of a measured file that the spec names; by default it lies beside ``name``.

    Raises:
        SpecError: it is not valid; with every issue that was found.
    """
    document = read_yaml(text, name)
    if document.data is None:
        raise SpecError(document.issues or [_empty_document(name, text)])
    return _finish(document, SpecOrigin(name=name, text=text), overrides, read_file)


def shipped_names() -> tuple[str, ...]:
    """Return the names of the specs that ship with asim-fx."""
    files = resources.files(_SHIPPED).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def _changed(source: HardwareSpec, overrides: Sequence[str], read_file: ReadFile | None) -> HardwareSpec:
    known = beside(Path(source.origin.name).parent) if read_file is None else read_file

    def read(path: str) -> str:
        return source.files[path].text if path in source.files else known(path)

    if not overrides:
        # What was built in Python has not been checked against its files yet.
        spec, issues = attach_files(source, read)
        if issues:
            raise SpecError(issues)
        return spec if spec.files else source
    document = YamlDocument(source.origin.name, source.model_dump(exclude_unset=True), dict(source.origin.lines))
    return _finish(document, source.origin, overrides, read)


def _finish(
    document: YamlDocument, base: SpecOrigin, overrides: Sequence[str], read_file: ReadFile | None
) -> HardwareSpec:
    result = apply_overrides(document.data, document.lines, overrides)
    origin = SpecOrigin(
        name=base.name,
        text=base.text,
        lines=result.lines,
        overrides=(*base.overrides, *overrides),
        overridden={**base.overridden, **result.flags},
    )
    outcome = validate(result.data, origin.where)
    issues = [*document.issues, *result.issues, *outcome.issues]
    spec = None if outcome.spec is None else outcome.spec.with_origin(origin)
    if spec is not None:
        issues += spec_issues(spec, outcome.removed)
        spec, wrong = attach_files(spec, read_file or beside(Path(base.name).parent))
        issues += wrong
    if issues or spec is None:
        raise SpecError(_in_file_order(issues))
    return spec


def _in_file_order(issues: Sequence[SpecIssue]) -> list[SpecIssue]:
    def order(issue: SpecIssue) -> tuple[bool, int]:
        line = issue.where.rpartition(":")[2]
        return (issue.where.startswith("--set "), int(line) if line.isdecimal() else 0)

    return sorted(dict.fromkeys(issues), key=order)


def _empty_document(name: str, text: str) -> SpecIssue:
    what = "the file is empty" if not text.strip() else "the document holds nothing"
    return SpecIssue(f"{name}:1", "", f"{what}; a hardware spec starts with `version: 1`")


def _read(source: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the text of a spec, and how to call its file."""
    shown = os.fspath(source)
    shipped = shipped_names()
    file: Any = Path(shown)
    if isinstance(source, str) and source in shipped:
        shown = f"{source}.yaml"
        file = resources.files(_SHIPPED) / shown
    elif not shown or not file.exists():
        raise SpecError([SpecIssue(shown or "''", "", _not_found(shown, shipped))])
    try:
        return file.read_bytes().decode("utf-8-sig"), shown
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = "this is not UTF-8 text; save the file as UTF-8"
        raise SpecError([SpecIssue(f"{shown}:{line}", "", message)]) from error
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise SpecError([SpecIssue(shown, "", message)]) from error


def _not_found(shown: str, shipped: Sequence[str]) -> str:
    is_path = shown.endswith(_SUFFIXES) or os.sep in shown
    what = (
        "there is no such file"
        if is_path
        else "no hardware spec of this name ships with asim-fx, and there is no such file"
    )
    near = get_close_matches(Path(shown).stem, shipped, n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ";"
    return f"{what}{hint} `asim-spec list` shows what ships"
