"""What a training graph calls instead of operations that behave differently in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TrainableNorm(nn.Module):
    """A batch norm, called as ``module(x, weight, bias, running_mean, running_var)``; its tensors stay the model's.

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
    """Dropout, in training only.

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
    """Stochastic depth: a residual branch is dropped at random, in training only.

    Args:
        share: probability that a sample is dropped, 0..1.
        by_sample: whether each sample is dropped on its own; otherwise one draw decides for the whole batch.
        scaled: whether what is kept is divided by ``1 - share``.
    """

    def __init__(self, share: float, *, by_sample: bool = True, scaled: bool = True) -> None:
        super().__init__()
        self.share = share
        self.by_sample = by_sample
        self.scaled = scaled

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (batch, ...) with the dropped samples set to zero."""
        if not self.training:
            return x
        draws = torch.rand(x.shape[0] if self.by_sample else 1, *[1] * (x.ndim - 1), device=x.device)
        kept = x * (draws >= self.share).to(x.dtype)
        return kept / (1 - self.share) if self.scaled and self.share < 1 else kept


class VisibleDropPath(nn.Module):
    """Stands for stochastic depth while a model is captured: a dropout that does nothing, but appears in the graph.

    Capture sees a model as it is at inference, where stochastic depth leaves no trace. Of a module, the graph keeps
    the class, so each kind has one of its own.

    Args:
        share: probability that a sample is dropped.
    """

    by_sample = True
    scaled = True

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return F.dropout(x, self.share, training=False)


class VisibleBatchDropPath(VisibleDropPath):
    """One draw decides for the whole batch."""

    by_sample = False


class VisibleUnscaledDropPath(VisibleDropPath):
    """What is kept is not scaled up."""

    scaled = False


class ScaledBound(nn.Module):
    """The learned bound of a value behind dropouts: they scale up what they keep, in training only.

    Args:
        kept: product of the shares that the dropouts keep, above 0.
    """

    def __init__(self, kept: float) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, bound: Tensor) -> Tensor:
        """Return the largest value that the dropouts make of one at ``bound``."""
        return bound / self.kept if self.training else bound
