"""A user's own models: whatever a forward pass may look like, it converts, keeps its form, and computes the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

import asim_fx
from asim_fx.errors import CaptureError, InputError
from benchmarks.fake_quantised import agreement

BATCHES = (1, 2, 3, 5)
Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def rows_of(given: Any, batch: int) -> Any:
    """Return other samples of the same form: floats drawn anew, integers and booleans taken from what is given."""
    generator = torch.Generator().manual_seed(batch)

    def other(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.is_floating_point():
            return torch.randn(batch, *leaf.shape[1:], generator=generator)
        return leaf[torch.arange(batch) % len(leaf)]

    return pytree.tree_map(other, given)


def check(model: nn.Module, given: Arguments, names: list[str]) -> asim_fx.ConvertedModel:
    """Convert a model and compare it with fake-quantised torch, site by site, and with itself, in float.

    Args:
        model: in any mode.
        given: arguments of one forward pass.
        names: of the sites that it must have, in order, all on arrays.
    """
    model.eval()
    before = copy.deepcopy(model.state_dict())
    held = {name: dict(module.__dict__) for name, module in model.named_modules()}
    args, kwargs = given
    converted = asim_fx.convert(model, "ideal", args, kwargs)
    assert [row.name for row in converted.report.rows] == names
    assert {row.target for row in converted.report.rows} == {"analog"}
    for batch in BATCHES:
        args, kwargs = rows_of(given, batch)
        with torch.no_grad():
            expected, actual = model(*args, **kwargs), converted(*args, **kwargs)
        assert type(actual) is type(expected)
        assert all(isinstance(leaf, Tensor | int | None) for leaf in pytree.tree_leaves(actual))
        assert pytree.tree_structure(actual) == pytree.tree_structure(expected)
        found = agreement(model, converted, args, kwargs)
        assert found.sites < 1e-6, found.worst_site
        assert found.graphs < 1e-5
        assert found.outputs < 1e-2
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert {name: dict(module.__dict__) for name, module in model.named_modules()} == held
    return converted


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class Branching(nn.Module):
    """Python control flow on shapes, settings and arguments that are no tensors."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.depth = depth
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor, mode: str = "mean", skip: int | None = None) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        for number, layer in enumerate(self.layers):
            if number == skip:
                continue
            x = x + F.gelu(layer(x)) if number % 2 else layer(x).relu()
        x = x.mean(1) if mode == "mean" else x.amax(1)
        while x.dim() > 2:
            x = x.squeeze(-1)
        return self.head(x)


def test_control_flow() -> None:
    images = torch.randn(2, 3, 6, 5)
    check(Branching(), ((images,), {}), ["stem", "layers.0", "layers.1", "layers.2", "head"])
    given = (images,), {"mode": "max", "skip": 1}
    converted = check(Branching(), given, ["stem", "layers.0", "layers.2", "head"])
    with pytest.raises(InputError, match="'max' when the model was captured, and is 'mean'"):
        converted(images, mode="mean", skip=1)


class Deciding(nn.Module):
    """Control flow that depends on the values of the images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.bright, self.dark = nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.bright if x.mean() > 0 else self.dark
        return self.head(branch(self.stem(x).mean((2, 3))))


def test_control_flow_on_values_is_left_to_python() -> None:
    model, images = Deciding().eval(), torch.rand(2, 3, 6, 6)
    converted = asim_fx.convert(model, "ideal", images)
    assert [row.name for row in converted.report.rows] == ["stem", "bright", "head"]
    assert {row.name: row.reason for row in converted.report.unmapped} == {"dark": "float: the example never calls it"}
    converted.set_fidelity("float")
    for batch in BATCHES:
        for way in (1, -1):
            images = way * torch.rand(batch, 3, 6, 6)
            with torch.no_grad():
                torch.testing.assert_close(converted(images), model(images), rtol=1e-4, atol=1e-5)


class Block(nn.Module):
    def __init__(self, width: int, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(x)
        return x if self.inner is None else self.inner(x)


def test_nested_modules() -> None:
    model = nn.ModuleDict({"trunk": Block(6, Block(6, Block(6)))})["trunk"]
    levels = ["", "inner.", "inner.inner."]
    check(model, ((torch.randn(2, 5, 6),), {}), [f"{level}mix.{number}" for level in levels for number in (0, 2)])


class Functional(nn.Module):
    """Weights that the model holds itself and hands to functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 1, 3, 3))
        self.bias = nn.Parameter(torch.randn(8))
        self.point = nn.Parameter(torch.randn(6, 8))
        self.register_buffer("projection", torch.randn(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x.repeat_interleave(2, 1), self.kernel, self.bias, padding="same", groups=8)
        x = F.linear(x.mean((2, 3)), self.point)
        return x @ self.projection


def test_functional_forms_and_a_buffer_that_is_multiplied() -> None:
    check(Functional(), ((torch.randn(2, 4, 5, 5),), {}), ["kernel", "point", "projection"])


class Tied(nn.Module):
    """One weight used under two names, and one layer called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(6, 6, bias=False)
        self.decode = nn.Linear(6, 6, bias=False)
        self.decode.weight = self.encode.weight
        self.step = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode(x)
        for _ in range(3):
            x = self.step(x).tanh()
        return self.decode(x)


def test_tied_weights_are_programmed_once_and_every_call_is_counted() -> None:
    model = Tied()
    converted = check(model, ((torch.randn(2, 6),), {}), ["decode", "step"])
    tied, step = converted.report.rows
    assert (tied.calls, tied.weights, tied.macs, tied.reads) == (2, 36, 2 * 36, 2 * 6 * 64)
    assert (step.calls, step.weights, step.macs, step.reads) == (3, 36, 3 * 36, 3 * 6 * 64)
    assert converted.report.totals["parameters"] == 36 + 36 + 6
    assert len(list(converted.parameters())) == 3
    with torch.no_grad():
        converted.graph_module.decode.weight.zero_()
    assert not converted(torch.randn(2, 6)).any()


class Transposed(nn.Module):
    """An autoencoder that decodes by its encoder's weight, the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.encode(x).tanh(), self.encode.weight.t())


def test_a_weight_used_both_ways_round_has_two_rows_of_one_name() -> None:
    converted = check(Transposed(), ((torch.randn(2, 6),), {}), ["encode", "encode@1"])
    assert [(row.k, row.n, row.macs) for row in converted.report.rows] == [(6, 4, 24), (4, 6, 24)]


def test_a_weight_that_is_computed_keeps_its_layers_name() -> None:
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    check(nn.Sequential(nn.ReLU(), normed), ((torch.randn(2, 6),), {}), ["1"])


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_old_weight_norm_is_refused_with_what_to_do() -> None:
    with pytest.raises(CaptureError, match="cannot be copied") as caught:
        asim_fx.convert(nn.utils.weight_norm(nn.Linear(6, 4)), "ideal", torch.randn(2, 6))
    assert "old weight_norm" in caught.value.hint


class Padded(nn.Module):
    """Torch's own encoder; eager execution skips what is padded where it can."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.encoder(x, src_key_padding_mask=padding).masked_fill(padding[..., None], 0)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_torchs_own_encoder() -> None:
    padding = torch.tensor([[0, 0, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)
    parts = ("self_attn.in_proj", "self_attn.qk", "self_attn.av", "self_attn.out_proj", "linear1", "linear2")
    names = [f"encoder.layers.{layer}.{part}" for layer in (0, 1) for part in parts]
    converted = check(Padded(), ((torch.randn(2, 4, 8), padding), {}), names)
    assert converted.report.totals["macs"] == 2 * 4 * (8 * 24 + 2 * 4 * 8 + 8 * 8 + 2 * 8 * 16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 4, 3)).to(dtype).eval()
    x = torch.randn(2, 3, 4, 4).to(dtype)
    converted = asim_fx.convert(model, "ideal", x)
    found = agreement(model, converted, (x,))
    assert converted(x).dtype == dtype
    assert found.graphs == 0
    # A product and its bias are rounded one after the other.
    assert found.sites < max(2 * torch.finfo(dtype).eps, 1e-6)


class Point(NamedTuple):
    near: Tensor
    far: tuple[Tensor, list[Tensor]]


class Outputs(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        left, right = self.left(x), self.right(x)
        match self.form:
            case "dict":
                return {"left": left, "right": {"value": right, "shape": right.shape[-1], "none": None}}
            case "tuple":
                return left, [right, {"again": left}], None
            case "named tuple":
                return Point(left, (right, [left]))
            case "input":
                return {"x": x, "left": left, "right": right}
            case _:
                raise ValueError(self.form)


@pytest.mark.parametrize("form", ["dict", "tuple", "named tuple", "input"])
def test_outputs_keep_their_structure(form: str) -> None:
    check(Outputs(form), ((torch.randn(2, 4),), {}), ["left", "right"])


class Inputs(nn.Module):
    """Two images, a nested input and keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(5, 3)
        self.gate = nn.Linear(2, 3)

    def forward(self, one: Tensor, parts: dict[str, Any], *, gate: Tensor | None = None, **more: Any) -> Tensor:
        result = self.one(one) + self.other(parts["other"][0])
        if gate is not None:
            result = result * self.gate(gate)
        return result * more.get("factor", 1) + sum(value for name, value in more.items() if name != "factor")


def test_several_inputs_and_keywords_in_any_order() -> None:
    model = Inputs()
    one, other, gate = torch.randn(3, 4), torch.randn(3, 5), torch.randn(3, 2)
    given = (one, {"other": [other]}), {"gate": gate, "factor": 2, "shift": torch.randn(3, 3)}
    converted = check(model, given, ["one", "other", "gate"])
    args, kwargs = given
    expected = converted(*args, **kwargs)
    assert torch.equal(converted(*args, **dict(reversed(kwargs.items()))), expected)
    assert torch.equal(converted(parts=args[1], one=args[0], **kwargs), expected)
    with pytest.raises(InputError, match=r"parts\['other'\]\[0\] must have the shape \(batch, 5\), not \(3, 4\)"):
        converted(one, {"other": [one]}, **kwargs)
    with pytest.raises(InputError, match="holds 2 samples, another input 3"):
        converted(one, {"other": [other[:2]]}, **kwargs)
    with pytest.raises(InputError, match=r"captured with the arguments \(one, .*this call has 2"):
        converted(one, {"other": [other]})


def test_an_example_may_give_its_keywords_in_any_order() -> None:
    model = Inputs()
    one, other = torch.randn(3, 4), torch.randn(3, 5)
    check(model, ((), {"parts": {"other": [other]}, "one": one}), ["one", "other"])


class Tokens(nn.Module):
    """An encoder of words: integers, a mask, tied input and output embeddings."""

    def __init__(self, words: int = 11, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.register_buffer("position", torch.randn(6, width), persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, words, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(ids) + self.position[: ids.shape[1]]
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        x = x + F.scaled_dot_product_attention(q, k, v, mask[:, None, None, :]).transpose(1, 2).flatten(2)
        return self.out(self.norm(x))


def test_tokens_and_a_mask() -> None:
    ids = torch.randint(0, 11, (3, 5))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    converted = check(Tokens(), ((ids, mask), {}), ["qkv", "qk", "av", "out"])
    row = converted.report.rows[-1]
    assert row.weights == 11 * 8
    # A word that is masked out changes nothing for the others.
    with torch.no_grad():
        other = ids.clone()
        other[1, 4] = (other[1, 4] + 1) % 11
        converted.set_fidelity("float")
        first, second = converted(ids, mask), converted(other, mask)
    torch.testing.assert_close(first[1, :3], second[1, :3])


@dataclass
class Result:
    value: Tensor
    again: list[Tensor]


class Opaque:
    def __init__(self, value: Tensor) -> None:
        self.value = value


class Wrapping(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.head(x))


@pytest.mark.parametrize("wrap", [Opaque, lambda value: Result(value, [value])])
def test_a_result_of_the_models_own_class_stays_one(wrap: Callable[[Tensor], Any]) -> None:
    """A graph cannot return it, so the largest parts that can be graphs are converted and the rest runs as it is."""
    model, x = Wrapping(wrap).eval(), torch.randn(3, 4)
    converted = asim_fx.convert(model, "ideal", x)
    assert list(converted.graph_modules) == ["head"]
    assert [(row.name, row.target) for row in converted.report.rows] == [("head", "analog")]
    assert any("captured in 1 part" in text for _, text in converted.report.notes)
    assert agreement(model, converted, (x,)).graphs < 1e-6
    result = converted(x)
    assert type(result) is type(wrap(x))
    converted.set_fidelity("float")
    torch.testing.assert_close(converted(x).value, model.head(x))
