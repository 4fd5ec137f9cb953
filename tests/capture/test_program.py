"""Exported programs as models: dynamic and fixed batches, training mode, decomposed operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.capture import capture, example_of, facts_of, module_of
from asim_fx.errors import InputError, UsageError

DYNAMIC = ({0: torch.export.Dim("batch", min=1, max=64)},)


def export(model: nn.Module, images: Tensor, *, dynamic: bool = True) -> torch.export.ExportedProgram:
    return torch.export.export(model, (images,), dynamic_shapes=DYNAMIC if dynamic else None)


def names(report: asim_fx.conversion.MappingReport) -> list[tuple[str, str, int]]:  # type: ignore[name-defined]
    return [(row.name, row.kind, row.macs) for row in report.rows]


def test_a_program_converts_as_its_model_does(small_net: nn.Module, images: Tensor) -> None:
    expected = asim_fx.convert(small_net.eval(), "generic-255x8b", images, seed=3)
    found = asim_fx.convert(export(small_net, images), "generic-255x8b", seed=3)
    assert names(found.report) == names(expected.report)
    assert torch.equal(found(images), expected(images))
    assert found(images[:1]).shape == expected(images[:1]).shape


def test_decomposed_operations_are_the_same_sites(small_net: nn.Module, images: Tensor) -> None:
    expected = asim_fx.convert(small_net.eval(), "ideal", images)
    found = asim_fx.convert(export(small_net, images).run_decompositions(), "ideal", verify=True)
    assert names(found.report) == names(expected.report)
    found.set_fidelity("float")
    expected.set_fidelity("float")
    assert torch.allclose(found(images), expected(images), atol=1e-5)


def test_a_fixed_batch_stays_and_is_said(small_net: nn.Module, images: Tensor) -> None:
    dynamic = asim_fx.convert(export(small_net.eval(), images[:2]), "generic-255x8b")
    fixed = asim_fx.convert(export(small_net, images[:1], dynamic=False), "generic-255x8b")
    assert fixed.report.totals["macs"] == dynamic.report.totals["macs"]
    assert fixed.report.totals["reads"] == dynamic.report.totals["reads"]
    assert any("fixed its batch at 1" in text for _, text in fixed.report.notes)
    assert fixed(images[:1]).shape == dynamic(images[:1]).shape
    with pytest.raises(InputError, match=r"must have the shape \(1, ") as caught:
        fixed(images[:2])
    assert "dynamic batch" in caught.value.hint


def test_every_call_at_a_fixed_batch_draws_anew(small_net: nn.Module, images: Tensor) -> None:
    fixed = asim_fx.convert(export(small_net.eval(), images[:1], dynamic=False), "generic-255x8b")
    first, second = fixed(images[:1]), fixed(images[:1])
    assert not torch.equal(first, second)
    fixed.reseed(0)
    assert torch.equal(fixed(images[:1]), first)


def test_an_example_of_another_batch_is_refused(small_net: nn.Module, images: Tensor) -> None:
    program = export(small_net.eval(), images[:1], dynamic=False)
    with pytest.raises(InputError, match="batch of 1; this example holds 2"):
        asim_fx.convert(program, "ideal", images[:2])


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("batch", [None, 2])
def test_an_export_in_training_mode_is_evaluated(decomposed: bool, batch: int | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        model[1].running_mean.uniform_(-1, 1)
        model[1].running_var.uniform_(0.5, 2)
    program = export(model.train(), torch.randn(2, 2, 6, 6), dynamic=batch is None)
    module = module_of(program.run_decompositions() if decomposed else program)
    facts = facts_of(module)
    assert facts is not None
    assert facts.evaluated == 2
    assert "2 norms and dropouts" in facts.words
    x = torch.randn(2, 2, 6, 6)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert torch.allclose(module(x), model.eval()(x), atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    captured = capture(module, (x,))
    assert torch.allclose(captured.graph_module(x), model(x), atol=1e-5)


def test_an_example_comes_from_what_the_program_takes(small_net: nn.Module, images: Tensor) -> None:
    args, kwargs = example_of(export(small_net, images))
    assert [leaf.shape for leaf in args] == [images.shape]
    assert kwargs == {}


def test_a_model_that_was_not_exported_needs_an_example(small_net: nn.Module) -> None:
    with pytest.raises(UsageError, match="example_inputs"):
        asim_fx.convert(small_net, "ideal")


def test_an_artifact_of_a_program_wants_it_again(small_net: nn.Module, images: Tensor, tmp_path) -> None:
    program = export(small_net.eval(), images)
    converted = asim_fx.convert(program, "generic-255x8b", seed=5)
    converted.save(tmp_path / "chip")
    loaded = asim_fx.load(tmp_path / "chip", model=program)
    assert torch.equal(loaded(images), converted(images))
