"""The operations of an exported program that may run: those that compute, and none that reach for anything else."""

from __future__ import annotations

import re

import torch

from asim_fx.errors import CaptureError
from asim_fx.models.pt2.words import refused

_OPERATION = re.compile(r"torch\.ops\.(\w+)\.(\w+)(?:\.(\w+))?")
_NAMESPACES = frozenset({"aten", "prims", "torchvision"})
_CONTROL_FLOW = frozenset(
    {"cond", "while_loop", "map_impl", "scan", "wrap_with_set_grad_enabled", "wrap_with_autocast"}
)
_ARITHMETIC = frozenset(
    f"_operator.{name}"
    for name in ("eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod", "truediv")
) | {"_operator.and_", "_operator.or_", "_operator.getitem"}
_SIZES = frozenset(
    {"math.trunc", "math.ceil", "math.floor"}
    | {f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min", "sum")}
    | {"torch._sym_sqrt", "torch.sym_sqrt"}
)
_SETTINGS = frozenset(
    {
        "padding",
        "padding_mode",
        "padding_side",
        "equation",
        "approximate",
        "rounding_mode",
        "reduce",
        "reduction",
        "side",
        "indexing",
        "mode",
        "interpolation",
        "UPLO",
        "driver",
        "ord",
        "norm",
        "assert_msg",
        "msg",
    }
)
"""Words that an operation may take. A name of a file is not among them: ``aten.from_file`` and ``aten.save`` exist."""


def _has(packet: torch._ops.OpOverloadPacket[..., object], overload: str | None) -> bool:
    return overload in packet.overloads()  # type: ignore[no-untyped-call]


def check_operator(text: str, what: str) -> str:
    """Return the name of an operation, as torch writes it, that computes on tensors or sizes alone.

    Raises:
        ModelError: it is another function.
        CaptureError: it is an operation of a library that is not loaded.
    """
    if text in _ARITHMETIC or text in _SIZES:
        return text
    found = _OPERATION.fullmatch(text)
    if found is None:
        raise refused(what, text)
    namespace, name, overload = found.groups()
    if namespace == "higher_order":
        if name not in _CONTROL_FLOW or overload is not None:
            raise refused(what, text)
        return text
    if namespace not in _NAMESPACES:
        message = f"the program uses {namespace}::{name}, an operation that its own library defines"
        raise CaptureError(message, hint="export a model whose operations are torch's own")
    if namespace == "torchvision":
        from asim_fx.models.library import import_library

        import_library("torchvision")
    packet = getattr(getattr(torch.ops, namespace), name, None)
    if not isinstance(packet, torch._ops.OpOverloadPacket) or not _has(packet, overload):
        message = f"the program uses {text}, which torch {torch.__version__} does not have"
        raise CaptureError(message, hint="export the model with this torch")
    schema = getattr(packet, str(overload))._schema
    if any("str" in str(argument.type) and argument.name not in _SETTINGS for argument in schema.arguments):
        raise refused(what, text)
    return text
