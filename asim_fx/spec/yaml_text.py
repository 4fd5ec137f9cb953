"""YAML text as plain values, with the line of every key and everything that is wrong with the YAML itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from asim_fx.errors import SpecIssue

_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_QUOTABLE = re.compile("alias|'@'")
_MOST_NODES = 100_000
"""Far more than any spec has; aliases of aliases could otherwise stand for more than memory holds."""


@dataclass(slots=True)
class YamlDocument:
    """A document of plain values.

    Attributes:
        name: the file, for messages.
        data: dicts, lists and scalars; None for an empty document.
        lines: dotted path -> line, counted from 1.
        issues: what is wrong with the YAML: syntax, duplicate keys, tags.
    """

    name: str
    data: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    issues: list[SpecIssue] = field(default_factory=list)

    def add_issue(self, line: int, path: str, message: str) -> None:
        """Record what is wrong at a line."""
        self.issues.append(SpecIssue(f"{self.name}:{line}", path, message))


def read_yaml(text: str, name: str) -> YamlDocument:
    """Read one YAML 1.2 document as data: no tag makes an object.

    Args:
        text: the document.
        name: the file, for messages.

    Returns:
        the values and the issues; nothing is raised.
    """
    document = YamlDocument(name)
    try:
        root = _new_yaml().compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        words = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "; a text that starts with `*` or `@` needs quotes" if _QUOTABLE.search(words) else ""
        document.add_issue(line, "", f"this is not YAML: {words}{hint}")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.add_issue(line, "", f"this is not YAML: the character U+{error.character:04X} is not allowed")
    else:
        if root is not None:
            document.data = _Builder(document).build(root, "")
    return document


def parse_value(text: str) -> Any:
    """Read the value of ``--set path=value``: a YAML scalar, or a list or mapping in flow style.

    Raises:
        ValueError: the text is not YAML. The message is for the user.
    """
    document = read_yaml(text, "value")
    if document.issues:
        raise ValueError(document.issues[0].message)
    return document.data


def _new_yaml() -> YAML:
    return YAML(typ="safe", pure=True)


class _Builder:
    """Turns composed nodes into values. Keeps the path to detect aliases that contain themselves."""

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.scalars = _new_yaml().constructor
        self.open: list[Node] = []
        self.count = 0
        self.refused_alias = False

    def build(self, node: Node, path: str) -> Any:
        self.count += 1
        if any(node is parent for parent in self.open) or self.count > _MOST_NODES:
            if not self.refused_alias:  # one alias of many that multiply says it for all
                self._issue(node, path, "an alias stands for something that contains it, or for far too much")
            self.refused_alias = True
            return None
        self.open.append(node)
        try:
            if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
                self._issue(node, path, f"the tag `{node.tag}` is not known; a spec holds only data")
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self.open.pop()

    def _mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        # Merged keys first, whatever the order in the text: a mapping's own keys win.
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):
            if key.tag == _MERGE:
                self._merge(value, path, values)
                continue
            if not isinstance(key, ScalarNode):
                self._issue(key, path, "a key must be a plain word")
                continue
            name = str(key.value)
            child = f"{path}.{name}" if path else name
            line = key.start_mark.line + 1
            if name in first_lines:
                self.document.add_issue(
                    line, child, f"this key is already in line {first_lines[name]}; remove one of them"
                )
                continue
            first_lines[name] = line
            self.document.lines[child] = line
            values[name] = self.build(value, child)
        return values

    def _merge(self, node: Node, path: str, values: dict[str, Any]) -> None:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in reversed(sources):
            merged = self.build(source, path)
            if isinstance(merged, dict):
                values.update(merged)
            else:
                self._issue(node, path, "`<<` merges mappings only")

    def _sequence(self, node: SequenceNode, path: str) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            child = f"{path}.{index}" if path else str(index)
            self.document.lines[child] = item.start_mark.line + 1
            values.append(self.build(item, child))
        return values

    def _scalar(self, node: Node, path: str) -> Any:
        try:
            return self.scalars.construct_object(node)
        except (YAMLError, ValueError):
            self._issue(
                node,
                path,
                f"the value `{node.value}` cannot be read; a spec holds only text, numbers and true/false",
            )
            return None

    def _issue(self, node: Node, path: str, message: str) -> None:
        self.document.add_issue(node.start_mark.line + 1, path, message)
