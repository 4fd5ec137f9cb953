"""The graph of an exported program, rebuilt from its JSON: every string of it is of a known kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from asim_fx.errors import ModelError
from asim_fx.models.pt2.operators import check_operator
from asim_fx.models.pt2.words import (
    check_expression,
    check_name,
    check_path,
    check_structure,
    check_word,
    refused,
)

_CPU = {"type": "cpu", "index": None}
_STRINGS: Mapping[str, Callable[[str, str], str]] = {
    "target": check_operator,
    "as_operator": check_operator,
    "expr_str": check_expression,
    "in_spec": check_structure,
    "out_spec": check_structure,
    "name": check_name,
    "as_name": check_name,
    "forward_arg_names": check_name,
    "parameter_name": check_path,
    "buffer_name": check_path,
    "tensor_constant_name": check_path,
    "fqn": check_path,
    # Settings of operations (``approximate="tanh"``): written into the graph's code as literals, never as they stand.
    "as_string": lambda text, _: text,
    "as_strings": lambda text, _: text,
}
"""What checks a string, by the field that it stands in; any other must be a single word."""
_BY_NAME = frozenset({"tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "range_constraints"})
"""Fields that hold one thing for each name that the program chose."""
_DROPPED = frozenset({"guards_code", "treespec_namedtuple_fields"})
"""Python that checks sizes, which a converted model does itself; classes of the model's own."""
_OBJECTS = frozenset({"as_custom_obj", "custom_obj", "as_opaque_obj"})


def clean_program(content: bytes) -> bytes:
    """Return the JSON of a program with everything in it known to be harmless. Its device becomes the CPU.

    Args:
        content: ``models/model.json`` of a ``.pt2`` file.

    Raises:
        ModelError: it is no such JSON, or holds something that could run code.
        CaptureError: it uses an operation that is not known here.
    """
    program = parse_json(content, "program")
    try:
        cleaned = _clean(program, "program")
        for entry in cleaned["graph_module"]["module_call_graph"]:
            if entry["fqn"]:
                entry["signature"] = None  # how inner modules were called: nothing here puts them together again
    except (RecursionError, KeyError, TypeError, AttributeError) as error:
        message = f"the program in the file is not what torch.export writes ({type(error).__name__}: {error})"
        raise ModelError(message) from error
    return json.dumps(cleaned).encode()


def parse_json(content: bytes, what: str) -> Any:
    """Return the content of a member that holds JSON.

    Raises:
        ModelError: it does not.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"the {what} in the file is no JSON: {error}"
        raise ModelError(message) from error


def _clean(value: Any, field: str) -> Any:
    if isinstance(value, dict):
        return {key: _clean_field(inner, key) for key, inner in value.items() if key not in _DROPPED}
    if isinstance(value, list):
        return [_clean(inner, field) for inner in value]
    if isinstance(value, str):
        return _STRINGS.get(field, check_word)(value, field)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise refused(field, value)
    return value


def _clean_field(value: Any, field: str) -> Any:
    check_word(field, "field")
    if field in _OBJECTS or (field == "custom_obj_values" and value):
        message = "the program holds custom objects, which are refused: reading them could run code"
        raise ModelError(message, hint="export a model of plain tensors and operations")
    if field == "metadata":
        return _module_stack(value)
    if field in ("device", "as_device") and value is not None:
        return _CPU
    if field in _BY_NAME:
        return {check_name(name, "name"): _clean(inner, "value") for name, inner in value.items()}
    return _clean(value, field)


def _module_stack(metadata: Any) -> dict[str, str]:
    """Return of what is known about a call only where in the model it is made: the rest is for debuggers."""
    stack = metadata.get("nn_module_stack")
    return {"nn_module_stack": stack} if isinstance(stack, str) and stack.isprintable() else {}
