"""Read the measured files that a spec names, and check them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from asim_fx.errors import SpecIssue
from asim_fx.spec.measured import MeasuredFile, parse_codes, parse_statistics
from asim_fx.spec.schema import HardwareSpec, Macro

ReadFile = Callable[[str], str]
"""From the path as the spec writes it to the text of the file; raises OSError or UnicodeDecodeError."""
Parse = Callable[[str, str, str], MeasuredFile | list[SpecIssue]]


def beside(folder: Path) -> ReadFile:
    """Return a reader of files relative to a folder."""
    return lambda path: (folder / path).read_bytes().decode("utf-8")


def attach_files(spec: HardwareSpec, read: ReadFile) -> tuple[HardwareSpec, list[SpecIssue]]:
    """Return the spec with the measured files that it names, and what is wrong with them."""
    files: dict[str, MeasuredFile] = {}
    issues: list[SpecIssue] = []
    for field, path, macro, parse in _named(spec):
        try:
            parsed = parse(read(path), path, field)
        except UnicodeDecodeError:
            parsed = [SpecIssue(spec.origin.where(field), field, f"{path} is not UTF-8 text")]
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror or error}; the path is relative to the spec"
            parsed = [SpecIssue(spec.origin.where(field), field, message)]
        if isinstance(parsed, list):
            issues += parsed
            continue
        files[path] = parsed
        issues += _length(macro, field, path, parsed)
    return spec.with_files(files), issues


def _named(spec: HardwareSpec) -> Iterator[tuple[str, str, Macro, Parse]]:
    macros: Mapping[str, Macro] = {f"macros.{name}": macro for name, macro in spec.macros.items()}
    rules = {f"rules.{i}.macro": rule.macro for i, rule in enumerate(spec.rules) if isinstance(rule.macro, Macro)}
    for place, macro in {**macros, **rules}.items():
        if macro.adc.code_table is not None:
            yield f"{place}.adc.code_table", macro.adc.code_table, macro, parse_codes
        if macro.bitline.statistics is not None:
            yield f"{place}.bitline.statistics", macro.bitline.statistics, macro, parse_statistics


def _length(macro: Macro, field: str, path: str, file: MeasuredFile) -> Iterator[SpecIssue]:
    """Yield a length that no setting makes right. Rules change macros, so theirs are checked with the sites."""
    if field.startswith("rules."):
        return
    count = len(file.columns[0])
    line = f"{path}:{count + 1}"
    if field.endswith("code_table"):
        if macro.adc.bits != "ideal" and count != (wanted := 2**macro.adc.bits - 1):
            yield SpecIssue(line, field, f"{count} codes; a converter of {macro.adc.bits} bits needs {wanted}")
        return
    planes = [width for width in range(1, 17) if macro.rows * (2**width - 1) == count - 1]
    if not planes:
        message = (
            f"the last MAC value is {count - 1}; with {macro.rows} rows it must be {macro.rows} for one-bit input "
        )
        yield SpecIssue(line, field, f"{message}planes, or {macro.rows} * (2^k - 1) for planes of k bits")
