"""The bounded rectifier: values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asim_fx.compat import PACT
from asim_fx.errors import UsageError


def test_it_clips_and_learns_its_bound() -> None:
    unit, x = PACT(alpha=2.0), torch.tensor([-1.0, 0.5, 1.5, 3.0, 5.0], requires_grad=True)
    y = unit(x)
    assert torch.equal(y, torch.tensor([0.0, 0.5, 1.5, 2.0, 2.0]))
    y.sum().backward()
    assert torch.equal(x.grad, torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0]))
    assert unit.alpha.grad == 2
    assert list(unit.state_dict()) == ["alpha"]
    assert PACT().alpha == 6


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), float("inf"), "6", True])
def test_a_bound_is_a_positive_number(alpha: Any) -> None:
    with pytest.raises(UsageError, match="positive number"):
        PACT(alpha)
