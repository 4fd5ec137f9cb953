"""ASiM's rectifier with a learned upper bound."""

from __future__ import annotations

from numbers import Real

from asim_fx.errors import UsageError
from asim_fx.models.pact import ALPHA_START, Pact


class PACT(Pact):
    """``clamp(x, 0, alpha)`` with a learned ``alpha``.

    Args:
        alpha: the bound at the start of training.

    Raises:
        UsageError: ``alpha`` is no positive number.
    """

    def __init__(self, alpha: float = ALPHA_START) -> None:
        if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 < alpha < float("inf"):
            message = f"PACT: alpha is {alpha!r}, and must be a positive number"
            raise UsageError(message)
        super().__init__()
        self.alpha.data.fill_(float(alpha))
