"""Two small networks for the digits, made of timm's own blocks so that they stand for the big ones."""

from __future__ import annotations

from itertools import pairwise

from timm.models.resnet import BasicBlock, downsample_conv
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from asim_fx.digits import CLASSES


class DigitsResNet(nn.Module):
    """A ResNet for 8x8 images: a 3x3 stem and three basic blocks of 32, 64 and 128 channels, with batch norm.

    Its 3x3 convolutions have 288 to 1,152 taps, so on 255 rows they take two to five row tiles.
    """

    def __init__(self, num_classes: int = CLASSES, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = nn.ReLU()
        self.layers = nn.Sequential(*(_block(*ends) for ends in pairwise((widths[0], *widths))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, classes) of images (batch, 1, 8, 8)."""
        x = self.act1(self.bn1(self.conv1(x)))
        logits: Tensor = self.fc(self.flatten(self.pool(self.layers(x))))
        return logits


def _block(inputs: int, width: int) -> nn.Module:
    stride = 1 if inputs == width else 2
    shortcut = None if inputs == width else downsample_conv(inputs, width, kernel_size=1, stride=stride)
    block: nn.Module = BasicBlock(inputs, width, stride=stride, downsample=shortcut)
    return block


def digits_resnet(num_classes: int = CLASSES) -> nn.Module:
    """Return an untrained DigitsResNet."""
    return DigitsResNet(num_classes)


def digits_vit(num_classes: int = CLASSES) -> nn.Module:
    """Return an untrained ViT for 8x8 images: patches of 2x2, four blocks of dimension 64 with four heads."""
    model: nn.Module = VisionTransformer(
        img_size=8,
        patch_size=2,
        in_chans=1,
        num_classes=num_classes,
        embed_dim=64,
        depth=4,
        num_heads=4,
        mlp_ratio=2.0,
    )
    return model
