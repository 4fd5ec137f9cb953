"""A program that torch.export made elsewhere, as a module that can be captured like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from asim_fx.capture.explain import one_line, quietly
from asim_fx.errors import CaptureError
from asim_fx.graph.edit import argument, aten, packet_of
from asim_fx.graph.module import PlainGraphModule
from asim_fx.graph.symbolic import hint

_STATE = "asim_fx.program"


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """What is known of a module that was an exported program.

    Attributes:
        fixed_batch: samples in each of its calls; None where the export left their number open.
        evaluated: calls that the export had in training mode, and which were set to evaluation.
    """

    fixed_batch: int | None
    evaluated: int = 0

    @property
    def words(self) -> str:
        """What the user should know of it, or the empty string."""
        said = []
        if self.fixed_batch is not None:
            said.append(f"the export fixed its batch at {self.fixed_batch}: counts are those of one such batch")
        if self.evaluated:
            said.append(f"exported in training mode: {self.evaluated} norms and dropouts were set to evaluation")
        return "; ".join(said)


def module_of(model: nn.Module | ExportedProgram) -> nn.Module:
    """Return a model as it is, and an exported program as a module in eval mode with the program's own names.

    Raises:
        CaptureError: the program cannot be put together.
    """
    if not isinstance(model, ExportedProgram):
        return model
    if model.graph_signature.backward_signature is not None:
        message = "the program computes gradients"
        raise CaptureError(message, hint="export the model's forward pass alone")
    fixed = _fixed_batch(model)
    try:
        with quietly():
            lifted = model.module(check_guards=False)
    except Exception as error:
        message = f"the exported program cannot be run: {one_line(error)}"
        raise CaptureError(message, hint="export the model again with this torch") from error
    assert isinstance(lifted, GraphModule)
    # As in ``capture``: the exported form refuses eval().
    module = PlainGraphModule(lifted, lifted.graph, class_name="ExportedModel")
    module.meta.update(lifted.meta)
    module.meta[_STATE] = ProgramFacts(fixed, _set_evaluation(module))
    _allow_other_strides(module)
    return module.eval()


def facts_of(model: nn.Module) -> ProgramFacts | None:
    """Return what is known of a module that ``module_of`` made of a program; None for any other."""
    found = getattr(model, "meta", {}).get(_STATE) if isinstance(model, GraphModule) else None
    return found if isinstance(found, ProgramFacts) else None


def example_of(program: ExportedProgram, seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return random arguments of the form that a program takes, with the sizes it was exported with.

    Raises:
        CaptureError: the program does not say what it takes.
    """
    generator = torch.Generator().manual_seed(seed)
    values = [_random(value, generator) for value in _inputs(program)]
    structure = program.call_spec.in_spec
    if structure is None or structure.num_leaves != len(values):
        message = "the program does not say how it is called"
        raise CaptureError(message, hint="export the model again with this torch")
    args, kwargs = pytree.tree_unflatten(values, structure)
    return tuple(args), dict(kwargs)


def input_shapes(program: ExportedProgram) -> list[tuple[int | None, ...]]:
    """Return the shapes of the tensors that a program takes, None where the export left a size open."""
    return [
        tuple(None if isinstance(size, torch.SymInt) else int(size) for size in value.shape)
        for value in _inputs(program)
        if isinstance(value, Tensor)
    ]


def move_constants(module: nn.Module, device: torch.device) -> None:
    """Make the tensors that the graph of a program creates itself appear on a device."""
    if facts_of(module) is None:
        return
    assert isinstance(module, GraphModule)
    for graph_module in module.modules():
        if isinstance(graph_module, GraphModule):
            for node in graph_module.graph.nodes:
                node.args, node.kwargs = pytree.tree_map_only(torch.device, lambda _: device, (node.args, node.kwargs))
            graph_module.recompile()


def _inputs(program: ExportedProgram) -> list[Any]:
    """Return the fake value of every tensor that a program takes, and the value of every constant, in order."""
    names = program.graph_signature.user_inputs
    held = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    return [held.get(name, name) if isinstance(name, str) else name for name in names]


def _fixed_batch(program: ExportedProgram) -> int | None:
    for value in _inputs(program):
        if isinstance(value, Tensor) and value.ndim:
            size = value.shape[0]
            return None if isinstance(size, torch.SymInt) else int(size)
    message = "the program takes no tensor with a batch dimension"
    raise CaptureError(message)


def _random(value: Any, generator: torch.Generator) -> Any:
    if not isinstance(value, Tensor):
        return hint(value) if isinstance(value, torch.SymInt) else value
    shape = [hint(size) for size in value.shape]
    if value.is_floating_point() or value.is_complex():
        return torch.randn(shape, generator=generator, dtype=value.dtype)
    return torch.randint(0, 2, shape, generator=generator).to(value.dtype)


def _allow_other_strides(module: GraphModule) -> None:
    """Let every ``view`` copy where it must.

    The program may have been traced with a fused kernel for attention. Plain matrix products give its result other
    strides, which may allow no view.
    """
    for graph_module in module.modules():
        if isinstance(graph_module, GraphModule):
            for node in graph_module.graph.find_nodes(op="call_function", target=aten.view.default):
                node.target = aten.reshape.default
            graph_module.recompile()


def _set_evaluation(module: GraphModule) -> int:
    """Make norms use the statistics that they learned, and dropouts pass everything on; return how many did not."""
    changed = 0
    for node in list(module.graph.nodes):
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        for position, formal in enumerate(node.target._schema.arguments):
            value = argument(node, position, formal.name, formal.default_value)
            if value and _trains(node, formal.name):
                _set(node, position, formal.name, 0.0 if formal.name == "dropout_p" else False)
                changed += 1
        if _counts_batches(node) and not node.users:
            module.graph.erase_node(node)
    if changed:
        module.graph.eliminate_dead_code()
        module.recompile()
    return changed


def _trains(node: Node, name: str) -> bool:
    if name in ("train", "dropout_p"):
        return True
    formals = [formal.name for formal in node.target._schema.arguments]  # type: ignore[union-attr]
    if name not in ("training", "use_input_stats") or "running_mean" not in formals:
        return False
    return argument(node, formals.index("running_mean"), "running_mean") is not None


def _set(node: Node, position: int, name: str, value: Any) -> None:
    if position < len(node.args):
        node.update_arg(position, value)
    else:
        node.update_kwarg(name, value)


def _counts_batches(node: Node) -> bool:
    """Whether a call counts the batches that a norm was trained on."""
    target = node.args[0] if node.args else None
    writes = packet_of(node) in (aten.add_, aten.copy_)
    return writes and isinstance(target, Node) and str(target.target).endswith("num_batches_tracked")
