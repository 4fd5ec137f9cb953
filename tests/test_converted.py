"""The converted model is called like its original, which stays as it was; over families that keep state of their own."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import asim_fx
from asim_fx.errors import InputError
from asim_fx.models import build_model

MODELS = {
    "test_resnet": 64,
    "test_vit": 64,
    "levit_128s": 64,  # keeps a dict of attention biases that it fills when it runs
    "convit_tiny": 64,  # keeps a buffer of relative positions that it replaces when it runs
    "torchvision:lraspp_mobilenet_v3_large": 64,  # returns an OrderedDict
}


def snapshot(model: nn.Module) -> list[Any]:
    """Return all that a model holds, tensors as copies beside their identity."""
    held: list[Any] = [tensor.clone() for tensor in (*model.parameters(), *model.buffers())]
    held += [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    for name, module in model.named_modules():
        plain = {key: value for key, value in vars(module).items() if not isinstance(value, nn.Module)}
        held.append((name, module.training, copy.deepcopy(plain)))
    held += [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    return held


def same(one: Any, other: Any) -> bool:
    ours, theirs = (pytree.tree_flatten(value) for value in (one, other))
    return ours[1] == theirs[1] and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a is b or a == b or repr(a) == repr(b)
        for a, b in zip(ours[0], theirs[0], strict=True)
    )


@pytest.mark.parametrize("name", MODELS)
def test_called_like_the_original_which_stays_as_it_was(name: str) -> None:
    size = MODELS[name]
    model = build_model(name, input_size=None if ":" in name else (3, size, size)).model
    model.train()
    next(model.modules()).register_buffer("counter", torch.zeros(1), persistent=False)
    next(model.parameters()).requires_grad_(False)
    seen: list[int] = []
    model.register_forward_hook(lambda *_: seen.append(1))
    before, random_state = snapshot(model), torch.get_rng_state()
    hooks = dict(model._forward_hooks)

    converted = asim_fx.convert(model, "ideal", torch.randn(2, 3, size, size))
    state_after = torch.get_rng_state()
    torch.set_rng_state(random_state)
    torch.randn(2, 3, size, size)
    assert torch.equal(state_after, torch.get_rng_state())
    assert same(snapshot(model), before)
    assert dict(model._forward_hooks) == hooks

    reference = copy.deepcopy(model).eval()
    for batch in (1, 2, 3, 5):
        images = torch.randn(batch, 3, size, size)
        random_state = torch.get_rng_state()
        with torch.no_grad():
            converted.set_fidelity("hardware")
            simulated = converted(images)
            converted.set_fidelity("float")
            expected, actual = reference(images), converted(images)
        assert torch.equal(torch.get_rng_state(), random_state)
        assert type(simulated) is type(actual) is type(expected)
        assert pytree.tree_structure(simulated) == pytree.tree_structure(expected)
        for one, other in zip(pytree.tree_leaves(actual), pytree.tree_leaves(expected), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * float(other.abs().max()))
        assert all(leaf.isfinite().all() for leaf in pytree.tree_leaves(simulated))
    assert same(snapshot(model), before)
    words = rf"must have the shape \(batch, 3, {size}, {size}\), not \(2, 3, {size + 32}, {size}\)"
    with pytest.raises(InputError, match=words):
        converted(torch.randn(2, 3, size + 32, size))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 3, 64), r"must have the shape \(batch, 3, 64, 64\), not \(2, 3, 64\)"),
        (torch.zeros(2, 1, 64, 64), r"not \(2, 1, 64, 64\)"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.float64), "must be torch.float32, not torch.float64"),
        ([torch.zeros(3, 64, 64)], "must have the shape"),
        (math.pi, "must be a tensor, not float"),
    ],
)
def test_what_the_capture_did_not_fix_for_is_refused(images: Any, words: str) -> None:
    converted = asim_fx.convert(build_model("test_resnet").model, "ideal", torch.randn(2, 3, 64, 64))
    with pytest.raises(InputError, match=words):
        converted(images)


def test_samples_are_counted_and_copies_count_for_themselves() -> None:
    model = build_model("test_resnet").model
    converted = asim_fx.convert(model, "generic-255x8b", torch.randn(2, 3, 64, 64))
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        first = converted(images)
        twin = copy.deepcopy(converted)
        second = converted(images)
        assert not torch.equal(first, second)
        assert torch.equal(twin(images), second)
        converted.reseed(0)
        assert torch.equal(converted(images), first)
