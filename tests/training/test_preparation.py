"""What happens before the first update."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asim_fx.errors import DataError, InputError, UsageError
from asim_fx.training.form import trainable_form
from asim_fx.training.preparation import create_trainee, measure_noise, with_parts

from .helper import cpu, form, recipe, sites, spec, tiny_images


def test_parts_are_the_processes_unless_given() -> None:
    assert with_parts(recipe(parts=0), 4, 100).parts == 4
    assert with_parts(recipe(parts=8), 4, 100).parts == 8
    with pytest.raises(UsageError, match="2 parts of a batch cannot be shared by 4 processes"):
        with_parts(recipe(parts=2), 4, 100)


@pytest.mark.parametrize(("batch_size", "images"), [(16, 3), (2, 100)])
def test_every_part_needs_an_image(batch_size: int, images: int) -> None:
    with pytest.raises(DataError, match=f"a batch of {min(batch_size, images)} images cannot be cut in 4 parts"):
        with_parts(recipe(batch_size=batch_size, parts=0), 4, images)


def test_trim_noise_is_measured_and_the_net_is_ready_to_train() -> None:
    net = form()
    measure_noise(net.eval(), tiny_images().images[:16], recipe(mode="nat"))
    assert net.training
    noise = {name: site.trim_noise for name, site in sites(net).items()}
    assert noise["conv"] > 0
    assert noise["stem"] == 0  # the spec computes it in digital integers
    assert {site.fidelity for site in net.sites().values()} == {"proxy"}


def test_what_is_no_classifier_is_refused() -> None:
    net = trainable_form(nn.Conv2d(1, 2, 3), spec(), (torch.randn(2, 1, 4, 4),))
    with pytest.raises(InputError, match="one row of class scores"):
        create_trainee(net, recipe(), cpu())


def test_the_average_is_a_model_of_its_own() -> None:
    net = form()
    trainee, state = create_trainee(net, recipe(ema=0.9), cpu())
    assert trainee.kept is not net
    assert state.average is trainee.kept.body
    assert trainee.classes == 3
    assert create_trainee(net, recipe(), cpu())[0].kept is net
