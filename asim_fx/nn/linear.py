"""A linear layer on compute-in-memory arrays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.nn.module import CimModule
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)


class CimLinear(CimModule):
    """Simulated linear layer, called as ``module(x, weight, bias, rng)``."""

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, rng: Tensor, clip: Tensor | None = None
    ) -> Tensor:
        """Return ``x @ weight.T + bias`` for ``x`` (..., K); ``rng`` is int64 [seed, first sample].

        ``clip`` is the learned bound of ``x``, 0-d, where it has one: its scale.
        """
        self._observe(x, weight, clip)
        if self.in_float:
            return F.linear(x, weight, bias)
        if self.as_proxy:
            streamed, stored = self._rounded(x, "input", self._scale(clip)), self._rounded(weight, "weight")
            y = self._trimmed(F.linear(streamed, stored), rng)
            return y if bias is None else y + bias
        result: Tensor = torch.ops.asim.linear(x, weight, rng, self._scale(clip), self.config_text)
        return result if bias is None else result + bias
