"""Which rule of ``track_samples`` an operation follows."""

from __future__ import annotations

from typing import Any

from asim_fx.graph.edit import aten
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.samples.common import Rule
from asim_fx.graph.samples.math import (
    before_last,
    convolution,
    linear,
    matmul,
    norm,
    per_sample,
    recurrence,
    recurrent,
    reduce,
)
from asim_fx.graph.samples.moves import (
    along,
    cat,
    embedding,
    expand,
    gather,
    index,
    interleave,
    one_hot,
    pad,
    permute,
    repeat,
    reshape,
    roll,
    select,
    unfold,
)


def all_(rule: Rule, *packets: Any) -> dict[Any, Rule]:
    """Return the rule under each of the operations."""
    return dict.fromkeys(packets, rule)


RULES: dict[Any, Rule] = {
    **all_(
        reshape, aten.view, aten.reshape, aten.flatten, aten.unflatten, aten.squeeze, aten.unsqueeze, aten._unsafe_view
    ),
    **all_(reshape, aten.reshape_as, aten.view_as),
    **all_(
        permute,
        aten.permute,
        aten.transpose,
        aten.t,
        aten.mT,
        aten.numpy_T,
        aten.movedim,
        aten.moveaxis,
        aten.swapaxes,
    ),
    **all_(expand, aten.expand, aten.expand_as),
    **all_(repeat, aten.repeat, aten.tile),
    **all_(along(1, "dim"), aten.slice, aten.narrow, aten.index_select, aten.cumsum, aten.diff),
    **all_(along(2, "dim"), aten.split, aten.split_with_sizes, aten.chunk, aten.tensor_split, aten.topk),
    **all_(along(1, "dim", -1), aten.softmax, aten._softmax, aten._safe_softmax, aten.log_softmax, aten.glu, aten.sort),
    **all_(select, aten.select),
    **all_(select, aten.unbind),
    **all_(roll, aten.roll, aten.flip),
    **all_(
        reduce,
        aten.mean,
        aten.sum,
        aten.amax,
        aten.amin,
        aten.max,
        aten.min,
        aten.var,
        aten.std,
        aten.prod,
        aten.argmax,
    ),
    **all_(reduce, aten.logsumexp, aten.var_mean, aten.std_mean, aten.norm, aten.linalg_vector_norm),
    **all_(norm, aten.layer_norm, aten.rms_norm),
    **all_(cat, aten.cat, aten.concat, aten.stack),
    **all_(
        before_last(1),
        aten.max_pool1d,
        aten.avg_pool1d,
        aten.adaptive_avg_pool1d,
        aten.upsample_nearest1d,
        aten.upsample_linear1d,
    ),
    **all_(
        before_last(2),
        aten.max_pool2d,
        aten.avg_pool2d,
        aten.adaptive_avg_pool2d,
        aten.adaptive_max_pool2d,
        aten.tril,
        aten.triu,
    ),
    **all_(
        before_last(2),
        aten.upsample_nearest2d,
        aten.upsample_bilinear2d,
        aten.upsample_bicubic2d,
        aten._upsample_bilinear2d_aa,
    ),
    **all_(before_last(2), aten.max_pool2d_with_indices, aten._upsample_bicubic2d_aa, aten._upsample_nearest_exact2d),
    **all_(before_last(3), aten.max_pool3d, aten.avg_pool3d, aten.adaptive_avg_pool3d, aten.upsample_nearest3d),
    **all_(before_last(3), aten.pixel_shuffle, aten.pixel_unshuffle, aten.channel_shuffle),
    **all_(pad, aten.pad, aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d),
    **all_(
        convolution,
        aten.conv1d,
        aten.conv2d,
        aten.conv3d,
        aten.conv_transpose1d,
        aten.conv_transpose2d,
        aten.conv_transpose3d,
    ),
    **all_(per_sample, aten.group_norm, aten.instance_norm, aten.im2col, aten.col2im),
    **all_(linear, aten.linear),
    **all_(recurrent, aten.lstm, aten.gru, aten.rnn_tanh, aten.rnn_relu),
    **all_(recurrence, RECURRENCE),
    **all_(matmul, aten.matmul),
    **all_(index, aten.index),
    **all_(gather, aten.gather),
    **all_(embedding, aten.embedding),
    **all_(unfold, aten.unfold),
    **all_(interleave, aten.repeat_interleave),
    **all_(one_hot, aten.one_hot),
}
"""Operation -> rule. Whatever is missing must be pointwise, or ends the trail."""
