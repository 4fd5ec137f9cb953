"""What a training graph calls in the place of operations that behave differently in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TrainableNorm(nn.Module):
    """A batch norm, called as ``module(x, weight, bias, running_mean, running_var)``: its tensors stay where they are.

    In training it uses the statistics of the batch and moves the running ones, unless it is frozen.

    Args:
        momentum: share of the batch in the running statistics.
        eps: added to the variance.

    Attributes:
        frozen: whether it uses the running statistics in training too.
    """

    def __init__(self, momentum: float, eps: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.frozen = False

    def forward(
        self, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """Return ``x`` (batch, channels, ...) normalised."""
        of_batch = self.training and not self.frozen
        return F.batch_norm(x, mean, variance, weight, bias, of_batch, self.momentum, self.eps)


class Drop(nn.Module):
    """Dropout, in training alone.

    Args:
        name: of torch's function: ``dropout``, ``feature_dropout``, ``alpha_dropout``.
        share: of what is dropped.
    """

    def __init__(self, name: str, share: float) -> None:
        super().__init__()
        self.name = name
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with a share of it dropped."""
        dropped: Tensor = getattr(torch, self.name)(x, self.share, self.training)
        return dropped


class DropPath(nn.Module):
    """Stochastic depth: whole samples of a residual branch are dropped, in training alone.

    Args:
        share: of the samples that is dropped; the others are scaled up for it.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (batch, ...) with some samples set to zero."""
        if not self.training:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.share
        return x * kept.to(x.dtype) / (1 - self.share)
