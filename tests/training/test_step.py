"""One update: parts, statistics, and what has no gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError, InputError, NumericsError
from asim_fx.training.form import LEAST_ALPHA, bounds_of, trainable_form
from asim_fx.training.preparation import create_trainee
from asim_fx.training.step import Part, Trainee, checked_scores, running_statistics, update

from .helper import cpu, form, recipe, spec, tiny_images, tiny_net


def trainee(net: ConvertedModel, **settings: Any) -> Trainee:
    settings = {"mode": "float", "opt": "momentum", "momentum": 0.0, "lr": 0.1, **settings}
    return create_trainee(net, recipe(**settings), cpu())[0]


def parts(*counts: int) -> list[Part]:
    images, start, found = tiny_images(), 0, []
    for number, count in enumerate(counts):
        chosen = slice(start, start + count)
        found.append(Part(number, start, images.images[chosen], images.labels[chosen]))
        start += count
    return found


def plain_net() -> nn.Module:
    """Return the tiny network without what a part does on its own."""
    model = tiny_net()
    model.drop.p = 0.0
    return model


def test_it_is_one_step_of_plain_sgd() -> None:
    model = plain_net()
    net = form(model)
    loss = update(trainee(net), parts(16), 16, 0).loss
    model.train()
    images = tiny_images()
    expected = nn.functional.cross_entropy(model(images.images[:16]), images.labels[:16])
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    state = net.body.state_dict()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(state[name], parameter.detach() - 0.1 * parameter.grad)
    torch.testing.assert_close(state["bn1.running_mean"], model.bn1.running_mean)
    assert state["bn1.num_batches_tracked"] == model.bn1.num_batches_tracked == 1


def test_parts_are_weighted_by_their_images() -> None:
    """Loss, gradient and statistics of unequal parts: their means over images, each part with a norm of its own."""
    net = form(plain_net())
    before = {name: tensor.clone() for name, tensor in net.body.state_dict().items()}
    loss = update(trainee(net), parts(4, 12), 16, 0).loss
    alone = []
    for number in (0, 1):
        other = form(plain_net())
        part = parts(4, 12)[number]
        found = update(trainee(other), [part], len(part.labels), 0).loss
        alone.append((found, other.body.state_dict()))
    assert loss == pytest.approx(0.25 * alone[0][0] + 0.75 * alone[1][0])
    for name, tensor in net.body.state_dict().items():
        if tensor.is_floating_point():
            moves = [state[name] - before[name] for _, state in alone]
            torch.testing.assert_close(tensor - before[name], 0.25 * moves[0] + 0.75 * moves[1], atol=1e-6, rtol=1e-4)


def test_the_plain_loss_and_the_right_images_are_told() -> None:
    """Without smoothing and penalties, of all parts; of mixed images there is no right class."""
    net = form(plain_net(), pact=True)
    result = update(trainee(net, smoothing=0.3, pact_decay=1.0), parts(8, 8), 16, 0)
    images, other = tiny_images(), form(plain_net(), pact=True).train()
    other.set_fidelity("float")
    scores = torch.cat([other(images.images[start : start + 8]) for start in (0, 8)])
    expected = nn.functional.cross_entropy(scores, images.labels[:16]).item()
    assert result.cross_entropy == pytest.approx(expected, rel=1e-5)
    assert result.right == int((scores.argmax(1) == images.labels[:16]).sum())
    assert result.loss > 2 * result.cross_entropy
    mixed = update(trainee(net, mixup=0.2), parts(8, 8), 16, 0)
    assert (mixed.cross_entropy, mixed.right) == (0.0, 0)


class Detached(nn.Module):
    """Uses a matrix that gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Parameter(torch.eye(16))
        self.fc = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1) @ self.fixed.detach())


def test_weight_decay_leaves_what_gets_no_gradient_alone() -> None:
    net = trainable_form(Detached(), spec(), (torch.randn(2, 1, 4, 4),))
    weight = net.body.state_dict()["fc.weight"].clone()
    update(trainee(net, weight_decay=0.5), parts(8, 8), 16, 0)
    assert torch.equal(net.body.state_dict()["fixed"], torch.eye(16))
    assert not torch.equal(net.body.state_dict()["fc.weight"], weight)


def test_bounds_stay_positive() -> None:
    net = form(pact=True)
    update(trainee(net, mode="qat", lr=1e3, pact_decay=1.0), parts(16), 16, 0)
    assert [bound.item() for bound in bounds_of(net)] == pytest.approx([LEAST_ALPHA] * 2)


def test_the_gradient_is_clipped() -> None:
    net = form(plain_net())
    before = [parameter.detach().clone() for parameter in net.parameters()]
    update(trainee(net, clip_grad=0.01), parts(16), 16, 0)
    moved = torch.cat([(p.detach() - q).flatten() for p, q in zip(net.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_a_loss_that_is_no_number_moves_nothing() -> None:
    net = form()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    images = parts(16)
    images[0].images[3] = float("nan")
    with pytest.raises(NumericsError, match="the loss is nan") as caught:
        update(trainee(net), images, 16, 0)
    assert "update" not in str(caught.value)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_statistics_are_those_of_norms_that_move() -> None:
    assert len(running_statistics(form())) == 4
    assert not running_statistics(form(freeze_bn=True))


def test_scores_are_checked() -> None:
    with pytest.raises(InputError, match="one row of class scores"):
        checked_scores(torch.zeros(2, 3, 4))
    with pytest.raises(DataError, match="the data has the label 3; the model tells 3 classes apart"):
        checked_scores(torch.zeros(2, 3), torch.tensor([0, 3]))
