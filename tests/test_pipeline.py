"""The pipeline refuses an order that cannot work, and can stop, dump and check."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from asim_fx.errors import PipelineError, VerificationError
from asim_fx.passes import ANALYSIS_PIPELINE, DEFAULT_PIPELINE, MAPPING_PIPELINE, fold_batch_norm, vote_msbs
from asim_fx.pipeline import Fact, PassContext, Pipeline, check_outputs, graph_pass, name_of, provides_of
from tests.passes.helper import captured, make_context


@pytest.fixture
def graph_module() -> GraphModule:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(), nn.ReLU()).eval()
    return captured(model, torch.randn(2, 2, 6, 6))


def test_the_default_order_is_sound() -> None:
    Pipeline(DEFAULT_PIPELINE)


@pytest.mark.parametrize("left_out", DEFAULT_PIPELINE[:-1], ids=name_of)
def test_whatever_others_build_on_cannot_be_left_out(left_out) -> None:
    rest = [step for step in DEFAULT_PIPELINE if step is not left_out]
    if not provides_of(left_out):
        pytest.skip("nothing builds on it")
    with pytest.raises(PipelineError, match=r"requires .*; no earlier pass provides it"):
        Pipeline(rest)


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(PipelineError) as caught:
        Pipeline((vote_msbs, fold_batch_norm))
    assert "vote_msbs requires" in str(caught.value)
    assert "fold_batch_norm requires" in str(caught.value)


def test_the_reverse_order_is_refused() -> None:
    with pytest.raises(PipelineError):
        Pipeline(tuple(reversed(ANALYSIS_PIPELINE + MAPPING_PIPELINE)))


def test_it_stops_after_a_fact(graph_module: GraphModule) -> None:
    timings = Pipeline(DEFAULT_PIPELINE).run(graph_module, make_context(), until=Fact.FOLDED)
    assert timings[-1].name == "fold_batch_norm"
    assert timings[-1].changed
    assert all(timing.seconds >= 0 for timing in timings)


def test_it_dumps_a_text_after_each_pass(graph_module: GraphModule, tmp_path) -> None:
    timings = Pipeline(ANALYSIS_PIPELINE).run(graph_module, make_context(), dump=tmp_path / "dump")
    names = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert names == [f"{number:02d}_{timing.name}.txt" for number, timing in enumerate(timings)]
    before = next(path for path in (tmp_path / "dump").iterdir() if "fold_constants" in path.name).read_text()
    after = next(path for path in (tmp_path / "dump").iterdir() if "fold_batch_norm" in path.name).read_text()
    assert "batch_norm" in before
    assert "batch_norm" not in after


def test_the_analysis_computes_the_same_after_each_pass(graph_module: GraphModule) -> None:
    images = torch.randn(2, 2, 6, 6)
    with torch.no_grad():
        expected = graph_module(images)
    Pipeline(ANALYSIS_PIPELINE).run(
        graph_module, make_context(), check=check_outputs((images,), expected, tolerance=1e-5)
    )


@graph_pass(requires=[], provides=[])
def double_the_output(graph_module: GraphModule, context: PassContext) -> bool:
    output = next(node for node in graph_module.graph.nodes if node.op == "output")
    relu = next(node for node in reversed(graph_module.graph.nodes) if node.op == "call_function")
    with graph_module.graph.inserting_before(output):
        doubled = graph_module.graph.call_function(torch.add, (relu, relu))
    output.replace_input_with(relu, doubled)
    return True


@graph_pass(requires=[], provides=[])
def break_the_graph(graph_module: GraphModule, context: PassContext) -> bool:
    graph = graph_module.graph
    first = next(node for node in graph.nodes if node.op == "call_function")
    last = next(node for node in reversed(graph.nodes) if node.op == "call_function")
    first.args = (last, *first.args[1:])
    return True


def test_a_pass_that_changes_the_result_is_named(graph_module: GraphModule) -> None:
    images = torch.randn(2, 2, 6, 6)
    with torch.no_grad():
        expected = graph_module(images)
    with pytest.raises(VerificationError, match="after pass double_the_output"):
        Pipeline((double_the_output,)).run(
            graph_module, make_context(), check=check_outputs((images,), expected, tolerance=1e-5)
        )


def test_a_pass_that_breaks_the_graph_is_named(graph_module: GraphModule) -> None:
    with pytest.raises(PipelineError, match="pass break_the_graph left a graph that is not valid"):
        Pipeline((break_the_graph,)).run(graph_module, make_context())
