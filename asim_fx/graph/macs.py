"""Multiply-accumulates: of a node in a captured graph, by formula; of a model, by what eager execution dispatches.

Both count half of torch's flop formula: padding included; convolutions, matrix products, attention and recurrent
layers, nothing elementwise. The two are computed independently so that capture can compare them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from asim_fx.graph.edit import aten, fetch
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.symbolic import Dim, hint, numel_hint, shape_of, value_of

RECURRENT_LAYERS = frozenset({aten.lstm, aten.gru, aten.rnn_tanh, aten.rnn_relu})
CONDITION = torch.ops.higher_order.cond
RECURRENT_CELLS = frozenset({aten.lstm_cell, aten.gru_cell, aten.rnn_tanh_cell, aten.rnn_relu_cell})


def node_macs(node: Node) -> int:
    """Return the multiply-accumulates of one call, at the batch of the captured example.

    Args:
        node: a node of a captured graph, with ``meta["val"]``. The symbolic batch counts as its example size.

    Returns:
        multiply-accumulates; 0 for whatever is no convolution or matrix product.
    """
    packet = getattr(node.target, "overloadpacket", None)
    formula = _FORMULAS.get(packet)
    if formula is not None:
        return formula(node)
    return _dispatched(node) if packet in _COUNTED_BY_DISPATCH else 0


def graph_macs(graph_module: GraphModule) -> int:
    """Return the multiply-accumulates of a captured graph at the example's batch, its regions included."""
    total = 0
    for node in graph_module.graph.nodes:
        if node.op == "call_function":
            total += node_macs(node) + region_macs(graph_module, node)
    return total


def region_macs(graph_module: GraphModule, node: Node) -> int:
    """Return the multiply-accumulates of the graphs that a call holds: of ``cond``, those of its larger branch.

    Which branch runs depends on the input; the larger is what hardware must be able to do.
    """
    regions = [graph_macs(region) for region in _regions(graph_module, node)]
    return max(regions, default=0) if node.target is CONDITION else sum(regions)


def _regions(graph_module: GraphModule, node: Node) -> Iterator[GraphModule]:
    if not isinstance(node.target, torch._ops.HigherOrderOperator):
        return
    for argument in node.all_input_nodes:
        if argument.op == "get_attr":
            held = fetch(graph_module, str(argument.target))
            if isinstance(held, GraphModule):
                yield held


def _numel(node: Any) -> int:
    return numel_hint(shape_of(node))


def _conv(node: Node) -> int:
    return _numel(node) * numel_hint(shape_of(node.args[1])[1:])


def _conv_transposed(node: Node) -> int:
    return _numel(node.args[0]) * numel_hint(shape_of(node.args[1])[1:])


def _convolution(node: Node) -> int:
    transposed = bool(node.args[6])
    return _conv_transposed(node) if transposed else _conv(node)


def _linear(node: Node) -> int:
    weight = shape_of(node.args[1])
    return _numel(node.args[0]) * (hint(weight[0]) if len(weight) > 1 else 1)


def _product(first: int) -> Callable[[Node], int]:
    def formula(node: Node) -> int:
        return _numel(node) * hint(shape_of(node.args[first])[-1])

    return formula


def _bilinear(node: Node) -> int:
    """Every pair of the two inputs' elements meets every output once."""
    return _numel(node) * numel_hint(shape_of(node.args[2])[1:])


def _attention(node: Node) -> int:
    query, key, value = (shape_of(arg) for arg in node.args[:3])
    rows = numel_hint(query[:-1])
    return rows * hint(key[-2]) * (hint(query[-1]) + hint(value[-1]))


def _einsum(node: Node) -> int:
    operands = node.args[1]
    assert isinstance(operands, Sequence)
    sizes = einsum_sizes(str(node.args[0]), [shape_of(operand) for operand in operands])
    if len(operands) != 2 or sizes is None:
        return _dispatched(node)
    first, second, result = sizes
    contracted = (first.keys() & second.keys()) - result
    if not contracted:
        return 0
    used = {**second, **first}
    kept = (first.keys() & second.keys()) | (used.keys() & result)
    return math.prod(max(first.get(label, 1), second.get(label, 1)) for label in kept)


def einsum_sizes(
    equation: str, shapes: Sequence[Sequence[Dim]]
) -> tuple[dict[str, int], dict[str, int], frozenset[str]] | None:
    """Return the sizes of the labels of both operands, and the labels of the result; None for what is no pair."""
    labels = einsum_labels(equation, [len(shape) for shape in shapes])
    if labels is None or len(shapes) != 2:
        return None
    first, second = (
        {label: hint(dim) for label, dim in zip(text, shape, strict=True)}
        for text, shape in zip(labels[:2], shapes, strict=True)
    )
    return first, second, frozenset(labels[2])


def einsum_labels(equation: str, ranks: Sequence[int]) -> list[str] | None:
    """Return one label a dimension for each operand and for the result; None where a label repeats in an operand.

    An ellipsis becomes digits, aligned at the right.
    """
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        return None
    spare = "01234567"
    longest = 0
    for position, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        if "..." in term:
            width = rank - (len(term) - 3)
            longest = max(longest, width)
            terms[position] = term.replace("...", spare[len(spare) - width :])
    if not arrow:
        counted = "".join(terms)
        once = sorted(label for label in set(counted) if counted.count(label) == 1 and label not in spare)
        result = ("..." if longest else "") + "".join(once)
    result = result.replace("...", spare[len(spare) - longest :])
    if any(len(set(term)) != len(term) for term in [*terms, result]):
        return None
    return [*terms, result]


def _recurrent(node: Node) -> int:
    """Input and recurrent products of every layer and direction, at every step."""
    weights = next(arg for arg in reversed(node.args) if isinstance(arg, (list, tuple)))
    matrices = [shape_of(weight) for weight in weights]
    return numel_hint(shape_of(node.args[0])[:-1]) * sum(numel_hint(m) for m in matrices if len(m) == 2)


def _recurrence(node: Node) -> int:
    """The recurrent product of one layer and direction, at every step."""
    return numel_hint(shape_of(node.args[3])[:-1]) * _numel(node.args[1])


def _cell(node: Node) -> int:
    rows = numel_hint(shape_of(node.args[0])[:-1])
    matrices = [shape_of(arg) for arg in node.args[2:4]]
    return rows * sum(map(numel_hint, matrices))


def _dispatched(node: Node) -> int:
    """Count a rare operation by running it on meta tensors."""

    def to_meta(arg: Any) -> Any:
        value = value_of(arg)
        if isinstance(value, Tensor):
            return torch.empty([hint(dim) for dim in value.shape], dtype=value.dtype, device="meta")
        return hint(value) if isinstance(value, torch.SymInt) else value

    args, kwargs = pytree.tree_map(to_meta, (node.args, dict(node.kwargs)))
    with torch.no_grad(), FlopCounter() as counter:
        node.target(*args, **kwargs)  # type: ignore[operator]
    return int(counter.flops) // 2


_FORMULAS: dict[Any, Callable[[Node], int]] = {
    aten.conv1d: _conv,
    aten.conv2d: _conv,
    aten.conv3d: _conv,
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.conv_transpose1d: _conv_transposed,
    aten.conv_transpose2d: _conv_transposed,
    aten.conv_transpose3d: _conv_transposed,
    aten.linear: _linear,
    aten.matmul: _product(0),
    aten.mm: _product(0),
    aten.bmm: _product(0),
    aten.mv: _product(0),
    aten.dot: _product(0),
    aten.addmm: _product(1),
    aten.addmv: _product(1),
    aten.baddbmm: _product(1),
    aten.einsum: _einsum,
    aten.scaled_dot_product_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten.bilinear: _bilinear,
    **dict.fromkeys(RECURRENT_LAYERS, _recurrent),
    RECURRENCE: _recurrence,
    **dict.fromkeys(RECURRENT_CELLS, _cell),
}

_COUNTED_BY_DISPATCH = {
    aten.tensordot,
    aten.inner,
    aten.linalg_multi_dot,
    aten.chain_matmul,
    aten.affine_grid_generator,
    aten.cdist,
    aten.addbmm,
    aten.linalg_vecdot,
}


def count_eager_macs(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> int:
    """Return the multiply-accumulates that one forward pass dispatches to torch's operations.

    For the time of the call nn.MultiheadAttention's fast path is off and attention runs as plain matrix products: the
    dispatcher sees neither fused form as what it is. Recurrent layers are counted by formula.
    """
    return run_and_count(model, args, kwargs)[1]


def run_and_count(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> tuple[Any, int]:
    """Return the model's result and the multiply-accumulates dispatched for it.

    Nothing is compiled meanwhile. ``torch.cond`` compiles itself, which the counter prevents; torch 2.11 remembers
    that, and fails at every later ``torch.cond`` of the process.
    """
    with torch.compiler.set_stance("force_eager"), torch.no_grad(), eager_reference(), FlopCounter() as counter:
        result = model(*args, **dict(kwargs or {}))
    return result, counter.flops // 2


@contextmanager
def eager_reference() -> Iterator[None]:
    """Run models without the fused forms that hide products from the dispatcher."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own flop formulas over what is dispatched; recurrent layers and vector products beside them.

    Attributes:
        flops: so far; two for each multiply-accumulate.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._in_branch = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is CONDITION:
            return self._condition(*args)
        if self._in_branch and func.overloadpacket not in flop_registry:
            # Below a higher-order operation, what autograd would have taken apart arrives whole.
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = func(*args, **(kwargs or {}))
        if isinstance(func, torch._ops.HigherOrderOperator):
            return result  # How often a loop runs is not known before; it stays in float, and is not counted.
        packet = func.overloadpacket
        if packet in _EXTRA_FLOPS:
            self.flops += _EXTRA_FLOPS[packet](*args)
        elif packet in flop_registry:
            self.flops += flop_registry[packet](*args, **(kwargs or {}), out_val=result)
        return result

    def _condition(self, chosen: Any, on_true: Any, on_false: Any, operands: Sequence[Any]) -> Any:
        """Run the branch that is chosen, and count the larger of both."""
        before, outer = self.flops, self._in_branch
        self._in_branch = True
        has_value = not (isinstance(chosen, Tensor) and chosen.is_meta)
        taken, other = (on_true, on_false) if not has_value or chosen else (on_false, on_true)
        with self:
            result = taken(*operands)
        taken_flops, self.flops = self.flops - before, before
        with self, torch.random.fork_rng():
            other(*operands)
        self.flops = before + max(taken_flops, self.flops - before)
        self._in_branch = outer
        return result


def _fused_layer_flops(steps: Tensor, *operands: Any) -> int:
    """Flops of one recurrent layer: its input and recurrent matrix, at every step."""
    # Biases follow the two matrices; where a layer has none, matrices of zeros stand in for them.
    weights = operands[0] if isinstance(operands[0], (list, tuple)) else operands[:2]
    matrices = int(sum(weight.numel() for weight in weights if weight.ndim == 2))
    return 2 * math.prod(steps.shape[:-1]) * matrices


def _vector_flops(matrix: Tensor, *_: Any) -> int:
    return 2 * matrix.numel()


def _trilinear_flops(*args: Any) -> int:
    """Flops of the sum over products of three operands that are broadcast to one shape."""
    shapes = []
    for operand, new_axes in zip(args[:3], args[3:6], strict=True):
        shape = list(operand.shape)
        for axis in sorted(new_axes):
            shape.insert(axis, 1)
        shapes.append(shape)
    return 2 * math.prod(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


_EXTRA_FLOPS: dict[Any, Callable[..., int]] = {
    aten.mkldnn_rnn_layer: _fused_layer_flops,
    aten._cudnn_rnn: _fused_layer_flops,
    aten.mv: _vector_flops,
    aten.dot: _vector_flops,
    aten._trilinear: _trilinear_flops,
}
