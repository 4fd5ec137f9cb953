"""What every module is called with and multiplies."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture.recording import Call, record_calls


class Shared(nn.Module):
    """Calls one layer twice, one never, and multiplies once by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never = nn.Linear(4, 4), nn.Linear(4, 4)
        self.deep = nn.Sequential(nn.Linear(4, 2), nn.Dropout())

    def forward(self, x: Tensor, index: Tensor, scale: float = 1.0) -> Tensor:
        x = self.twice(x)
        x = self.twice(x * scale)
        x = x @ x.mT
        return self.deep(x[:, :4].repeat(3, 1)[index])


def test_calls_and_macs_by_qualified_name() -> None:
    model = Shared().eval()
    calls = record_calls(model, (torch.randn(4, 4), torch.tensor([0, 5])), {"scale": 2.0})
    macs = {name: (call.times, call.macs) for name, call in calls.items()}
    assert macs == {
        "": (1, 2 * 64 + 64 + 2 * 8),
        "twice": (2, 2 * 64),
        "deep": (1, 2 * 8),
        "deep.0": (1, 2 * 8),
        "deep.1": (1, 0),
    }


def test_floats_keep_their_shape_alone_and_integers_their_values() -> None:
    index = torch.tensor([0, 5])
    calls = record_calls(Shared().eval(), (torch.randn(4, 4), index), {"scale": 2.0})
    x, kept = calls[""].args
    assert x.is_meta
    assert x.shape == (4, 4)
    assert torch.equal(kept, index)
    assert kept is not index
    assert calls[""].kwargs == {"scale": 2.0}
    assert [one.shape for one in calls["deep.0"].args] == [(2, 4)]


def test_neither_hooks_nor_random_numbers_are_left_behind() -> None:
    model = Shared()
    state = torch.get_rng_state()
    record_calls(model, (torch.randn(4, 4), torch.tensor([0])), {})
    torch.set_rng_state(state)
    with pytest.raises(RuntimeError):
        record_calls(model, (torch.zeros(4, 5), torch.tensor([0])), {})
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("argument", "plain"),
    [
        (torch.zeros(1), True),
        ([torch.zeros(1), {"a": (1, 2.5, None, "b", True)}], True),
        (object(), False),
        ([torch.zeros(1), {1, 2}], False),
    ],
)
def test_what_is_plain(argument: object, plain: bool) -> None:
    assert Call((argument,), {}).is_plain is plain
    assert Call((), {"x": argument}).is_plain is plain
