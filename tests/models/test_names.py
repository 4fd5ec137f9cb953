from __future__ import annotations

import pytest

from asim_fx.errors import ModelError, UsageError
from asim_fx.models import matching_models


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("test_vit[23]", ["test_vit2", "test_vit3"]),
        ("timm:test_vit?", ["test_vit2", "test_vit3", "test_vit4"]),
        ("torchvision:raft_*", ["torchvision:raft_large", "torchvision:raft_small"]),
        ("asim:digits_*", ["asim:digits_resnet", "asim:digits_vit"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, names: list[str]) -> None:
    assert matching_models(pattern) == names


def test_all_of_both_libraries() -> None:
    assert len(matching_models("*")) > 1000
    assert len(matching_models("torchvision:*")) > 100


def test_patterns_that_match_nothing() -> None:
    with pytest.raises(ModelError, match="no_such"):
        matching_models("no_such_*")
    with pytest.raises(UsageError, match="your own code"):
        matching_models("package.module:build_*")
