"""The whole way: a configuration and weights that were imported compute what the network that they came from does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.compat import PACT, ASiMConv2d, ASiMLinear, QuantConv2d
from asim_fx.importing.config import import_config
from asim_fx.importing.config_file import parse_config
from asim_fx.models import build_model
from asim_fx.models.pact import Pact
from asim_fx.spec import parse_spec
from tests.cli.command import run
from tests.importing.configs import CNN, HEAD, config_text
from tests.published import published


class Net(nn.Module):
    """A stem, a convolution and a classifier with batch norms and bounds, of these modules."""

    def __init__(self, stem: nn.Module, conv: nn.Module, fc: nn.Module, bounds: list[nn.Module]) -> None:
        super().__init__()
        self.stem, self.bn1, self.conv, self.bn2, self.fc = stem, nn.BatchNorm2d(12), conv, nn.BatchNorm2d(10), fc
        self.relu1, self.relu2 = bounds

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.stem(x)))
        x = self.relu2(self.bn2(self.conv(x)))
        return self.fc(x.flatten(1))


def test_a_converted_network_computes_what_asims_modules_do() -> None:
    torch.manual_seed(0)
    theirs = Net(
        QuantConv2d(3, 12, 3, padding=1, bias=False, wbit=8, xbit=8, signed_act=True, mode="Inference"),
        ASiMConv2d(12, 10, 3, 2, 1, bias=False, wbit=7, xbit=6, adc_prec=6, nrow=90, act_enc=2, mode="Simulation"),
        ASiMLinear(160, 5, wbit=5, xbit=4, adc_prec=5, nrow=20, signed_act=False, mode="Simulation"),
        [PACT(2.0), PACT(1.0)],
    ).eval()
    for norm in (theirs.bn1, theirs.bn2):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        nn.init.normal_(norm.running_mean, std=0.3)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
    plain = Net(
        nn.Conv2d(3, 12, 3, padding=1, bias=False),
        nn.Conv2d(12, 10, 3, 2, 1, bias=False),
        nn.Linear(160, 5),
        [Pact(), Pact()],
    ).eval()
    plain.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 3, 8, 8)
    spec = parse_spec(import_config(parse_config(config_text(CNN), "config.py")).text, "imported")
    with torch.no_grad():
        expected = theirs(x)
        unfolded = asim_fx.convert(plain, spec, x, fold_batch_norm=False)(x)
        folded = asim_fx.convert(plain, spec, x)(x)
    assert (unfolded - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (folded - expected).abs().max() > 1e-3 * expected.abs().max()


def test_an_imported_checkpoint_computes_what_the_published_simulator_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResNet-18 with random weights, 4 bits, 255 rows: the same logits from the files that its training leaves."""
    cfg = published("main.config").cfg
    settings = {
        **{name: value for name, value in CNN.items() if not name.endswith("_trim_noise")},
        **dict.fromkeys(("asim_conv_wbit", "asim_conv_xbit", "asim_linear_wbit", "asim_linear_xbit"), 4),
        **dict.fromkeys(("asim_conv_nrow", "asim_linear_nrow"), 255),
        **dict.fromkeys(("asim_conv_adc_prec", "asim_linear_adc_prec"), 8),
        "asim_act_enc": None,
        "cls_num": 10,
        "large_model": False,
        "device": "cpu",
    }
    for name, value in settings.items():
        monkeypatch.setattr(cfg, name, value)
    torch.manual_seed(0)
    theirs = published("model.resnet_asim").resnet18_asim().eval()
    for name, value in theirs.state_dict().items():
        if name.endswith("alpha"):
            value.uniform_(1, 4)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
        elif name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
            value.uniform_(0.5, 1.5)
    weights, config = tmp_path / "theirs.pkl", tmp_path / "config.py"
    torch.save({"model_state_dict": theirs.state_dict(), "best_acc": np.float64(0.9)}, weights)
    config.write_text(HEAD + "".join(f"cfg.{name} = {value!r}\n" for name, value in settings.items()))
    spec, file = tmp_path / "chip.yaml", tmp_path / "ours.safetensors"
    model = ("--model", "asim:resnet18_cifar", "--model-kwargs", "pact=True")
    assert run(capsys, "asim-import", "config", config, "-o", spec).code == 0
    assert run(capsys, "asim-import", "checkpoint", weights, *model, "-o", file).code == 0
    ours = build_model("asim:resnet18_cifar", checkpoint=file, num_classes=10, model_kwargs=["pact=True"]).model
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs(x)
        result = asim_fx.convert(ours.eval(), str(spec), x, fold_batch_norm=False)(x)
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()
