"""Importing this makes a process ready to plan models: a fork of it starts without the seconds that torch takes."""

from __future__ import annotations

import timm  # noqa: F401 (models are built by it)
import torch
import torchvision  # noqa: F401 (as above)
from torch import nn

from asim_fx.cli.work import planning  # noqa: F401 (what the forks call)
from asim_fx.conversion import plan

# A process whose threads were started cannot be forked safely; one core a model is also the fastest for many models.
torch.set_num_threads(1)
# Much of torch.export is imported by its first use.
plan(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 1)), "ideal", torch.zeros(2, 1, 2, 2))
