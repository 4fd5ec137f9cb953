"""Stand-ins for the published simulator's networks, in float: its names, small, and none of its code."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bounded(nn.Module):
    """Keeps a bound under the published name; without one it is a plain rectifier."""

    def __init__(self, alpha: float | None) -> None:
        super().__init__()
        self.alpha = None if alpha is None else nn.Parameter(torch.tensor(alpha))

    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if self.alpha is None else x.relu().clamp_max(self.alpha)


class PublishedAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1) * self.width**-0.5).softmax(-1)
        return self.proj((scores @ v).transpose(1, 2).flatten(2))


class PublishedMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.mlp1, self.mlp2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp2(nn.functional.gelu(self.mlp1(x)))


class PublishedBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention, self.mlp = PublishedAttention(width, heads), PublishedMlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attention(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class PublishedVit(nn.Module):
    """Images of 32x32, patches of 16, two blocks of width 48 with three heads."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 48))
        self.patch_embedding = nn.ModuleDict({"conv_proj": nn.Conv2d(3, 48, 16, 16)})
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.randn(1, 5, 48))
        self.encoder.layers = nn.Sequential(*(PublishedBlock(48, 3, 80) for _ in range(2)))
        self.encoder.ln = nn.LayerNorm(48)
        self.heads = nn.Linear(48, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embedding["conv_proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.encoder.pos_embedding
        return self.heads(self.encoder.ln(self.encoder.layers(x))[:, 0])


class PublishedVgg(nn.Module):
    """A VGG11 of torchvision's layers. All its rectifiers but the first are one module, and so have one bound."""

    def __init__(self, alpha: float, classes: int) -> None:
        super().__init__()
        from torchvision.models import vgg11_bn

        body, shared = vgg11_bn(num_classes=classes), Bounded(alpha)
        self.features, self.avgpool, self.classifier = body.features, body.avgpool, body.classifier
        for part in (self.features, self.classifier):
            for number, layer in enumerate(part):
                if isinstance(layer, nn.ReLU) and not (part is self.features and number == 2):
                    part[number] = shared

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class PublishedResNet(nn.Module):
    """A ResNet-18 of torchvision's blocks with both first convolutions and bounds, under the published names."""

    def __init__(self, alpha: float | None, *, large: bool, classes: int = 10) -> None:
        super().__init__()
        from torchvision.models import resnet18

        body = resnet18(num_classes=classes)
        self.conv1, self.conv2 = nn.Conv2d(3, 64, 3, padding=1, bias=False), body.conv1
        self.bn1, self.maxpool, self.fc, self.large = body.bn1, body.maxpool, body.fc, large
        for number in range(1, 5):
            layer = getattr(body, f"layer{number}")
            for block in layer:
                block.relu = Bounded(alpha)
            setattr(self, f"layer{number}", layer)
        self.relu = Bounded(alpha)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv2(x) if self.large else self.conv1(x)))
        x = self.maxpool(x) if self.large else x
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))
