"""Write recurrent layers as the linears they are: one over all inputs, one that every time step repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import aten, call_op, getitem, packet_of
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.symbolic import shape_of
from asim_fx.pipeline import Fact, PassContext, graph_pass

_LAYERS = {aten.lstm: "lstm", aten.gru: "gru", aten.rnn_tanh: "tanh", aten.rnn_relu: "relu"}
_STEPS = {aten.lstm_cell: "lstm", aten.gru_cell: "gru", aten.rnn_tanh_cell: "tanh", aten.rnn_relu_cell: "relu"}


@graph_pass(requires=[Fact.FLAT], provides=[])
def decompose_recurrence(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace LSTM, GRU and RNN layers and cells by a linear and a recurrence for each layer and direction.

    Example:
        ``lstm(x, (h, c), [w_ih, w_hh, b_ih, b_hh], ...)`` becomes
        ``recurrence(h[0], w_hh, b_hh, linear(x, w_ih, b_ih), c[0], "lstm")``; both are sites, named by their weights.

    A layer stays as it is, and becomes a site that cannot be lowered, where its sequence is packed or as long as the
    batch, where its hidden state is projected, or where it drops values between its layers.
    """
    graph = graph_module.graph
    changed = False
    for node in list(graph.nodes):
        packet = packet_of(node)
        if packet in _LAYERS and _is_plain(node):
            with graph.inserting_before(node):
                results = _layers(graph, node, _LAYERS[packet])
        elif packet in _STEPS:
            with graph.inserting_before(node):
                results = _single_step(graph, node, _STEPS[packet])
        else:
            continue
        _replace(graph, node, results)
        changed = True
    if changed:
        graph.eliminate_dead_code()
    return changed


def _is_plain(node: Node) -> bool:
    if str(node.target).endswith(".data"):
        return False
    x, weights, has_biases, layers = node.args[0], node.args[2], node.args[3], node.args[4]
    dropout, train, bidirectional, batch_first = node.args[5:9]
    assert isinstance(weights, Sequence)
    assert isinstance(layers, int)
    is_projected = len(weights) != layers * (2 if bidirectional else 1) * (4 if has_biases else 2)
    drops = bool(train) and dropout != 0 and layers != 1
    return isinstance(shape_of(x)[1 if batch_first else 0], int) and not is_projected and not drops


def _layers(graph: Graph, node: Node, cell: str) -> list[Node]:
    """Insert all layers; return what the node gives: outputs, last hidden states, of an LSTM last cell states."""
    x, initial, weights, has_biases, layers = node.args[:5]
    bidirectional, batch_first = node.args[7:9]
    directions = 2 if bidirectional else 1
    states = initial if isinstance(initial, Sequence) else [initial]
    each = 4 if has_biases else 2
    assert isinstance(weights, Sequence)
    assert isinstance(x, Node)
    value = call_op(graph, aten.transpose.int, (x, 0, 1), like=node) if batch_first else x
    last: list[list[Node]] = [[] for _ in states]
    for layer in range(int(layers)):  # type: ignore[arg-type]
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            given = [call_op(graph, aten.select.int, (state, 0, number), like=node) for state in states]
            held = list(weights[number * each : (number + 1) * each])
            output, *after = _direction(graph, node, value, given, held, cell, reverse=direction == 1)
            outputs.append(output)
            for collected, state in zip(last, after, strict=True):
                collected.append(state)
        value = outputs[0] if directions == 1 else call_op(graph, aten.cat.default, (outputs, -1), like=node)
    if batch_first:
        value = call_op(graph, aten.transpose.int, (value, 0, 1), like=node)
    return [value, *(call_op(graph, aten.stack.default, (states,), like=node) for states in last)]


def _direction(
    graph: Graph, like: Node, x: Any, states: Sequence[Any], weights: Sequence[Any], cell: str, *, reverse: bool
) -> list[Node]:
    """Insert one direction of one layer; return its outputs, its last hidden state, of an LSTM its last cell state."""
    of_input, of_hidden, *biases = weights
    input_bias, hidden_bias = biases or (None, None)
    gates = call_op(graph, aten.linear.default, (x, of_input, input_bias), like=like)
    hidden, state = states if len(states) == 2 else (states[0], None)
    node = _recurrence(graph, like, (hidden, of_hidden, hidden_bias, gates, state, cell, reverse))
    return [getitem(graph, node, index, like=like) for index in range(1 + len(states))]


def _recurrence(graph: Graph, like: Node, args: tuple[Any, ...]) -> Node:
    """Insert a recurrence. Its fake value is that of one step, lengthened: nothing changes from step to step."""
    hidden, weight, bias, gates, *rest = args
    with graph.inserting_before(like):
        first = call_op(graph, aten.slice.Tensor, (gates, 0, 0, 1), like=like)
        node = call_op(graph, RECURRENCE.default, (hidden, weight, bias, first, *rest), like=like)
    node.args = args
    graph.erase_node(first)
    output, *last = node.meta["val"]
    with output.fake_mode, torch.no_grad():
        node.meta["val"] = (output.new_empty((shape_of(gates)[0], *output.shape[1:])), *last)
    return node


def _single_step(graph: Graph, node: Node, cell: str) -> list[Node]:
    x, initial, *weights = node.args
    states = initial if isinstance(initial, Sequence) else [initial]
    sequence = call_op(graph, aten.unsqueeze.default, (x, 0), like=node)
    return _direction(graph, node, sequence, states, [weight for weight in weights if weight is not None], cell,
                      reverse=False)[1:]  # fmt: skip


def _replace(graph: Graph, node: Node, results: Sequence[Node]) -> None:
    if isinstance(node.meta["val"], torch.Tensor):
        node.replace_all_uses_with(results[0])
    else:
        for user in list(node.users):
            user.replace_all_uses_with(results[int(user.args[1])])  # type: ignore[arg-type]
            graph.erase_node(user)
    graph.erase_node(node)
