"""The schedule of one image as values: who works when on which macros. Knows no plan, no graph and no tensor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """One call of a site at work. Only analog sites have slots: the time of digital logic is not known.

    Attributes:
        site: label of the call (``head.conv@1``).
        row: name of the site's report row, which several calls may share.
        macro: name of the macro kind.
        first_macro: number of the first macro of that kind that works on it; the others follow.
        macros: how many work on it, all copies together.
        copies: how often its weights are held; the vectors are shared out among the copies.
        passes: how often its macros are filled anew, where the site alone is larger than the chip; otherwise 1.
        round: number of the round that it works in, from 0; weights are loaded at the beginning of a round.
        start_s: when it starts, from the beginning of the image; None where a latency is not known. So the next one.
        end_s: when its last result is there.
    """

    site: str
    row: str
    macro: str
    first_macro: int
    macros: int
    copies: int
    passes: int
    round: int
    start_s: float | None
    end_s: float | None

    @property
    def busy_s(self) -> float | None:
        """How long its macros work."""
        return None if self.start_s is None or self.end_s is None else self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Round:
    """A part of the model whose weights are on the chip together.

    Attributes:
        load_start_s: when loading its weights begins; None where a latency is not known. So the next ones.
        start_s: when its first site starts.
        end_s: when its last site has ended.
        loads: macros that are filled with weights for it, for each image; 0 where they stay.
    """

    load_start_s: float | None
    start_s: float | None
    end_s: float | None
    loads: int


@dataclass(frozen=True, slots=True)
class Pool:
    """The macros of one kind.

    Attributes:
        macro: name of the kind.
        count: how many the chip has; None: as many as are needed.
        used: how many ever hold something, copies included.
        needed: how many would hold every weight at once, without copies.
    """

    macro: str
    count: int | None
    used: int
    needed: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """One image on the chip, and a stream of images.

    Attributes:
        slots: one for each call of an analog site, in graph order.
        rounds: parts of the model that are on the chip one after another; a single one where all weights stay.
        pools: the macros, by kind.
        latency_s: of one image, loading included; sites that do not wait for each other work at the same time. None
            where a latency is not known, and where no site is analog; so the other times.
        latency_low_s: lower end of its band.
        latency_high_s: upper end.
        sequential_s: of one image, one site after another.
        interval_s: from one image to the next: the busiest macros' time where all weights stay, else the latency.
        images_per_s: its inverse.
        bottleneck: label of the site that sets the interval, or the empty string where the weights are reloaded.
        critical_path: labels of the sites that set the latency, in order.
        energy_j_per_image: all rows, and what loading adds; None where a part is not known.
        reload_energy_j: what loading weights and copies of activations adds, for one image.
        tops_per_w: two operations for each MAC of the analog and the integer sites, by that energy.
        reloads: macros filled with weights for each image; 0 where all weights stay.
        activation_loads: macros filled with activations (Q of QK^T, V of AV) for each image.
        utilisation: (time, share of the macros that work from then on) pairs for one image, the last at the end.
        mean_utilisation: mean of it over the image.
        pipelined_utilisation: the same in a stream of images.
        buffer_bytes: most bytes of activations that must be kept at once; None where sizes are not known.
        buffer_at: label of the operation where that is.
        buffer_limit_bytes: what the spec says there is; None where it does not.
        notes: what is assumed or missing, in words.
    """

    slots: tuple[Slot, ...] = ()
    rounds: tuple[Round, ...] = ()
    pools: tuple[Pool, ...] = ()
    latency_s: float | None = None
    latency_low_s: float | None = None
    latency_high_s: float | None = None
    sequential_s: float | None = None
    interval_s: float | None = None
    images_per_s: float | None = None
    bottleneck: str = ""
    critical_path: tuple[str, ...] = ()
    energy_j_per_image: float | None = None
    reload_energy_j: float | None = None
    tops_per_w: float | None = None
    reloads: int = 0
    activation_loads: int = 0
    utilisation: tuple[tuple[float, float], ...] = ()
    mean_utilisation: float | None = None
    pipelined_utilisation: float | None = None
    buffer_bytes: int | None = None
    buffer_at: str = ""
    buffer_limit_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def macros_used(self) -> int:
        """Macros of all kinds that ever hold something."""
        return sum(pool.used for pool in self.pools)


def slots_by_row(schedule: Schedule) -> dict[str, list[Slot]]:
    """Return the slots of each row of the report, by its name, in the order of the calls."""
    found: dict[str, list[Slot]] = {}
    for slot in schedule.slots:
        found.setdefault(slot.row, []).append(slot)
    return found
