"""Device and precision of a process."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from asim_fx.sharding import ALONE, Shard
from asim_fx.training.fabric import connect, disconnect


def test_half_precision_is_what_was_asked_for() -> None:
    fabric = connect(torch.device("cpu"), "bf16-mixed", ALONE)
    with fabric.autocast():
        assert torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_cpu_has_no_float16() -> None:
    with pytest.raises(ValueError, match="float16"):
        connect(torch.device("cpu"), "16-mixed", ALONE)


def test_the_programs_own_warnings_and_logs_stay_as_they_are() -> None:
    before, level = list(warnings.filters), logging.getLogger("lightning_fabric").level
    connect(torch.device("cpu"), "32-true", ALONE)
    assert warnings.filters == before
    assert logging.getLogger("lightning_fabric").level == level


def test_no_connection_outlives_a_run(tmp_path: Path) -> None:
    disconnect(Shard(0, 2))  # there is none
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    disconnect(ALONE)  # not this run's
    assert dist.is_initialized()
    disconnect(Shard(0, 2))
    assert not dist.is_initialized()
