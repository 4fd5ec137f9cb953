"""The caller's generators."""

from __future__ import annotations

import random

import numpy as np
import torch

from asim_fx.training.generators import restored_generators


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_they_go_on_where_they_were() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = (draws(), draws())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    first = draws()
    with restored_generators(torch.device("cpu")):
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        draws()
    assert (first, draws()) == expected
