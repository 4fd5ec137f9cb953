"""The residual networks of He et al. for CIFAR (arXiv:1512.03385, section 4.2), without convolutions in shortcuts.

Their weights have the names that public training scripts for them give: `conv1`, `layer1.0.conv1`, `linear`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class PaddedShortcut(nn.Module):
    """Every second pixel, with channels of zeros added in front and behind alike (option A of the paper).

    The paper leaves open where the zeros go; trained weights depend on it, and public ones have them on both sides.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.front = (outputs - inputs) // 2
        self.behind = outputs - inputs - self.front

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outputs, ceil(H / 2), ceil(W / 2)) of (batch, inputs, H, W)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.front, self.behind))


class CifarBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut; a wider block has half the height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widens = inputs != outputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2 if widens else 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()  # two, since their bounds differ where they have one
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.shortcut = PaddedShortcut(inputs, outputs) if widens else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the features behind the block."""
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        result: Tensor = self.relu2(inner + self.shortcut(x))
        return result


class CifarResNet(nn.Module):
    """A 3x3 stem and three stages of (depth - 2) / 6 blocks each, of 16, 32 and 64 channels.

    Args:
        depth: layers with weights: 20, 32, 44, 56 or 110 in the paper.
        num_classes: outputs.
    """

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], blocks)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], blocks)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, classes) of images (batch, 3, 32, 32)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.flatten(self.pool(x)))
        return logits


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(CifarBlock(inputs, outputs), *(CifarBlock(outputs, outputs) for _ in range(blocks - 1)))
