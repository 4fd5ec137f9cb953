"""Plans of small sites, made without a model."""

from __future__ import annotations

from typing import Any

from asim_fx.ir import BitPlan, OpKind, OpSite, SitePlan, Target, input_plane_widths
from asim_fx.passes.tile_arrays import tile
from asim_fx.spec.macro_cost import MacroCost
from asim_fx.spec.schema import Adc, Hybrid, Macro, SiteSettings, Vote

COST = MacroCost(node_nm=28.0, supply_v=0.9)


def site(k: int = 256, n: int = 32, vectors: int = 10, *, static_weight: bool = True, groups: int = 1) -> OpSite:
    """Return a matrix product."""
    return OpSite(
        name="layer",
        kind=OpKind.LINEAR if static_weight else OpKind.QK,
        op="aten.linear.default",
        k=k,
        n=n,
        groups=groups,
        vectors=vectors,
        macs=k * n * groups * vectors,
        input_shape=(None, vectors, k),
        weight_shape=(n, k),
        output_shape=(None, vectors, n),
        static_weight=static_weight,
    )


def plan(
    made: OpSite | None = None,
    *,
    macro: Macro | None = None,
    target: Target = Target.ANALOG,
    weight_bits: int = 8,
    input_bits: int = 8,
    encoding: int = 1,
    hybrid: int = 0,
    vote: int = 0,
    samples: int = 1,
) -> SitePlan:
    """Return the plan of a site as the passes make it, unsigned input; by default 8/8 bits on 256 x 256."""
    made = made or site()
    macro = macro or Macro(rows=256, columns=256, cost=COST)
    settings = SiteSettings(
        target=target.value,
        weight_bits=weight_bits,
        input_bits=input_bits,
        input_encoding=encoding,
        hybrid=Hybrid(levels=hybrid),
        vote=Vote(levels=vote, samples=samples),
        macro_name="m",
        macro=macro,
    )
    analog = target is Target.ANALOG
    parallel = macro.weights == "parallel"
    widths = (input_bits,) if parallel else input_plane_widths(input_bits, signed=False, encoding=encoding)
    layout = macro.layout
    bits = BitPlan.analog(1, widths) if parallel else layout.bit_plan(weight_bits, widths, signed=True)
    tiles = tile(made, rows=macro.rows, columns=macro.columns, output_columns=layout.columns(weight_bits, signed=True))
    return SitePlan(
        site=made,
        target=target,
        settings=settings,
        signed=False,
        tiles=tiles if analog else None,
        bits=bits.with_digital(hybrid).with_votes(vote, samples, "median") if analog else None,
    )


def macro(adc_bits: int | str = 8, **cost: Any) -> Macro:
    """Return a 256 x 256 macro at 28 nm and 0.9 V, with some of its cost fields changed."""
    changed = MacroCost.model_validate({**COST.model_dump(exclude_unset=True), **cost})
    return Macro(rows=256, columns=256, adc=Adc.model_validate({"bits": adc_bits}), cost=changed)
