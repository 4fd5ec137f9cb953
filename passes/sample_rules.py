"""Where the samples lie in the result of an operation, given where they lie in its operands. One small rule an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import Node

from asim_fx.graph_edit import argument, aten, packet_of, rank_of
from asim_fx.passes.sample_place import FREE, Place, Where, reshaped
from asim_fx.symbolic import Dim, shape_of, tensor_of

Places = Mapping[Node, Where]
Rule = Callable[[Node, Places], Where]

_POINTWISE_WITHOUT_TAG = frozenset(
    {
        *(aten.dropout, aten.dropout_, aten.contiguous, aten.clone, aten.alias, aten.detach, aten.detach_, aten.to, aten.type_as),
        *(aten._to_copy, aten.where, aten.masked_fill, aten.masked_fill_, aten.relu6, aten.relu6_, aten.zeros_like, aten.ones_like),
        *(aten.softplus, aten.prelu, aten.batch_norm, aten.lerp, aten.addcmul, aten.fill_, aten.zero_, aten.copy_, aten.selu),
        *(aten.hardtanh, aten.hardtanh_, aten.hardswish, aten.hardswish_, aten.hardsigmoid, aten.hardsigmoid_, aten.mish, aten.mish_),
        *(aten.silu, aten.silu_, aten.gelu, aten.gelu_, aten.elu, aten.elu_, aten.leaky_relu, aten.leaky_relu_, aten.clamp_),
    }
)


def pointwise(node: Node, places: Places) -> Where:
    """Broadcast: every operand that holds samples holds them along the same dimension, counted from the right."""
    tags = getattr(node.target, "tags", ())
    if torch.Tag.pointwise not in tags and packet_of(node) not in _POINTWISE_WITHOUT_TAG:
        return None
    return _broadcast(node, places, node.all_input_nodes, rank_of(node))


def _broadcast(node: Node, places: Places, operands: Sequence[Node], rank: int) -> Where:
    found = {
        Place(place.axis + rank - rank_of(operand), place.inner)
        for operand in operands
        if isinstance(place := places.get(operand), Place)
    }
    return found.pop() if len(found) == 1 else None


def _source(node: Node, places: Places) -> tuple[Place | None, tuple[Dim, ...]]:
    """Return the place and shape of the first operand; no place where another operand is what holds the samples."""
    first = node.args[0]
    if not isinstance(first, Node):
        return None, ()
    place = places.get(first)
    return (place if isinstance(place, Place) else None), shape_of(first)


def _others_free(node: Node, places: Places) -> bool:
    return all(places.get(other) in (FREE, None) for other in node.all_input_nodes[1:] if _is_tensor(other))


def _is_tensor(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _reshape(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    return None if place is None else reshaped(place, before, shape_of(node))


def _order_of(node: Node, rank: int) -> list[int]:
    """Return, for each dimension of the result, the dimension of the operand that it was."""
    packet = packet_of(node)
    if packet is aten.permute:
        return [int(axis) % rank for axis in node.args[1]]  # type: ignore[union-attr, arg-type]
    order = list(range(rank))
    if packet in (aten.movedim, aten.moveaxis):
        sources, targets = ([axis] if isinstance(axis, int) else list(axis) for axis in node.args[1:3])  # type: ignore[arg-type, union-attr]
        moved = {target % rank: source % rank for source, target in zip(sources, targets, strict=True)}
        rest = iter(axis for axis in order if axis not in moved.values())
        return [moved[axis] if axis in moved else next(rest) for axis in order]
    pair = (-2, -1) if packet in (aten.t, aten.mT, aten.numpy_T) else node.args[1:3]
    one, other = (int(axis) % rank for axis in pair)  # type: ignore[arg-type]
    order[one], order[other] = other, one
    return order


def _permute(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    return None if place is None else Place(_order_of(node, len(before)).index(place.axis), place.inner)


def _expand(node: Node, places: Places) -> Where:
    return _broadcast(node, places, node.all_input_nodes[:1], rank_of(node))


def _repeat(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    if place is None:
        return None
    shift = rank_of(node) - len(before)
    times = argument(node, 1, "repeats")[place.axis + shift]
    return Place(place.axis + shift, place.inner) if times == 1 else None


def _along(position: int, name: str, default: int = 0) -> Rule:
    """Keep the place in an operation along one dimension, which must be another; the rank stays."""

    def rule(node: Node, places: Places) -> Where:
        place, before = _source(node, places)
        axis = argument(node, position, name, default)
        if place is None or not isinstance(axis, int) or axis % len(before) == place.axis:
            return None
        return place if _others_free(node, places) else None

    return rule


def _select(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    axis = int(argument(node, 1, "dim", 0)) % max(1, len(before))
    if place is None or axis == place.axis:
        return None
    return Place(place.axis - (axis < place.axis), place.inner)


def _unbind(node: Node, places: Places) -> Where:
    return _select(node, places)


def _dims(node: Node, position: int, name: str) -> list[int] | None:
    dims = argument(node, position, name)
    if dims is None or dims == []:
        return None
    return [dims] if isinstance(dims, int) else list(dims)


def _roll(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    dims = _dims(node, 2 if packet_of(node) is aten.roll else 1, "dims")
    if place is None or dims is None:
        return None
    return None if place.axis in {dim % len(before) for dim in dims} else place


def _reduce(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    if place is None:
        return None
    dims = _dims(node, 1, "dim")
    if dims is None:
        return None
    reduced = {dim % len(before) for dim in dims}
    if place.axis in reduced:
        return None
    value = node.meta["val"]
    result = value[0] if isinstance(value, (list, tuple)) else value
    keeps = result.ndim == len(before)
    return place if keeps else Place(place.axis - sum(dim < place.axis for dim in reduced), place.inner)


def _norm(node: Node, places: Places) -> Where:
    """layer_norm and rms_norm: over the last dimensions."""
    place, before = _source(node, places)
    count = len(argument(node, 1, "normalized_shape"))
    return place if place is not None and place.axis < len(before) - count else None


def _cat(node: Node, places: Places) -> Where:
    parts = list(node.args[0])  # type: ignore[arg-type, union-attr]
    found = {place for part in parts if isinstance(place := places.get(part), Place)}
    if len(found) != 1:
        return None
    place = found.pop()
    axis = int(argument(node, 1, "dim", 0)) % rank_of(node)
    if packet_of(node) is aten.stack:
        return Place(place.axis + (axis <= place.axis), place.inner)
    return None if axis == place.axis else place


def _before_last(count: int) -> Rule:
    """Keep the place where an operation works on the last ``count`` dimensions and the samples lie before them."""

    def rule(node: Node, places: Places) -> Where:
        place, before = _source(node, places)
        is_clear = place is not None and place.axis < len(before) - count and rank_of(_first_value(node)) == len(before)
        return place if is_clear and _others_free(node, places) else None

    return rule


def _first_value(node: Node) -> Any:
    value = node.meta["val"]
    return value[0] if isinstance(value, (list, tuple)) else value


def _pad(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    amounts = argument(node, 1, "pad")
    return place if place is not None and place.axis < len(before) - len(amounts) // 2 else None


def _per_sample(node: Node, places: Places) -> Where:
    """Convolutions and group norms: samples along dimension 0, all else constant."""
    place, _ = _source(node, places)
    return place if place is not None and place.axis == 0 and _others_free(node, places) else None


def _linear(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    return place if place is not None and place.axis < len(before) - 1 and _others_free(node, places) else None


def _matmul(node: Node, places: Places) -> Where:
    first, second = node.args[:2]
    assert isinstance(first, Node)
    assert isinstance(second, Node)
    rank = rank_of(node)
    if min(rank_of(first), rank_of(second)) < 2:
        return None
    one, other = places.get(first), places.get(second)
    for place, operand in ((one, first), (other, second)):
        if isinstance(place, Place) and place.axis >= rank_of(operand) - 2:
            # Samples along the rows of one operand stay apart only if the other is the same for all of them.
            alone = other == FREE and operand is first and place.axis == rank_of(first) - 2
            return Place(rank - 2, place.inner) if alone else None
    return _broadcast(node, places, [first, second], rank)


def _index(node: Node, places: Places) -> Where:
    """``x[:, :, index]`` with constant indices that stand side by side."""
    place, _ = _source(node, places)
    if place is None or not _others_free(node, places):
        return None
    given = list(node.args[1])  # type: ignore[arg-type, union-attr]
    used = [axis for axis, index in enumerate(given) if index is not None]
    if place.axis in used or used != list(range(used[0], used[-1] + 1)):
        return None
    width = max(rank_of(given[axis]) for axis in used)
    booleans = any(tensor_of(given[axis]).dtype is torch.bool for axis in used)
    if booleans:
        return None
    return place if place.axis < used[0] else Place(place.axis - len(used) + width, place.inner)


def _gather(node: Node, places: Places) -> Where:
    axis = int(argument(node, 1, "dim", 0)) % rank_of(node)
    operands = [node.args[0], node.args[2]]
    found = {places.get(operand) for operand in operands if isinstance(operand, Node)}
    place = found.pop() if len(found) == 1 else None
    return place if isinstance(place, Place) and place.axis != axis else None


def _embedding(node: Node, places: Places) -> Where:
    table, indices = node.all_input_nodes[:2]
    return places.get(indices) if places.get(table) == FREE else None


def _unfold(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    return place if place is not None and int(argument(node, 1, "dimension")) % len(before) != place.axis else None


def _interleave(node: Node, places: Places) -> Where:
    place, before = _source(node, places)
    axis = argument(node, 2, "dim")
    return place if place is not None and isinstance(axis, int) and axis % len(before) != place.axis else None


def _pixel(node: Node, places: Places) -> Where:
    return _before_last(3)(node, places)


def _all(rule: Rule, *packets: Any) -> dict[Any, Rule]:
    return dict.fromkeys(packets, rule)


RULES: dict[Any, Rule] = {
    **_all(_reshape, aten.view, aten.reshape, aten.flatten, aten.unflatten, aten.squeeze, aten.unsqueeze, aten._unsafe_view),
    **_all(_reshape, aten.reshape_as, aten.view_as),
    **_all(_permute, aten.permute, aten.transpose, aten.t, aten.mT, aten.numpy_T, aten.movedim, aten.moveaxis, aten.swapaxes),
    **_all(_expand, aten.expand, aten.expand_as),
    **_all(_repeat, aten.repeat, aten.tile),
    **_all(_along(1, "dim"), aten.slice, aten.narrow, aten.index_select, aten.cumsum, aten.diff),
    **_all(_along(2, "dim"), aten.split, aten.split_with_sizes, aten.chunk, aten.tensor_split, aten.topk),
    **_all(_along(1, "dim", -1), aten.softmax, aten._softmax, aten._safe_softmax, aten.log_softmax, aten.glu, aten.sort),
    **_all(_select, aten.select),
    **_all(_unbind, aten.unbind),
    **_all(_roll, aten.roll, aten.flip),
    **_all(_reduce, aten.mean, aten.sum, aten.amax, aten.amin, aten.max, aten.min, aten.var, aten.std, aten.prod, aten.argmax),
    **_all(_reduce, aten.logsumexp, aten.var_mean, aten.std_mean),
    **_all(_norm, aten.layer_norm, aten.rms_norm),
    **_all(_cat, aten.cat, aten.concat, aten.stack),
    **_all(_before_last(1), aten.max_pool1d, aten.avg_pool1d, aten.adaptive_avg_pool1d, aten.upsample_nearest1d, aten.upsample_linear1d),
    **_all(_before_last(2), aten.max_pool2d, aten.avg_pool2d, aten.adaptive_avg_pool2d, aten.adaptive_max_pool2d, aten.tril, aten.triu),
    **_all(_before_last(2), aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d, aten._upsample_bilinear2d_aa),
    **_all(_before_last(2), aten.max_pool2d_with_indices, aten._upsample_bicubic2d_aa, aten._upsample_nearest_exact2d),
    **_all(_before_last(3), aten.max_pool3d, aten.avg_pool3d, aten.adaptive_avg_pool3d, aten.upsample_nearest3d),
    **_all(_pixel, aten.pixel_shuffle, aten.pixel_unshuffle, aten.channel_shuffle),
    **_all(_pad, aten.pad, aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d),
    **_all(_per_sample, aten.conv1d, aten.conv2d, aten.conv3d, aten.conv_transpose1d, aten.conv_transpose2d, aten.conv_transpose3d),
    **_all(_per_sample, aten.group_norm, aten.instance_norm, aten.im2col, aten.col2im),
    **_all(_linear, aten.linear),
    **_all(_matmul, aten.matmul),
    **_all(_index, aten.index),
    **_all(_gather, aten.gather),
    **_all(_embedding, aten.embedding),
    **_all(_unfold, aten.unfold),
    **_all(_interleave, aten.repeat_interleave),
}
"""Operation -> rule. Whatever is missing must be pointwise, or ends the trail."""
