"""Put the sites of a large model together by module, so that a drawing can hold them."""

from __future__ import annotations

from collections.abc import Sequence


def by_module(names: Sequence[str], most: int) -> list[tuple[str, list[int]]]:
    """Return (module, places in ``names``) in order of the first place.

    Names are cut as deep in the tree of modules as at most ``most`` groups come out; where even the outermost modules
    are more, by these. A name that is alone in its group stays whole, and few names stay as they are.
    """
    if len(names) <= most:
        return [(name, [place]) for place, name in enumerate(names)]
    depths = range(1, max(name.count(".") for name in names) + 2)
    groupings = [_cut(names, depth) for depth in depths]
    fitting = [groups for groups in groupings if len(groups) <= most]
    groups = fitting[-1] if fitting else groupings[0]
    return [(names[places[0]] if len(places) == 1 else name, places) for name, places in groups.items()]


def _cut(names: Sequence[str], depth: int) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(".".join(name.split(".")[:depth]), []).append(place)
    return groups
