"""Models that are no single graph, captured by their largest submodules that are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture.parts import capture_model, capture_parts, takes_images_one_by_one
from asim_fx.errors import CaptureError, InputError

from ..detector import SIZE, Detector, detector, images

STEM, DEEP, HEAD = 64 * 4 * 27, 16 * 4 * 36, (64 + 16) * 5 * 4


def test_largest_submodules_and_what_is_outside_of_them() -> None:
    model = detector()
    found = capture_model(model, images(1))
    chosen = len(model(images(1))[0]["boxes"])
    assert chosen > 0
    assert [(part.name, part.samples, part.macs) for part in found.parts] == [
        ("backbone", 1, STEM + DEEP),
        ("head", 1, HEAD),
        ("judge", chosen, chosen * 12),
        ("calibrate", chosen, chosen),
    ]
    assert [(one.name, one.macs) for one in found.uncaptured] == [("", chosen * 16)]
    assert "Detector computes it outside" in found.uncaptured[0].reason
    assert found.macs == STEM + DEEP + HEAD + chosen * (12 + 1 + 16)
    assert not found.is_whole
    assert "takes a list of images" in found.reason
    assert found.verification.startswith("4 parts, MACs equal (")
    assert found.verification.endswith("outputs of each part equal at two batch sizes")


def test_only_the_first_image_counts() -> None:
    """Counts are for one sample; a list of three says nothing about two more."""
    one, three = capture_model(detector(), [images(3)[0]]), capture_model(detector(), images(3))
    assert one.macs == three.macs
    assert [part.macs for part in one.parts] == [part.macs for part in three.parts]


def test_the_model_stays_as_it_is() -> None:
    model = detector().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    capture_model(model, images(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_part_that_the_example_sends_nothing_is_captured_nevertheless() -> None:
    found = capture_model(detector(threshold=1e9), images(1))
    assert [(part.name, part.samples, part.macs) for part in found.parts][2:] == [("judge", 0, 0), ("calibrate", 0, 0)]
    assert found.parts[2].captured.batch == 2
    assert found.uncaptured == ()


def test_without_values_only_shapes_are_compared() -> None:
    found = capture_model(detector(), images(1), values=False)
    assert found.verification.endswith("values unverified (meta device)")
    assert found.macs == capture_model(detector(), images(1)).macs


class Branching(nn.Module):
    """Looks at a value between two parts; one of its layers is called twice, one gets no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.twice = nn.Linear(4, 4)
        self.strange = Strange()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.trunk(x)
        if x.sum() > 1e9:
            x = -x
        return self.head(self.strange({1}, self.twice(self.twice(x))))


class Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, numbers: set[int], x: Tensor) -> Tensor:
        return self.inner(x) * len(numbers) + x @ x.mT @ x


def test_a_model_that_looks_at_values_is_captured_around_them() -> None:
    found = capture_model(Branching().eval(), torch.randn(3, 4))
    assert [part.name for part in found.parts] == ["trunk", "strange.inner", "head"]
    assert [(one.name, one.macs) for one in found.uncaptured] == [("twice", 2 * 16), ("strange", 2 * 4)]
    twice, strange = (one.reason for one in found.uncaptured)
    assert "Linear is called 2 times" in twice
    assert "Strange takes something else than tensors" in strange
    assert found.macs == 2 * 16 + 2 * 16 + 16 + 2 * 4 + 8
    assert "data-dependent" in found.reason


class Deciding(nn.Module):
    """Goes one of two ways; the way out is known by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.head = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 2)
        self.kept = nn.ModuleList([self.head])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.one(x) if x.sum() < 1e9 else self.other(x))


def test_what_the_example_never_calls_is_said() -> None:
    found = capture_model(Deciding().eval(), torch.randn(3, 4))
    assert [part.name for part in found.parts] == ["one", "head"]
    assert [(one.name, one.macs, one.reason) for one in found.uncaptured] == [
        ("other", 0, "the example never calls it")
    ]


def test_a_model_that_is_one_graph_is_not_taken_apart() -> None:
    found = capture_model(nn.Sequential(nn.Linear(4, 2)), torch.randn(3, 4))
    assert found.is_whole
    assert found.uncaptured == ()
    assert found.macs == 8


class Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)

    def forward(self, images: list[Tensor]) -> list[Tensor]:
        return [self.twice(image) for image in images] + [self.twice(image) for image in images]


def test_a_model_without_any_such_part_is_refused() -> None:
    with pytest.raises(CaptureError, match="no part of Nothing can be captured") as caught:
        capture_parts(Nothing(), [torch.randn(2, 3, 4)])
    assert "twice: Linear is called 2 times" in caught.value.hint


def test_where_parts_do_not_help_the_reason_is_that_of_the_whole() -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError, match="data-dependent"):
        capture_model(Alone(), torch.randn(2, 4))


def test_an_image_that_the_model_refuses() -> None:
    with pytest.raises(InputError, match="the model does not run on this input"):
        capture_model(detector(), [torch.zeros(1, SIZE, SIZE)])


def test_a_list_comes_alone() -> None:
    with pytest.raises(InputError, match="that list alone"):
        capture_model(Detector().eval(), (images(1), torch.zeros(1)))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (([torch.zeros(3, 4, 4)],), True),
        (((torch.zeros(3, 4, 4), torch.zeros(3, 5, 4)), None), True),
        ((torch.zeros(2, 3, 4, 4),), False),
        (([torch.zeros(2, 3, 4, 4)],), False),
        (([],), False),
        ((), False),
    ],
)
def test_what_is_a_list_of_images(args: tuple[Any, ...], expected: bool) -> None:
    assert takes_images_one_by_one(args) is expected
