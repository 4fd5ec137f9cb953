"""A dry run: what is planned with values and what without."""

from __future__ import annotations

import pytest

from asim_fx.cli.work import planning
from asim_fx.cli.work.planning import ConversionOptions, ModelOptions, build_to_plan, plan_model
from tests.cli.command import run


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count test_resnet (0.47 M parameters) as large, and test_byobnet (0.46 M) as not."""
    monkeypatch.setattr(planning, "_LARGE_PARAMETERS", 465_000)


def is_meta(name: str, **options: object) -> bool:
    built = build_to_plan(name, ModelOptions(**options))
    return all(parameter.is_meta for parameter in built.model.parameters())


@pytest.mark.usefixtures("low_limit")
def test_only_what_is_large_and_not_asked_for_has_no_values() -> None:
    assert is_meta("test_resnet")
    assert not is_meta("test_byobnet")
    assert not is_meta("test_resnet", device="cpu")
    assert is_meta("test_byobnet", device="meta")


def test_many_macs_count_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_LARGE_MACS", 1000)
    assert is_meta("test_byobnet")


def test_the_plan_is_the_same_but_says_that_values_are_unverified() -> None:
    with_values, without = (
        plan_model(
            "test_vit", "generic-255x8b", ModelOptions(device=device), ConversionOptions(), lambda _: None
        ).report
        for device in ("cpu", "meta")
    )
    assert with_values.rows == without.rows
    assert with_values.totals == without.totals
    assert "outputs equal" in with_values.verification
    assert "values unverified (meta device)" in without.verification


def test_the_command_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "asim-convert", "test_resnet", "ideal", "--dry-run", "--device", "meta")
    assert result.code == 0, result.err
    assert "values unverified (meta device)" in " ".join(result.out.split())


@pytest.mark.parametrize("options", [("--device", "meta"), ("--dry-run", "--device", "meta", "--pretrained")])
def test_a_model_without_values_is_neither_converted_nor_given_weights(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    result = run(capsys, "asim-convert", "test_resnet", "ideal", *options)
    assert result.code == 2
    assert "no values" in result.err
    assert result.out == ""
