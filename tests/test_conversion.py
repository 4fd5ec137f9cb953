"""convert: the whole way from a model to a simulation of it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import asim_fx
from asim_fx.errors import InputError, NumericsError, PlanError, SpecError, UsageError

NOISY = ["macros.m.noise.random_percent_fs=0.3"]


def spec(text: str = "", overrides: list[str] | None = None, adc: object = 8) -> asim_fx.HardwareSpec:
    document = asim_fx.HardwareSpec.model_validate(
        {"version": 1, "name": "test", "macros": {"m": {"rows": 63, "columns": 64, "adc": {"bits": adc}}}}
    )
    return asim_fx.load_spec(document, overrides or [])


def test_the_original_is_untouched(small_net: nn.Module, images: Tensor) -> None:
    before = copy.deepcopy(small_net.state_dict())
    small_net.train()
    asim_fx.convert(small_net, spec(), images)
    assert small_net.training
    small_net.eval()
    after = small_net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_float_fidelity_is_the_model(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(), images[:2], verify=True)
    converted.set_fidelity("float")
    for batch in (1, 2, 3, 5):
        torch.testing.assert_close(converted(images[:batch]), small_net(images[:batch]), rtol=1e-4, atol=1e-5)


def test_sixteen_bits_without_adc_agree_with_the_float_model(small_net: nn.Module, images: Tensor) -> None:
    wide = spec(overrides=["defaults.weight_bits=16", "defaults.input_bits=16"], adc="ideal")
    expected = small_net(images)
    actual = asim_fx.convert(small_net, wide, images)(images)
    assert (actual - expected).abs().max() < 0.01 * expected.abs().max()


def test_a_lossless_read_is_the_ideal_integer_model(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(overrides=["macros.m.rows=255"]), images)
    hardware = converted(images)
    converted.set_fidelity("integer")
    assert torch.equal(hardware, converted(images))


def test_all_levels_digital_is_the_ideal_integer_model(small_net: nn.Module, images: Tensor) -> None:
    noisy = spec(overrides=[*NOISY, "defaults.hybrid.levels=15"])
    converted = asim_fx.convert(small_net, noisy, images)
    hardware = converted(images)
    converted.set_fidelity("integer")
    assert torch.equal(hardware, converted(images))


def test_each_forward_draws_anew_and_reseed_repeats(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(overrides=NOISY), images, seed=3)
    first, second = converted(images), converted(images)
    assert not torch.equal(first, second)
    converted.reseed(3)
    assert torch.equal(first, converted(images))
    converted.reseed(3, first_sample=len(images))
    assert torch.equal(second, converted(images))
    converted.reseed(4)
    assert not torch.equal(first, converted(images))


def test_noise_does_not_depend_on_the_batch(small_net: nn.Module, images: Tensor) -> None:
    """With a scale for each sample, a sample's result is the same bit for bit in any batch."""
    converted = asim_fx.convert(small_net, spec(overrides=[*NOISY, "defaults.scale=sample"]), images)
    whole = converted(images)
    for number in range(len(images)):
        converted.reseed(0, first_sample=number)
        # Float layers are torch's own and may round differently at another batch size.
        torch.testing.assert_close(converted(images[number : number + 1])[0], whole[number], rtol=1e-4, atol=1e-4)


def test_totals_add_up(small_net: nn.Module, images: Tensor) -> None:
    report = asim_fx.convert(small_net, spec(), images).report
    rows = {row.name: row for row in report.rows}
    assert set(rows) == {"stem", "depthwise", "qkv", "qk", "av", "head"}
    assert rows["stem"].macs == 64 * 8 * 18
    assert rows["depthwise"].macs == 16 * 8 * 9
    assert rows["qkv"].macs == 16 * 24 * 8
    assert rows["qk"].macs == rows["av"].macs == 2 * 16 * 16 * 4
    assert report.totals["macs"] == sum(row.macs for row in report.rows)
    assert report.totals["macs_analog"] + report.totals["macs_digital"] == report.totals["macs"]
    # stem: 64 pixels x 8 outputs x 1 row tile x 64 cells
    assert rows["stem"].reads == 64 * 8 * 1 * 64
    assert rows["depthwise"].signed is False
    assert report.totals["reads"] == sum(row.reads for row in report.rows)


def test_state_dict_keeps_the_models_keys(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(), images, fold_batch_norm=False)
    assert set(converted.graph_module.state_dict()) == set(small_net.state_dict()) - {
        "norm.num_batches_tracked"
    } or set(converted.graph_module.state_dict()) == set(small_net.state_dict())


def test_a_rule_that_matches_nothing_names_the_nearest(small_net: nn.Module, images: Tensor, tmp_path) -> None:
    file = tmp_path / "chip.yaml"
    file.write_text("version: 1\nname: c\nmacros: {m: {}}\nrules:\n  - {match: {name: heads}, target: float}\n")
    with pytest.raises(PlanError, match=r"chip\.yaml:5: rules\[0\].*nearest names: head"):
        asim_fx.convert(small_net, file, images)


def test_settings_that_exclude_each_other_name_the_site_and_the_line(
    small_net: nn.Module, images: Tensor, tmp_path
) -> None:
    file = tmp_path / "chip.yaml"
    file.write_text(
        "version: 1\nname: c\nmacros: {m: {}}\nrules:\n  - {match: {name: head}, input_bits: 1, signed: auto}\n"
    )
    with pytest.raises(SpecError, match="head") as caught:
        asim_fx.convert(small_net, file, images)
    assert "chip.yaml:5" in str(caught.value)


def test_another_image_size_is_refused(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(), images)
    with pytest.raises(InputError, match="8"):
        converted(torch.zeros(2, 2, 16, 16))


def test_a_model_without_values_is_refused(small_net: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match="holds no values"):
        asim_fx.convert(copy.deepcopy(small_net).to("meta"), spec(), images.to("meta"))


def test_a_seed_that_does_not_fit_is_refused(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(), images)
    with pytest.raises(UsageError):
        converted.reseed(-1)


def test_a_converted_model_copies_exports_and_compiles(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(overrides=NOISY), images)
    expected = converted(images)
    twin = copy.deepcopy(converted)
    twin.reseed(0)
    assert torch.equal(twin(images), expected)
    converted.reseed(0)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(converted, (images,), dynamic_shapes={"args": ({0: batch},)})
    torch.testing.assert_close(program.module()(images), expected, rtol=1e-4, atol=1e-4)
    converted.reseed(0)
    compiled = torch.compile(converted, fullgraph=True, backend="aot_eager")  # inductor would need a C++ compiler
    assert torch.equal(compiled(images), expected)


def test_gradients_reach_every_weight(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, spec(overrides=NOISY), images)
    converted(images).square().sum().backward()
    missing = [name for name, weight in converted.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not missing


class Powered(nn.Module):
    """Takes a number beside the images, draws random numbers, and works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor, power: float = 1.0) -> Tensor:
        return self.fc(F.dropout(x.sub_(power), 0.5, training=True))


def test_a_constant_argument_cannot_change(images: Tensor) -> None:
    converted = asim_fx.convert(Powered(), "ideal", images, {"power": 3.0})
    converted(images.clone(), power=3.0)
    with pytest.raises(InputError, match=r"3\.0 when the model was captured, and is 100"):
        converted(images.clone(), power=100.0)


def test_verify_copes_with_random_numbers_and_work_in_place(images: Tensor) -> None:
    asim_fx.convert(Powered(), "ideal", images.clone(), {"power": 3.0}, verify=True)


def test_a_model_converts_in_inference_mode(small_net: nn.Module) -> None:
    with torch.inference_mode():
        converted = asim_fx.convert(small_net, "ideal", torch.randn(2, 2, 8, 8), verify=True)
        assert converted(torch.randn(3, 2, 8, 8)).shape == (3, 5)


class Beside(nn.Module):
    """Images beside a table that has no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.images, self.table = nn.Linear(8, 3), nn.Linear(8, 4)

    def forward(self, x: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        return self.images(x), self.table(table)


def test_an_input_without_a_batch_counts_whole() -> None:
    converted = asim_fx.convert(Beside(), "ideal", (torch.randn(5, 8), torch.randn(7, 8)))
    assert {row.name: row.macs for row in converted.report.rows} == {"images": 8 * 3, "table": 7 * 8 * 4}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_spoilt_weights_are_refused_by_name(value: float, images: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 5), nn.Linear(5, 5))
    model[1].weight.data[0, 0] = value
    with pytest.raises(NumericsError, match=r"NaN or infinity: 1\.weight$"):
        asim_fx.convert(model, "ideal", images)


class Overflowing(nn.Module):
    """Divides by zero."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) / 0


def test_equal_outputs_that_are_no_numbers_are_said_to_be_none() -> None:
    report = asim_fx.convert(Overflowing(), "ideal", torch.randn(2, 8)).report
    assert "the model's own hold NaN or infinity" in report.verification


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (lambda x: x, torch.zeros(2, 8), "must be a torch.nn.Module"),
        (nn.Linear(8, 3), [torch.zeros(2, 8)], "example_inputs must be a tensor or a tuple"),
        (nn.Linear(8, 3), None, "example_inputs are needed"),
    ],
)
def test_what_is_no_model_or_no_example(model: object, given: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asim_fx.convert(model, "ideal", given)


def test_what_is_no_spec() -> None:
    with pytest.raises(UsageError, match="a HardwareSpec, the name of a shipped one, or a path"):
        asim_fx.convert(nn.Linear(8, 3), 42, torch.zeros(2, 8))
