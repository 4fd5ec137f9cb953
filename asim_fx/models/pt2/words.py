"""The strings of an exported program: names, expressions and structures that are safe to give to torch.

torch puts names into the source of a function that it compiles, evaluates expressions as Python, and imports what a
structure of inputs names. Here each is taken apart first; what is not known is refused.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from typing import Any

from asim_fx.errors import ModelError

_WORD = re.compile(r"[A-Za-z0-9_.:+<=-]*")
_PATH_PART = re.compile(r"\w+")
_NUMBER = re.compile(r"-?[0-9.]+([eE][+-]?[0-9]+)?")
_SYMBOL = re.compile(r"[a-z]+[0-9]+")
_LONGEST = 10_000
_LARGEST_POWER = 16

_FUNCTIONS = frozenset(
    {
        "Integer",
        "Float",
        "Rational",
        "Add",
        "Mul",
        "Max",
        "Min",
        "Mod",
        "And",
        "Or",
        "Not",
        "Equality",
        "Unequality",
        "LessThan",
        "StrictLessThan",
        "GreaterThan",
        "StrictGreaterThan",
        "FloorDiv",
        "ModularIndexing",
        "Where",
        "PythonMod",
        "CleanDiv",
        "CeilToInt",
        "FloorToInt",
        "CeilDiv",
        "FloatTrueDiv",
        "IntTrueDiv",
        "IsNonOverlappingAndDenseIndicator",
        "TruncToFloat",
        "TruncToInt",
        "RoundToInt",
        "ToFloat",
        "Identity",
    }
)
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow"})
_CONTAINERS = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})


def check_word(text: str, what: str) -> str:
    """Return a string that has no spaces, quotes or brackets.

    Raises:
        ModelError: it has.
    """
    if not _WORD.fullmatch(text):
        raise refused(what, text)
    return text


def check_name(text: str, what: str) -> str:
    """Return a string that can name a variable of a function; the empty string passes.

    Raises:
        ModelError: it cannot.
    """
    if text and (not text.isidentifier() or keyword.iskeyword(text) or text.startswith("__")):
        raise refused(what, text)
    return text


def check_path(text: str, what: str) -> str:
    """Return a string that is the dotted path of a module or tensor; the empty string passes.

    Raises:
        ModelError: it is something else.
    """
    parts = text.split(".") if text else []
    if not all(_PATH_PART.fullmatch(part) and not part.startswith("__") for part in parts):
        raise refused(what, text)
    return text


def check_expression(text: str, what: str) -> str:
    """Return a size as torch writes it, for example ``Mul(Integer(2), Symbol('s77', integer=True))``.

    Raises:
        ModelError: it calls anything else than the arithmetic of sizes.
    """
    try:
        if len(text) > _LONGEST:
            raise refused(what, text)
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise refused(what, text) from error
    if not _is_arithmetic(tree):
        raise refused(what, text)
    return text


def _is_arithmetic(node: ast.AST, *, powers: bool = True) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return True
        case ast.Constant(value=int() | float() as value):
            return abs(value) < 2**63
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as operand):
            return _is_arithmetic(operand)
        case ast.Name(id="true" | "false"):
            return True
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str() as name)], keywords=keywords):
            flags = all(word.arg and isinstance(word.value, ast.Constant) for word in keywords)
            return flags and _SYMBOL.fullmatch(name) is not None
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str() as number)], keywords=keywords):
            return _NUMBER.fullmatch(number) is not None and all(
                word.arg == "precision" and isinstance(word.value, ast.Constant) for word in keywords
            )
        case ast.Call(func=ast.Name(id=function), args=[base, exponent], keywords=[]) if function in _POWERS:
            # Powers of powers of numbers take longer to write down than there is memory.
            return powers and _small(exponent) and _is_arithmetic(base, powers=False)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]) if function in _FUNCTIONS:
            return all(_is_arithmetic(each, powers=powers) for each in args)
        case _:
            return False


def _small(exponent: ast.AST) -> bool:
    match exponent:
        case ast.Call(func=ast.Name(id="Integer"), args=[ast.Constant(value=int() as value)], keywords=[]):
            return 0 <= value <= _LARGEST_POWER
        case ast.Call(
            func=ast.Name(id="Integer"),
            args=[ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))],
            keywords=[],
        ):
            return True
        case _:
            return False


def check_structure(text: str, what: str) -> str:
    """Return how inputs or outputs are held, as torch's pytree writes it, where that is in plain containers.

    Raises:
        ModelError: it names a class or a module to import.
    """
    try:
        version, tree = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise refused(what, text) from error
    if version != 1:
        raise refused(what, text)
    _check_container(tree, what)
    return json.dumps([version, tree])


def _check_container(tree: Any, what: str) -> None:
    if not isinstance(tree, dict) or set(tree) != {"type", "context", "children_spec"}:
        raise refused(what, tree)
    kind, context, children = tree["type"], tree["context"], tree["children_spec"]
    if kind is not None and kind not in _CONTAINERS:
        message = f"the {what} of the program holds a {kind}, which only the model's own code knows"
        raise ModelError(message, hint="export a model that takes and returns tensors in tuples, lists and dicts")
    if not isinstance(children, list) or not _is_plain_context(kind, context):
        raise refused(what, context)
    for child in children:
        _check_container(child, what)


def _is_plain_context(kind: str | None, context: Any) -> bool:
    """Whether it is none, or for a dict the list of its keys: anything else may name what is to be imported."""
    if context is None:
        return True
    if not isinstance(context, str):
        return False
    try:
        content = json.loads(context)
    except ValueError:
        return False
    keys = isinstance(content, list) and all(isinstance(key, (str, int)) for key in content)
    return content is None or (kind in ("builtins.dict", "collections.OrderedDict") and keys)


def refused(what: str, value: object) -> ModelError:
    """Return the error about something in a file that could run code, or that is not understood."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    message = f"the {what} {shown} is not what torch.export writes, and is refused: reading it could run code"
    return ModelError(message)
