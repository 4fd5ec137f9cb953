from __future__ import annotations

import pytest

from asim_fx.errors import RunInterruptedError
from asim_fx.sharding import ALONE, Shard, joined, losing_peers, shard_of_environment


def test_a_process_that_nothing_launched_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert shard_of_environment() == ALONE
    with joined(ALONE) as shard:
        assert shard.leads
        assert shard.gather("all") == ["all"]


def test_the_share_is_what_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert shard_of_environment() == Shard(rank=5, count=8, local_rank=1)
    assert not shard_of_environment().leads


def test_a_process_that_is_gone_is_no_defect() -> None:
    with pytest.raises(RunInterruptedError, match="another process of this run ended early"), losing_peers():
        raise RuntimeError("Connection closed by peer")
