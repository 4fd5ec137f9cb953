"""The passes, one a file, and the order they run in."""

from __future__ import annotations

from asim_fx.passes.canonicalize_matmuls import canonicalize_matmuls
from asim_fx.passes.check_support import check_support
from asim_fx.passes.decompose_attention import decompose_attention
from asim_fx.passes.decompose_recurrence import decompose_recurrence
from asim_fx.passes.find_sites import find_sites
from asim_fx.passes.fold_batch_norm import fold_batch_norm
from asim_fx.passes.fold_constants import fold_constants
from asim_fx.passes.infer_sign import infer_sign
from asim_fx.passes.inline_regions import inline_regions
from asim_fx.passes.insert_pact import insert_pact
from asim_fx.passes.lower_sites import lower_sites
from asim_fx.passes.mark_attention import mark_attention
from asim_fx.passes.partition_hybrid import partition_hybrid
from asim_fx.passes.recompose import recompose
from asim_fx.passes.remove_noops import remove_noops
from asim_fx.passes.resolve_rules import resolve_rules
from asim_fx.passes.restore_training import restore_training
from asim_fx.passes.split_einsums import split_einsums
from asim_fx.passes.tile_arrays import tile_arrays
from asim_fx.passes.trace_clips import trace_clips
from asim_fx.passes.track_samples import track_samples
from asim_fx.passes.verify_graph import verify_graph
from asim_fx.passes.vote_msbs import vote_msbs

ANALYSIS_PIPELINE = (
    # The graph becomes plain: one level, no no-ops, attention as the matmuls it is, recurrent layers as linears.
    inline_regions,
    recompose,
    decompose_attention,
    decompose_recurrence,
    split_einsums,
    canonicalize_matmuls,
    mark_attention,
    remove_noops,
    # Weights become constants. Weight standardisation must be folded before batch norm can be.
    fold_constants,
    fold_batch_norm,
    insert_pact,
    # What there is to map, and what is known about it.
    find_sites,
    trace_clips,
    infer_sign,
    track_samples,
)
"""What depends on the model alone. Ends with every site known; rules are checked against all of them."""

MAPPING_PIPELINE = (
    resolve_rules,
    check_support,
    tile_arrays,
    # Both edit the BitPlan; digital wins over voted, so the hybrid partition comes first.
    partition_hybrid,
    vote_msbs,
)
"""What depends on the spec. Ends with a plan for every site: all that a report needs."""

LOWERING_PIPELINE = (
    lower_sites,
    restore_training,
    verify_graph,
)
"""What makes the plan executable."""

DEFAULT_PIPELINE = ANALYSIS_PIPELINE + MAPPING_PIPELINE + LOWERING_PIPELINE
