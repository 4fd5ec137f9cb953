from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from asim_fx.capture import capture, module_of
from asim_fx.errors import CaptureError, InputError


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(16, 3))


X = torch.zeros(1, 2, 4, 4)


def test_the_model_stays_untouched() -> None:
    model = small().train()
    before = copy.deepcopy(model.state_dict())
    found = capture(model, X)
    assert model.training
    assert not found.graph_module.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    with torch.no_grad():
        next(iter(found.graph_module.parameters())).fill_(7)
    assert torch.equal(next(iter(model.parameters())), before["0.weight"])


def test_keys_and_verification() -> None:
    model = small()
    found = capture(model, X)
    assert found.graph_module.state_dict().keys() == model.state_dict().keys()
    assert found.batch == 2
    assert found.example_args[0].shape[0] == 2
    assert found.eager_macs == 2 * (4 * 4 * 18 + 16 * 3)
    assert found.verification.startswith("MACs equal (672 at batch 2); outputs equal at batch 2 and 3 to ")


def test_a_larger_batch_is_kept_and_every_batch_works() -> None:
    found = capture(small(), torch.zeros(5, 2, 4, 4))
    assert found.batch == 5
    assert found.graph_module(torch.zeros(1, 2, 4, 4)).shape == (1, 3)


def test_the_graph_module_is_a_normal_module() -> None:
    graph_module = capture(small(), X).graph_module
    graph_module.train()
    graph_module.eval()
    twin = copy.deepcopy(graph_module)
    twin.load_state_dict(graph_module.state_dict())
    x = torch.randn(3, 2, 4, 4)
    assert torch.equal(twin(x), graph_module(x))
    graph_module(x).sum().backward()
    assert all(parameter.grad is not None for parameter in graph_module.parameters())


class Pair(nn.Module):
    """Two inputs, one by keyword, and a structured result."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(3, 3)

    def forward(self, x: Tensor, parts: list[Tensor], *, mask: Tensor | None = None) -> dict[str, Tensor]:
        result = self.scale(x) + parts[0]
        return {"a": result if mask is None else result * mask, "b": x}


def test_keyword_arguments_and_structure_are_kept() -> None:
    found = capture(Pair(), (torch.zeros(2, 3), [torch.zeros(2, 3)]), {"mask": torch.ones(2, 3, dtype=torch.bool)})
    leaves = [(leaf.name, leaf.shape, leaf.dtype) for leaf in found.input_signature]
    assert leaves == [
        ("x", (None, 3), torch.float32),
        ("parts[0]", (None, 3), torch.float32),
        ("mask", (None, 3), torch.bool),
    ]
    result = found.graph_module(torch.ones(4, 3), [torch.ones(4, 3)], mask=torch.ones(4, 3, dtype=torch.bool))
    assert set(result) == {"a", "b"}
    assert result["a"].shape == (4, 3)


def test_a_cache_filled_by_the_model_is_neither_kept_nor_baked_in() -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.ones(3))
            self.cache: dict[str, Tensor] = {}

        def forward(self, x: Tensor) -> Tensor:
            if "t" not in self.cache:
                self.cache["t"] = self.table * 2
            return x + self.cache["t"]

    model = Caching()
    graph_module = capture(model, torch.zeros(2, 3)).graph_module
    assert model.cache == {}
    with torch.no_grad():
        graph_module.table.fill_(5)
    assert torch.equal(graph_module(torch.zeros(2, 3)), torch.full((2, 3), 10.0))


@pytest.mark.parametrize("batch", [2, 3])
def test_batches_stacked_and_taken_apart_again(batch: int) -> None:
    class Stacking(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            first, second = torch.chunk(torch.cat([one, other]), chunks=2)
            left, right = first.chunk(2, dim=1)
            return left - right + second[:, :2]

    found = capture(Stacking(), (torch.zeros(batch, 4), torch.zeros(batch, 4)))
    one, other = torch.randn(5, 4), torch.randn(5, 4)
    assert torch.equal(found.graph_module(one, other), one[:, :2] - one[:, 2:] + other[:, :2])


class Attention(nn.Module):
    """Its attention's result is copied before a view, which a fused kernel's strides do not need."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(x.shape[0], -1, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous().view(x.shape)


@pytest.mark.parametrize("exported", [False, True])
def test_views_of_attention_hold_whatever_kernel_runs(exported: bool) -> None:
    model, x = Attention().eval(), torch.randn(2, 5, 8)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    given = module_of(torch.export.export(model, (x,), dynamic_shapes=dynamic)) if exported else model
    graph_module = capture(given, x).graph_module
    x = torch.randn(3, 5, 8)
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        with torch.no_grad(), sdpa_kernel(backend):
            assert torch.allclose(graph_module(x), model(x), atol=1e-5)


def test_meta_models_say_that_values_are_unverified() -> None:
    with torch.device("meta"):
        model, x = small(), torch.zeros(2, 2, 4, 4)
    found = capture(model, x)
    assert found.verification == "MACs equal (672 at batch 2); values unverified (meta device)"


def test_without_verification_nothing_runs() -> None:
    found = capture(small(), X, verify=False)
    assert found.eager_macs is None
    assert found.verification == "not verified"


def test_the_global_random_state_is_left_alone() -> None:
    model = small()
    before = torch.get_rng_state()
    capture(model, X)
    assert torch.equal(torch.get_rng_state(), before)


class Sized(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[-1] == 4, f"width {x.shape[-1]} is not 4")
        return x


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class FixedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1) + x.flatten(1)


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


@pytest.mark.parametrize(
    ("model", "x", "error", "words"),
    [
        (Sized(), torch.zeros(2, 5), InputError, "width 5 is not 4"),
        (nn.Conv2d(3, 4, 3), torch.zeros(1, 4, 8, 8), InputError, "channels"),
        (nn.ReLU(), torch.zeros(0, 3), InputError, "no sample"),
        (nn.ReLU(), torch.tensor(1.0), InputError, "batch dimension"),
        (Branching(), torch.zeros(2, 3), CaptureError, "data-dependent"),
        (FixedBatch(), torch.zeros(2, 3), CaptureError, "batch"),
        (Stateful(), torch.zeros(2, 3), CaptureError, "differs from the model"),
        (nn.LazyLinear(2), torch.zeros(2, 3), CaptureError, "no shape before their first call: weight, bias"),
    ],
)
def test_failures_are_one_line(
    model: nn.Module, x: Tensor, error: type[Exception], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=words) as found:
        capture(model, x)
    assert "\n" not in str(found.value)
    assert "Traceback" not in str(found.value)
    assert capfd.readouterr() == ("", "")


def test_the_models_own_line_is_named() -> None:
    with pytest.raises(CaptureError, match=r"test_export\.py:\d+") as found:
        capture(Branching(), torch.zeros(2, 3))
    assert found.value.hint


def test_wrong_arguments_name_the_models_class() -> None:
    with pytest.raises(InputError, match=r"Pair\.forward does not take these inputs: missing"):
        capture(Pair(), torch.zeros(2, 3))
