"""Small models and specs that many tests use."""

from __future__ import annotations

import os
import signal

# Torch's threads spin while they wait, unless told before it is imported: slow where the machine has other work.
os.environ["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn
from torch.nn import functional as F

# A shell that starts the tests in the background has them, and the commands that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first call of a torch operation may take half a second, and a failure must be the same on every machine.
settings.register_profile("asim", deadline=None, derandomize=True)
settings.load_profile("asim")


class SmallNet(nn.Module):
    """A convolution with batch norm, a depthwise one, attention by SDPA, and a classifier: 8x8 images, 2 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, stride=2)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.depthwise(x))
        x = x.flatten(2).transpose(1, 2)
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, 8)
        return self.head(x.mean(1))


@pytest.fixture(scope="session")
def small_net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SmallNet()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        nn.init.uniform_(model.norm.running_mean, -0.2, 0.2)
        nn.init.uniform_(model.norm.running_var, 0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="session")
def images() -> Tensor:
    return torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(1))
