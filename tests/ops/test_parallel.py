"""Blocks shared among threads: the same bits, the first error, and torch's own setting as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from asim_fx.ir import BatchLayout, BitPlan, input_plane_widths
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.draws import Seed
from asim_fx.ops.operation import simulate_linear
from asim_fx.ops.parallel import for_each

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_item_once_and_the_setting_stays(threads: int) -> None:
    lock, seen = threading.Lock(), []

    def work(item: int) -> None:
        with lock:
            seen.append((item, torch.get_num_threads()))

    for_each(work, range(20), CPU)
    assert sorted(item for item, _ in seen) == list(range(20))
    assert {inside for _, inside in seen} == {1}
    assert torch.get_num_threads() == threads


def test_an_error_arrives(threads: int) -> None:
    def work(item: int) -> None:
        if item == 3:
            raise KeyError(item)

    with pytest.raises(KeyError):
        for_each(work, range(8), CPU)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_threads_write_into_a_result_in_any_grad_mode(threads: int, mode) -> None:
    with mode():
        result = torch.zeros(6)
        for_each(lambda item: result[item].fill_(item), range(6), CPU)
        assert result.tolist() == [0, 1, 2, 3, 4, 5]


def noisy_linear() -> torch.Tensor:
    widths = input_plane_widths(4, signed=True, encoding=2)
    plan = BitPlan.analog(4, widths).with_digital(1).with_votes(3, 3, "median")
    config = OpConfig(
        "fc", Operand(4, True), Operand(4, True), plan, 31, ReadEffects(31, 5, 0.9, 0.9), BatchLayout(40, 40)
    )
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(50, 70, generator=generator), torch.randn(40, 70, generator=generator)
    return simulate_linear(x, weight, config, Seed(1))


def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    many = noisy_linear()
    torch.set_num_threads(1)
    assert torch.equal(many, noisy_linear())
