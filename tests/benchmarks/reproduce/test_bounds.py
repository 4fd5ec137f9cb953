"""Bounds of activations: so many times the root mean square of what they bound, and the weights as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from asim_fx.models import build_model
from asim_fx.models.pact import Pact
from benchmarks.reproduce.bounds import bound, main


def test_a_bound_is_so_many_root_mean_squares() -> None:
    model = build_model("asim:resnet20_cifar", model_kwargs={"pact": True}).model
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    bound(model, images, 3.0)
    with torch.no_grad():
        first = model.bn1(model.conv1(images)).relu()
    assert float(model.relu.alpha.detach()) == pytest.approx(3 * float(first.square().mean().sqrt()), rel=1e-5)
    assert all(0 < module.alpha.item() < torch.inf for module in model.modules() if isinstance(module, Pact))


def test_the_command_keeps_the_weights(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (90, 60, len(name))).save(tmp_path / "train" / name / "1.png")
    weights = build_model("asim:resnet20_cifar", seed=3).model.state_dict()
    save_file(weights, tmp_path / "weights.safetensors")
    out = tmp_path / "bounded.safetensors"
    main([str(tmp_path / "weights.safetensors"), "--data", str(tmp_path), "-o", str(out)])
    bounded = load_file(out)
    assert sum(name.endswith(".alpha") for name in bounded) == 19
    assert all(torch.equal(bounded[name], value) for name, value in weights.items())
