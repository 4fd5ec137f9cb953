"""A tiny model, tiny data and short runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.source import DigitImages
from asim_fx.nn import CimModule
from asim_fx.sharding import Shard
from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import Answers
from asim_fx.training.form import trainable_form
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run import train
from asim_fx.training.run_context import Run

RECIPE = TrainingRecipe(epochs=2, batch_size=16, lr=5e-3, parts=1, weight_decay=0.0, smoothing=0.0)


class TinyNet(nn.Module):
    """A stem, a block with a shortcut, dropout and a classifier; batch norm and ReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act1 = nn.ReLU()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4)
        self.act2 = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.stem(x)))
        x = self.act2(x + self.bn2(self.conv(x)))
        return self.fc(self.drop(self.pool(x).flatten(1)))


def tiny_net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyNet().eval()


def spec(**noise: float) -> HardwareSpec:
    percent = noise.get("noise", 0.1)
    return load_spec("generic-255x8b", (f"macros.m.noise.random_percent_fs={percent}", "defaults.weight_bits=6"))


def form(model: nn.Module | None = None, **options: Any) -> ConvertedModel:
    return trainable_form(
        model or tiny_net(), options.pop("spec", None) or spec(), (torch.randn(2, 1, 4, 4),), **options
    )


def tiny_images(count: int = 48) -> DigitImages:
    """Three classes that differ in where they are bright."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % 3
    images = torch.randn(count, 1, 4, 4, generator=generator) * 0.3
    for number, label in enumerate(labels.tolist()):
        images[number, 0, label] += 1.5
    return DigitImages(images, labels, "tiny", 3)


def source(images: DigitImages) -> DataSource:
    return DataSource("tiny", "tiny", len(images), images.classes, 16, images, 0)


def cpu() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def run(folder: Path, **options: Any) -> Run:
    """Return a run that begins with the first update, unless it is told to evaluate before."""
    return Run(folder, cpu(), **{"eval_start": False, **options})


def sites(net: ConvertedModel) -> dict[str, CimModule]:
    """Return the sites of a net by their labels."""
    return {site.config.site: site for site in net.sites().values()}


def record(**changes: Any) -> EpochRecord:
    """Return the record of an epoch that was not evaluated."""
    plain: dict[str, Any] = {"epoch": 1, "step": 3, "lr": 0.1, "train_loss": 2.0, "train_cross_entropy": None}
    rest: dict[str, Any] = {"train_top1": None, "loss": None, "top1": None, "fidelity": "integer", "seconds": 1.5}
    return EpochRecord(**{**plain, **rest, **changes})


def static_spec() -> HardwareSpec:
    """Return a chip with static scales."""
    return load_spec("generic-255x8b", ("defaults.scale=static", "macros.m.noise.random_percent_fs=0.1"))


@dataclass
class StopAfter:
    """Asks to stop after so many updates."""

    updates: int

    def __call__(self) -> bool:
        self.updates -= 1
        return self.updates < 0


class Differing(Shard):
    """Stands for two processes, of which the other one has another value under a name."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(0, 1)
        object.__setattr__(self, "change", {name: value})

    def gather(self, value: Any) -> list[Any]:
        return [value, {**value, **self.change}] if isinstance(value, dict) else [value]


def recipe(**changes: Any) -> TrainingRecipe:
    return replace(RECIPE, **changes)


def scalars(folder: Path) -> dict[str, list[int]]:
    """Return the steps at which TensorBoard shows each number."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def trained(folder: Path, *, net: Any = None, options: Any = None, **changes: Any) -> Any:
    settings = recipe(**changes)
    net = net or form(pact=settings.pact, freeze_bn=settings.freeze_bn)
    images = tiny_images()
    return train(net, tiny_net(), images, source(images), settings, options or run(folder))


def untimed(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    """Return what two equal runs have in common."""
    return [replace(record, seconds=0.0) for record in history]


def scripted(monkeypatch: pytest.MonkeyPatch, *top1: float) -> list[int]:
    """Make evaluations give these accuracies, one after the other; return where they are counted."""
    count = [0]

    def evaluated(*args: Any, **kwargs: Any) -> Answers:
        count[0] += 1
        right = round(top1[(count[0] - 1) % len(top1)])
        return Answers((0,) * 100, (0,) * right + (1,) * (100 - right), (1.0,) * 100, 1.0, 3)

    monkeypatch.setattr("asim_fx.training.run_context.evaluate", evaluated)
    return count
