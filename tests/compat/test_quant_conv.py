"""ASiM's digital convolution: the modes agree, and stay near the float one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asim_fx.compat import QuantConv2d
from asim_fx.errors import InputError, UsageError


@pytest.mark.parametrize("signed", [True, False])
def test_both_modes_compute_the_quantised_convolution(signed: bool) -> None:
    torch.manual_seed(0)
    conv = QuantConv2d(3, 8, 3, stride=2, padding=1, signed_act=signed)
    plain, x = nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.randn(2, 3, 9, 9)
    x = x if signed else x.abs()
    plain.load_state_dict(conv.state_dict())
    train = conv(x)
    conv.mode = "Inference"
    torch.testing.assert_close(conv(x), train, rtol=1e-5, atol=1e-5)
    assert not torch.equal(train, plain(x))
    torch.testing.assert_close(train, plain(x), rtol=0, atol=0.05)
    conv.wbit = 2
    assert not torch.equal(conv(x), train)


def test_what_it_refuses() -> None:
    with pytest.raises(UsageError, match="wbit is 1"):
        QuantConv2d(3, 8, 3, wbit=1)
    with pytest.raises(UsageError, match="signed_act is 1"):
        QuantConv2d(3, 8, 3, signed_act=1)
    conv = QuantConv2d(3, 8, 3)
    with pytest.raises(InputError, match="3 input channels"):
        conv(torch.rand(1, 4, 5, 5))
    conv.xbit = 40
    with pytest.raises(UsageError, match="xbit is 40, and must be from 1 to 16"):
        conv(torch.rand(1, 3, 5, 5))
