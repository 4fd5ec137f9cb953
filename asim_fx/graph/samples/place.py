"""Where the samples of a batch lie in one tensor: along one dimension, possibly merged with others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asim_fx.graph.symbolic import Dim, extent, is_batched
from asim_fx.ir import BatchLayout


@dataclass(frozen=True, slots=True)
class Place:
    """Index ``i`` along dimension ``axis`` belongs to sample ``(i // inner) % batch``."""

    axis: int
    inner: int = 1


@dataclass(frozen=True, slots=True)
class Free:
    """The tensor is the same for every sample: a constant."""


FREE = Free()
Where = Place | Free | None
"""None: the samples could not be followed."""


def layout_of(place: Where, shape: Sequence[Dim]) -> BatchLayout | None:
    """Return a place as strides of the flat index, or None where there is none."""
    if not isinstance(place, Place) or checked(place, shape) is None:
        return None
    factor = extent(shape[place.axis])
    assert factor is not None
    tail = _fixed_size(shape[place.axis + 1 :])
    head = _fixed_size(shape[: place.axis])
    return BatchLayout(stride=place.inner * tail, elements=head * factor.factor * tail)


def checked(place: Where, shape: Sequence[Dim]) -> Where:
    """Return the place if a tensor of this shape can have it: one batched dimension, there, that ``inner`` divides."""
    if not isinstance(place, Place):
        return place
    batched = [axis for axis, dim in enumerate(shape) if is_batched([dim])]
    if batched != [place.axis % len(shape)]:
        return None
    found = extent(shape[place.axis])
    return place if found is not None and found.factor % place.inner == 0 else None


def constant_place(shape: Sequence[Dim]) -> Where:
    """Return the place of a constant that was made for a whole batch: its batch dimension, where it is exactly that."""
    for axis, dim in enumerate(shape):
        found = extent(dim)
        if found is not None and found.batched:
            return Place(axis) if found.factor == 1 else FREE
    return FREE


def reshaped(place: Place, before: Sequence[Dim], after: Sequence[Dim]) -> Where:
    """Return the place after a reshape: the flat stride stays, if the new batch dimension can express it."""
    layout = layout_of(place, before)
    if layout is None:
        return None
    axes = [axis for axis, dim in enumerate(after) if is_batched([dim])]
    if len(axes) != 1:
        return None
    tail = _fixed_size(after[axes[0] + 1 :])
    if layout.stride % tail:
        return None
    return checked(Place(axes[0], layout.stride // tail), after)


def _fixed_size(shape: Sequence[Dim]) -> int:
    return math.prod(int(dim) for dim in shape)
