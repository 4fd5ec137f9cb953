"""Make the schedule of a workload: rounds, copies, times, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

from asim_fx.mapping.copies import busy_time, calls_of_layers, choose_copies
from asim_fx.mapping.rounds import cut_rounds
from asim_fx.mapping.schedule import Pool, Round, Schedule, Slot
from asim_fx.mapping.timing import Timing, time_calls
from asim_fx.mapping.utilisation import mean_of, utilisation_of
from asim_fx.mapping.workload import Workload

Copies: TypeAlias = Sequence[int]


def schedule_calls(workload: Workload) -> Schedule:
    """Return the schedule of one image, and of a stream of images.

    Where all layers fit, weights stay, macros that are left hold copies, and images follow one another as fast as the
    busiest layer allows. Else the model is cut into rounds, whose weights are loaded for each image, and one image
    follows the other. Energy, buffer and notes are not filled in here.
    """
    if not workload.calls:
        return Schedule()
    rounds = cut_rounds(workload)
    stays = workload.fits(range(len(workload.layers)))
    copies = choose_copies(workload) if stays else [1] * len(workload.layers)
    timing, low, high = (
        time_calls(workload, rounds, copies, reload=not stays, which=which) for which in ("value", "low", "high")
    )
    slots = _slots(workload, rounds, copies, timing)
    pools = _pools(workload, slots)
    interval, bottleneck = _interval(workload, copies, timing) if stays else (_latency(timing), "")
    utilisation = () if timing is None else utilisation_of(slots, sum(pool.count or pool.used for pool in pools))
    return Schedule(
        slots=slots,
        rounds=_rounds(workload, rounds, timing, reload=not stays),
        pools=pools,
        latency_s=_latency(timing),
        latency_low_s=_latency(low),
        latency_high_s=_latency(high),
        sequential_s=_sequential(rounds, timing),
        interval_s=interval,
        images_per_s=1 / interval if interval else None,
        bottleneck=bottleneck,
        critical_path=() if timing is None else tuple(workload.calls[one].label for one in timing.critical),
        reload_energy_j=_loading_energy(workload, rounds, copies, reload=not stays),
        reloads=0 if stays else sum(_loads(workload, calls) for calls in rounds),
        activation_loads=sum(
            copies[call.layer] * workload.layers[call.layer].macros
            for call in workload.calls
            if not workload.layers[call.layer].stays
        ),
        utilisation=utilisation,
        mean_utilisation=mean_of(utilisation),
        pipelined_utilisation=_pipelined(slots, pools, interval),
    )


def _latency(timing: Timing | None) -> float | None:
    return None if timing is None else timing.latency_s


def _slots(workload: Workload, rounds: Sequence[range], copies: Copies, timing: Timing | None) -> tuple[Slot, ...]:
    found = []
    for number, calls in enumerate(rounds):
        layers = dict.fromkeys(workload.calls[one].layer for one in calls)
        first = _first_macros(workload, layers, copies)
        for one in calls:
            call = workload.calls[one]
            layer, held = workload.layers[call.layer], copies[call.layer]
            found.append(
                Slot(
                    site=call.label,
                    row=layer.name,
                    macro=layer.macro,
                    first_macro=first[call.layer],
                    macros=workload.at_once(layer) * held,
                    copies=held,
                    passes=workload.passes(layer),
                    round=number,
                    start_s=None if timing is None else timing.starts[one],
                    end_s=None if timing is None else timing.ends[one],
                )
            )
    return tuple(found)


def _first_macros(workload: Workload, layers: dict[int, None], copies: Copies) -> dict[int, int]:
    """Return the number of the first macro of each layer of a round: they follow one another."""
    first: dict[int, int] = {}
    for macro in workload.counts:
        mine = [one for one in layers if workload.layers[one].macro == macro]
        sizes = [workload.at_once(workload.layers[one]) * copies[one] for one in mine]
        first |= dict(zip(mine, accumulate(sizes, initial=0), strict=False))
    return first


def _pools(workload: Workload, slots: Sequence[Slot]) -> tuple[Pool, ...]:
    needed = workload.needed(range(len(workload.layers)))
    return tuple(
        Pool(
            macro,
            count,
            used=max((slot.first_macro + slot.macros for slot in slots if slot.macro == macro), default=0),
            needed=needed[macro],
        )
        for macro, count in workload.counts.items()
    )


def _interval(workload: Workload, copies: Copies, timing: Timing | None) -> tuple[float | None, str]:
    """Return the time of the busiest layer, and the label of its first call."""
    if timing is None:
        return None, ""
    calls = calls_of_layers(workload)
    busy = [busy_time(workload, mine, held) or 0.0 for mine, held in zip(calls, copies, strict=True)]
    slowest = max(range(len(busy)), key=busy.__getitem__)
    return busy[slowest], workload.calls[calls[slowest][0]].label


def _sequential(rounds: Sequence[range], timing: Timing | None) -> float | None:
    """Return the time of loading, and of all calls one after another."""
    if timing is None:
        return None
    loading = math.fsum(timing.starts[calls[0]] - load for calls, load in zip(rounds, timing.loads, strict=True))
    return loading + sum(end - start for start, end in zip(timing.starts, timing.ends, strict=True))


def _rounds(workload: Workload, rounds: Sequence[range], timing: Timing | None, *, reload: bool) -> tuple[Round, ...]:
    loads = [_loads(workload, calls) if reload else 0 for calls in rounds]
    if timing is None:
        return tuple(Round(None, None, None, load) for load in loads)
    return tuple(
        Round(begin, timing.starts[calls[0]], max(timing.ends[one] for one in calls), load)
        for calls, begin, load in zip(rounds, timing.loads, loads, strict=True)
    )


def _loads(workload: Workload, calls: range) -> int:
    layers = {workload.calls[one].layer for one in calls}
    return sum(workload.layers[one].macros for one in layers if workload.layers[one].stays)


def _loading_energy(workload: Workload, rounds: Sequence[range], copies: Copies, *, reload: bool) -> float | None:
    """Return what writing weights again and again, and activations into further copies, takes for one image, in J."""
    times = [0] * len(workload.layers)
    for call in workload.calls:
        if not workload.layers[call.layer].stays:
            times[call.layer] += copies[call.layer] - 1
    for calls in rounds if reload else ():
        for layer in {workload.calls[one].layer for one in calls}:
            times[layer] += workload.layers[layer].stays
    parts = [(layer.load_j, often) for layer, often in zip(workload.layers, times, strict=True) if often]
    return (
        None
        if any(write is None for write, _ in parts)
        else sum(((write or 0.0) * often for write, often in parts), 0.0)
    )


def _pipelined(slots: Sequence[Slot], pools: Sequence[Pool], interval: float | None) -> float | None:
    macros = sum(pool.count or pool.used for pool in pools)
    if not interval or not macros:
        return None
    return math.fsum(slot.macros * (slot.busy_s or 0.0) for slot in slots) / (macros * interval)
