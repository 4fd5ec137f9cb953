"""Random workloads, small enough to try everything."""

from __future__ import annotations

from hypothesis import strategies as st

from asim_fx.mapping.workload import Call, Layer, Span, Workload

KIND = "m"


def span(seconds: float) -> Span:
    """Return a time that is known within a factor of 2."""
    return Span(seconds, seconds / 2, seconds * 2)


def layer(number: int, macros: int = 1, *, stays: bool = True, write: float = 0.0, bits: int = 0) -> Layer:
    """Return a layer of the only kind of macro."""
    return Layer(f"layer{number}", KIND, macros, stays, span(write), bits, 1e-9 * macros)


@st.composite
def workloads(draw: st.DrawFn, *, most: int = 5, count: int | None = None, loads: bool = True) -> Workload:
    """Draw layers of different sizes, calls of them and what these wait for; ``count`` macros, or as many as fit."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=most))
    layers = tuple(
        layer(
            number,
            size,
            stays=draw(st.booleans()) if loads else True,
            write=draw(st.integers(0, 20)),
            bits=100 * size,
        )
        for number, size in enumerate(sizes)
    )
    again = draw(st.lists(st.integers(0, len(sizes) - 1), max_size=2))
    calls = []
    for number, which in enumerate([*range(len(sizes)), *again]):
        after = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        calls.append(
            Call(
                f"call{number}",
                which,
                draw(st.integers(1, 12)),
                span(draw(st.integers(1, 9))),
                tuple(sorted(after)),
            )
        )
    return Workload(layers, tuple(calls), {KIND: count})


def with_count(workload: Workload, count: int | None, **more: object) -> Workload:
    """Return the same model on another chip."""
    return Workload(workload.layers, workload.calls, {KIND: count}, **more)  # type: ignore[arg-type]


def size_of(workload: Workload) -> int:
    """Return the macros of one copy of everything."""
    return sum(one.macros for one in workload.layers)
