"""Mappings that look like those of real models, built from plans without any model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import networkx as nx

from asim_fx.ir import (
    BitPlan,
    ConvGeometry,
    OpKind,
    OpSite,
    SitePlan,
    Target,
    TileGrid,
    input_plane_widths,
)
from asim_fx.mapping.schedule import Pool, Round, Schedule, Slot
from asim_fx.passlog import FoldedOp
from asim_fx.report.build import build_report
from asim_fx.report.dataflow import simplify
from asim_fx.report.fidelity import FidelityReport, SiteFidelity
from asim_fx.report.rows import MappingReport
from asim_fx.report.schedule import schedule_totals
from asim_fx.spec.macro_cost import MacroCost
from asim_fx.spec.schema import Defaults, HardwareSpec, Hybrid, Macro, SiteSettings, Vote

MACRO = Macro(cost=MacroCost(node_nm=28.0, supply_v=0.9))
SPEC = HardwareSpec(version=1, name="generic-256x7b-hybrid", macros={"m": MACRO}, defaults=Defaults(macro="m"))
VERSIONS = {"asim-fx": "0.1.0", "torch": "2.15.0", "timm": "1.0.31"}
VERIFICATION = "captured MACs equal those of eager execution; outputs agree at batch sizes 2 and 3"


def settings(target: str = "analog", *, hybrid: int = 0, vote: int = 0) -> SiteSettings:
    """Return resolved settings."""
    return SiteSettings(
        target=target,
        hybrid=Hybrid(levels=hybrid),
        vote=Vote(levels=vote, samples=3 if vote else 1, how="median"),
        macro_name="m",
        macro=MACRO,
    )


def conv(
    name: str,
    channels: int,
    outputs: int,
    kernel: int,
    size: int,
    *,
    stride: int = 1,
    groups: int = 1,
    call: int = 0,
) -> OpSite:
    """Return a square convolution whose result is ``size`` x ``size``."""
    geometry = ConvGeometry((kernel,) * 2, (stride,) * 2, ((kernel // 2,) * 2,) * 2, (1, 1))
    k, n = channels // groups * kernel**2, outputs // groups
    return OpSite(
        name=name,
        kind=OpKind.CONV,
        op="aten.conv2d.default",
        k=k,
        n=n,
        groups=groups,
        vectors=size**2,
        macs=k * outputs * size**2,
        input_shape=(None, channels, size * stride, size * stride),
        weight_shape=(outputs, channels // groups, kernel, kernel),
        output_shape=(None, outputs, size, size),
        geometry=geometry,
        call=call,
    )


def linear(name: str, k: int, n: int, vectors: int = 1) -> OpSite:
    """Return a linear layer on ``vectors`` tokens."""
    return OpSite(
        name=name,
        kind=OpKind.LINEAR,
        op="aten.linear.default",
        k=k,
        n=n,
        groups=1,
        vectors=vectors,
        macs=k * n * vectors,
        input_shape=(None, vectors, k),
        weight_shape=(n, k),
        output_shape=(None, vectors, n),
    )


def attention(name: str, kind: OpKind, heads: int, tokens: int, k: int, n: int) -> OpSite:
    """Return QK^T or AV of one attention."""
    return OpSite(
        name=name,
        kind=kind,
        op="aten.matmul.default",
        k=k,
        n=n,
        groups=heads,
        vectors=tokens,
        macs=heads * tokens * k * n,
        input_shape=(None, heads, tokens, k),
        weight_shape=(None, heads, k, n),
        output_shape=(None, heads, tokens, n),
        static_weight=False,
    )


def plan(
    site: OpSite,
    target: Target = Target.ANALOG,
    *,
    reason: str = "",
    decided_by: str = "defaults, chip.yaml:9",
    signed: bool = False,
    hybrid: int = 0,
    vote: int = 0,
    notes: tuple[str, ...] = (),
) -> SitePlan:
    """Return a plan as the passes would make it: 8/8 bits on 255 x 256."""
    chosen = settings(target.value, hybrid=hybrid, vote=vote)
    bits = BitPlan.analog(8, input_plane_widths(8, signed=signed, encoding=1))
    bits = bits.with_digital(hybrid).with_votes(vote, 3, "median")
    row_tiles, column_tiles = math.ceil(site.k / 255), math.ceil(site.n * 8 / 256)
    used = site.k * site.n * 8 / (row_tiles * 255 * column_tiles * 256)
    analog = target is Target.ANALOG
    return SitePlan(
        site=site,
        target=target,
        settings=chosen,
        provenance={
            "target": decided_by,
            "weight_bits": "defaults, chip.yaml:9",
            "macro.adc.bits": "macros.m, chip.yaml:4",
            "hybrid.levels": "rules[1], chip.yaml:14" if hybrid else "built-in default",
        },
        decided_by=decided_by,
        why=reason,
        reason=reason,
        signed=signed,
        signed_because="not proven non-negative" if signed else "relu",
        tiles=TileGrid(255, 256, 255, row_tiles, column_tiles, used) if analog else None,
        bits=bits if analog else None,
        notes=notes,
    )


@dataclass
class Sketch:
    """Plans and the graph between them, while a model is being put together."""

    plans: list[SitePlan] = field(default_factory=list)
    graph: nx.DiGraph = field(default_factory=nx.DiGraph)

    def op(self, label: str, *sources: int, kind: str = "other") -> int:
        """Add an operation that is no site."""
        return self._add(sources, label=label, kind=kind)

    def site(self, decided: SitePlan, *sources: int) -> int:
        """Add a site."""
        self.plans.append(decided)
        site = decided.site
        target = decided.target.value
        return self._add(sources, label=site.label, kind=site.kind.value, target=target, macs=site.macs, site=site.name)

    def _add(self, sources: Sequence[int], **data: object) -> int:
        number = len(self.graph)
        self.graph.add_node(number, **data)
        self.graph.add_edges_from((source, number) for source in sources)
        return number

    def report(self, model: str, **more: object) -> MappingReport:
        """Finish."""
        given = {
            "spec": SPEC,
            "parameters": 25_557_032,
            "dataflow": simplify(self.graph),
            "verification": VERIFICATION,
            "versions": VERSIONS,
        }
        return build_report(self.plans, model=model, **{**given, **more})


def resnet_like(depths: Sequence[int] = (3, 4, 6, 3)) -> MappingReport:
    """Return a bottleneck ResNet: integer stem, hybrid and voted last stage, float classifier."""
    sketch = Sketch()
    stem = plan(
        conv("conv1", 3, 64, 7, 112, stride=2),
        Target.INTEGER,
        reason="the stem stays digital",
        decided_by="rules[0], chip.yaml:12",
        signed=True,
    )
    node = sketch.op("x", kind="input")
    node = sketch.site(stem, node)
    node = sketch.op("max_pool2d", sketch.op("relu", node))
    channels, size = 64, 56
    for stage, depth in enumerate(depths, start=1):
        width = 32 * 2**stage
        more = {"hybrid": 2, "vote": 4} if stage == 4 else {}
        for block in range(depth):
            path = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            size //= stride
            main = sketch.site(plan(conv(f"{path}.conv1", channels, width, 1, size * stride), **more), node)
            main = sketch.site(
                plan(conv(f"{path}.conv2", width, width, 3, size, stride=stride), **more),
                sketch.op("relu", main),
            )
            main = sketch.site(plan(conv(f"{path}.conv3", width, width * 4, 1, size), **more), sketch.op("relu", main))
            skip = node
            if block == 0:
                skip = sketch.site(
                    plan(conv(f"{path}.downsample.0", channels, width * 4, 1, size, stride=stride), **more),
                    node,
                )
            node = sketch.op("relu", sketch.op("add", main, skip))
            channels = width * 4
    node = sketch.op("flatten", sketch.op("adaptive_avg_pool2d", node))
    head = plan(
        linear("fc", channels, 1000),
        Target.FLOAT,
        reason="the spec says float",
        decided_by="rules[2], chip.yaml:17",
    )
    sketch.op("output", sketch.site(head, node), kind="output")
    folded = [FoldedOp("conv1", "aten.mul.Tensor", 9408)]
    return sketch.report("resnet50", folded=folded, notes=[("", "batch norm folded into 53 convolutions")])


def vit_like(depth: int = 12, dim: int = 192, heads: int = 3, tokens: int = 197) -> MappingReport:
    """Return a vision transformer: float attention scores in the last block, everything else analog."""
    sketch = Sketch()
    node = sketch.op("x", kind="input")
    stem = plan(conv("patch_embed.proj", 3, dim, 16, 14, stride=16), signed=True, notes=("patch split",))
    node = sketch.op("add", sketch.op("cat", sketch.op("flatten", sketch.site(stem, node))))
    for block in range(depth):
        path = f"blocks.{block}"
        norm = sketch.op("layer_norm", node)
        qkv = sketch.site(plan(linear(f"{path}.attn.qkv", dim, 3 * dim, tokens), signed=True), norm)
        parts = sketch.op("unbind", sketch.op("permute", sketch.op("reshape", qkv)))
        query, key, value = (sketch.op("getitem", parts) for _ in range(3))
        each = dim // heads
        scores = attention(f"{path}.attn.qk", OpKind.QK, heads, tokens, each, tokens)
        last = block == depth - 1
        refused = {"target": Target.FLOAT, "reason": "an additive mask that is not constant"} if last else {}
        product = sketch.site(plan(scores, signed=True, **refused), sketch.op("mul", query), key)
        attended = attention(f"{path}.attn.av", OpKind.AV, heads, tokens, tokens, each)
        mixed = sketch.site(plan(attended), sketch.op("softmax", product), value)
        mixed = sketch.op("reshape", sketch.op("transpose", mixed))
        node = sketch.op(
            "add", node, sketch.site(plan(linear(f"{path}.attn.proj", dim, dim, tokens), signed=True), mixed)
        )
        hidden = sketch.site(
            plan(linear(f"{path}.mlp.fc1", dim, 4 * dim, tokens), signed=True), sketch.op("layer_norm", node)
        )
        hidden = sketch.site(
            plan(linear(f"{path}.mlp.fc2", 4 * dim, dim, tokens), signed=True), sketch.op("gelu", hidden)
        )
        node = sketch.op("add", node, hidden)
    head = plan(linear("head", dim, 1000), signed=True)
    node = sketch.site(head, sketch.op("select", sketch.op("layer_norm", node)))
    sketch.op("output", node, kind="output")
    return sketch.report("vit_tiny_patch16_224", parameters=5_717_416)


def scheduled(report: MappingReport, rounds: int = 1, load_s: float = 2e-4) -> MappingReport:
    """Return a report with a schedule: one site after another, but downsampling beside the main path."""
    rows = [row for row in report.rows if row.target == "analog"]
    slots, parts, free, before = [], [], 0.0, 0.0
    for number in range(rounds):
        begin = free
        free += load_s if rounds > 1 else 0.0
        start = free
        for row in rows[number * len(rows) // rounds : (number + 1) * len(rows) // rounds]:
            beside = "downsample" in row.name
            time = before if beside else free
            copies = 4 if not slots else 1
            slots.append(
                Slot(row.name, row.name, "m", len(slots) * 8, 8 * copies, copies, 1, number, time, time + row.latency_s)
            )
            before, free = time, max(free, time + row.latency_s)
        parts.append(Round(begin, start, free, 64 if rounds > 1 else 0))
    events = [(slot.start_s, 0.02 * (1 + place % 5)) for place, slot in enumerate(slots) if slot.start_s is not None]
    made = Schedule(
        slots=tuple(slots),
        rounds=tuple(parts),
        pools=(Pool("m", 256, 200, 1536),),
        latency_s=free,
        latency_low_s=free / 8,
        latency_high_s=free * 8,
        sequential_s=sum(row.latency_s or 0.0 for row in rows),
        interval_s=free / 3,
        images_per_s=3 / free,
        bottleneck="" if rounds > 1 else rows[0].name,
        critical_path=tuple(row.name for row in rows if "downsample" not in row.name),
        energy_j_per_image=report.totals["energy_j"],
        reload_energy_j=1e-6 if rounds > 1 else 0.0,
        tops_per_w=3.9,
        reloads=64 * rounds if rounds > 1 else 0,
        utilisation=(*sorted(events), (free, 0.0)),
        mean_utilisation=0.07,
        pipelined_utilisation=0.31,
        buffer_bytes=802_816,
        buffer_at="layer1.0.add",
    )
    return replace(report, schedule=made, totals={**report.totals, **schedule_totals(made)})


def probed(report: MappingReport) -> FidelityReport:
    """Return ratios for every site on the chip: exact products in digital logic, and less and less along the way."""
    sites = []
    for place, row in enumerate(row for row in report.rows if row.target != "float"):
        csnr = math.inf if row.target == "integer" else 20.0 + 7 * place % 11
        both = min(40.0, csnr) - 0.5
        sites.append(
            SiteFidelity(row.name, row.kind, row.target, 40.0, csnr, both, 38.0, csnr, both - 0.1 * place, 1000)
        )
    return FidelityReport(report.model, report.spec, "digits, validation", 64, (0, 1), tuple(sites))
