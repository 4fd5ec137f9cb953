"""Read a ``config.py`` of the published simulator as data: it is parsed, and nothing in it ever runs.

Values are literals, or names that were assigned a literal further up. Code that only prepares images or training, as
the published files have it, is skipped and reported; any other code is an error that names its line. What stands below
``if __name__ == "__main__":`` is skipped, since the simulator imports the file.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asim_fx.errors import SpecError, SpecIssue, UsageError

CONFIG = "cfg"
"""The object that a configuration fills."""

_PACKAGES = ("easydict", "matplotlib", "numpy", "os", "pathlib", "torch", "torchvision")
"""Imports that say nothing about the hardware."""

_CALLS = ("EasyDict", "Path", "dict", "float", "int", "list", "str", "tuple")
_CALLS_BELOW = ("transforms.", "torchvision.transforms.", "os.path.")
"""What may be called in a value that is passed over."""

_PASSED_OVER = ("train_", "valid_", "test_", "transforms_", "norm_")
_PASSED_OVER_NAMES = ("milestones", "large_model")
"""Settings of data and training, which may be computed; all others are literals."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One assignment.

    Attributes:
        name: without ``cfg.``.
        value: a literal; None too where it is computed.
        line: counted from 1.
        computed: whether the value is code, and so not known.
    """

    name: str
    value: Any
    line: int
    computed: bool = False


@dataclass(slots=True)
class ConfigFile:
    """A configuration as data.

    Attributes:
        name: of the file, for messages.
        settings: of ``cfg``, by name; the last assignment counts, as in Python.
    """

    name: str
    settings: dict[str, Setting] = field(default_factory=dict)

    def where(self, name: str) -> str:
        """Return ``file:line`` of a setting, or the file where it is not set."""
        return f"{self.name}:{self.settings[name].line}" if name in self.settings else self.name


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        UsageError: it cannot be read.
        SpecError: it is not Python, or holds code; with every line that does.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        msg = f"cannot read {path}: {reason}"
        raise UsageError(msg) from error
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> ConfigFile:
    """Do what ``read_config`` does with a text that was read already; ``name`` is for messages."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise SpecError([SpecIssue(f"{name}:{error.lineno or 1}", "", f"this is not Python: {error.msg}")]) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SpecError([SpecIssue(f"{name}:1", "", f"this is not Python: {error}")]) from error
    reader = _Reader(name)
    for statement in tree.body:
        reader.read(statement)
    if reader.issues:
        hint = "a configuration is never run: write the values themselves"
        raise SpecError(reader.issues, hint=hint)
    return reader.file


class _Reader:
    """Walks the statements of a file. Keeps the literals seen so far."""

    def __init__(self, name: str) -> None:
        self.file = ConfigFile(name)
        self.issues: list[SpecIssue] = []
        self.names: dict[str, Any] = {}

    def read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                return
            case ast.Assert(test=test, msg=message):
                self._check_harmless(test)
                if message is not None:
                    self._check_harmless(message)
            case ast.Import(names=aliases):
                self._check_imports(statement, [alias.name for alias in aliases], aliases)
            case ast.ImportFrom(module=module, names=aliases):
                self._check_imports(statement, [module or ""], aliases)
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(statement, target, value)
            case ast.If(test=test, body=body, orelse=other) if (runs := _runs_when_imported(test)) is not None:
                for inner in body if runs else other:
                    self.read(inner)
            case ast.If():
                self._read_branches(statement)
            case _:
                self._refuse(statement, f"`{_first_words(statement)}` is code")

    def _check_harmless(self, value: ast.expr) -> None:
        if not _is_harmless(value):
            self._refuse(value, f"`{_first_words(value)}` is code")

    def _check_imports(self, statement: ast.stmt, modules: list[str], aliases: list[ast.alias]) -> None:
        if any((alias.asname or alias.name) == CONFIG for alias in aliases):
            self._refuse(statement, f"`{_first_words(statement)}`: settings may come from elsewhere")
        for module in modules:
            if module.partition(".")[0] not in _PACKAGES:
                self._refuse(statement, f"`import {module}`: settings may come from elsewhere")

    def _assign(self, statement: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(id=name), ast.Call(func=ast.Name(id="EasyDict"), args=[], keywords=[]) if name == CONFIG:
                self._start_anew()
                return
            case ast.Name(id=name), _ if name == CONFIG:
                self._refuse(statement, f"`{_first_words(statement)}`: only `{CONFIG} = EasyDict()` can be read")
                return
            case ast.Name(id=name), _:
                pass
            case ast.Attribute(value=ast.Name(id=owner), attr=name), _ if owner == CONFIG:
                pass
            case _:
                self._refuse(statement, f"`{ast.unparse(target)} = ...` is not `{CONFIG}.NAME = VALUE`")
                return
        known, literal = self._literal(value)
        is_setting = isinstance(target, ast.Attribute)
        if known:
            self.names[f"{CONFIG}.{name}" if is_setting else name] = literal
        elif not _may_be_computed(name):
            shown = f"{CONFIG}.{name}" if is_setting else name
            self._refuse(value, f"`{_first_words(value)}` is code, and `{shown}` must be a literal")
            return
        elif not _is_harmless(value):
            self._refuse(value, f"`{_first_words(value)}` is code")
            return
        if is_setting:
            self.file.settings[name] = Setting(name, literal, statement.lineno, computed=not known)

    def _start_anew(self) -> None:
        """Forget all settings so far, as a new object for them does."""
        self.file.settings.clear()
        self.names = {name: value for name, value in self.names.items() if not name.startswith(f"{CONFIG}.")}

    def _read_branches(self, statement: ast.If) -> None:
        """Accept a condition only around what says nothing about the hardware."""
        self._check_harmless(statement.test)
        for inner in (*statement.body, *statement.orelse):
            match inner:
                case ast.If():
                    self._read_branches(inner)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in self.names:
                    self._check_branch(inner, name, value)
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner), attr=name)], value=value) if (
                    owner == CONFIG
                ):
                    self._check_branch(inner, name, value)
                    self.names.pop(f"{CONFIG}.{name}", None)
                    self.file.settings[name] = Setting(name, None, inner.lineno, computed=True)
                case ast.Pass():
                    pass
                case _:
                    self._refuse(inner, f"`{_first_words(inner)}` depends on the condition in line {statement.lineno}")

    def _check_branch(self, statement: ast.stmt, name: str, value: ast.expr) -> None:
        if not _may_be_computed(name) or not _is_harmless(value):
            self._refuse(statement, f"`{_first_words(statement)}` depends on a condition, which is never evaluated")

    def _literal(self, value: ast.expr) -> tuple[bool, Any]:
        """Return whether a value is known, and what it is."""
        match value:
            case ast.Name(id=name) if name in self.names:
                return True, self.names[name]
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if f"{owner}.{name}" in self.names:
                return True, self.names[f"{owner}.{name}"]
        try:
            return True, ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return False, None

    def _refuse(self, node: ast.stmt | ast.expr, message: str) -> None:
        self.issues.append(SpecIssue(f"{self.file.name}:{node.lineno}", "", message))


def _runs_when_imported(test: ast.expr) -> bool | None:
    """Return what ``__name__ == "__main__"`` or ``!=`` is in a file that is imported; None for any other test."""
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            sides = {ast.unparse(left), ast.unparse(right)}
        case _:
            return None
    if sides != {"__name__", "'__main__'"} or not isinstance(operator, ast.Eq | ast.NotEq):
        return None
    return isinstance(operator, ast.NotEq)


def _may_be_computed(name: str) -> bool:
    return name.startswith(_PASSED_OVER) or name in _PASSED_OVER_NAMES


def _is_harmless(value: ast.expr) -> bool:
    """Return whether a value calls nothing but what prepares images, joins paths or converts numbers."""
    refused = (
        ast.Lambda,
        ast.ListComp,
        ast.SetComp,
        ast.DictComp,
        ast.GeneratorExp,
        ast.Await,
        ast.Yield,
        ast.NamedExpr,
    )
    for node in ast.walk(value):
        if isinstance(node, refused):
            return False
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called not in _CALLS and not called.startswith(_CALLS_BELOW):
                return False
    return True


def _first_words(node: ast.AST) -> str:
    line = ast.unparse(node).partition("\n")[0]
    return line if len(line) <= 60 else line[:57] + "..."
