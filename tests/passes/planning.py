"""Plan a small model by a spec, pass by pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

import asim_fx
from asim_fx.ir import SitePlan, iter_plans
from asim_fx.passes import ANALYSIS_PIPELINE, LOWERING_PIPELINE, MAPPING_PIPELINE
from asim_fx.pipeline import Fact, PassContext, Pipeline
from asim_fx.spec import HardwareSpec
from tests.passes.helper import captured

HEAD = "version: 1\nname: test\nmacros:\n  m: {rows: 63, columns: 64, adc: {bits: 6}}\n"


def spec_of(text: str = "", tmp_path: Any = None) -> HardwareSpec:
    if tmp_path is None:
        from asim_fx.spec import parse_spec

        return parse_spec(HEAD + text, "chip.yaml")
    (tmp_path / "chip.yaml").write_text(HEAD + text)
    return asim_fx.load_spec(tmp_path / "chip.yaml")


def planned(
    model: nn.Module, inputs: Sequence[Tensor], text: str = "", *, until: Fact | None = None, **changes: Any
) -> tuple[GraphModule, dict[str, SitePlan]]:
    """Run the pipeline of a model, up to the pass that provides ``until``; return the plans by the site's label."""
    graph_module = captured(model, *inputs)
    context = PassContext(spec=spec_of(text), **changes)
    Pipeline(ANALYSIS_PIPELINE + MAPPING_PIPELINE + LOWERING_PIPELINE).run(graph_module, context, until=until)
    return graph_module, {plan.site.label: plan for _, plan in iter_plans(graph_module.graph)}


class Attention(nn.Module):
    """Linears and an attention over 4 tokens of 8 channels, one head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(torch.relu(x)).chunk(3, -1)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v))


TOKENS = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
