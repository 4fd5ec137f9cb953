"""Settings of a file and of the command line are one recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.errors import UsageError
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.recipe_file import read_recipe


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_without_anything_it_is_the_default() -> None:
    assert read_recipe(None, {}) == TrainingRecipe()


def test_options_win_over_the_file(tmp_path: Path) -> None:
    recipe = read_recipe(file(tmp_path, "{epochs: 7, lr: 1, pact: true}"), {"epochs": 3})
    assert recipe == TrainingRecipe(epochs=3, lr=1, pact=True)


def test_a_setting_of_the_file_may_need_one_of_the_command_line(tmp_path: Path) -> None:
    path = file(tmp_path, "trim_factor: 2")
    assert read_recipe(path, {"mode": "nat"}) == TrainingRecipe(mode="nat", trim_factor=2)
    with pytest.raises(UsageError, match="trim noise is for mode nat") as caught:
        read_recipe(path, {"mode": "qat"})
    assert f"(mode is from the command line, trim_factor is from {path})" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch: 3", "there is no setting 'epoch'"),
        ("epochs: three", "epochs must be int, not 'three'"),
        ("pact: 1", "pact must be bool, not 1"),
        ("lr: true", "lr must be float, not True"),
        ("trim_noise: much", "trim_noise must be float"),
        ("- epochs", "not a mapping of settings"),
        ("epochs: [", "cannot read"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_recipe(path, {})
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_recipe(tmp_path / "none.yaml", {})


@pytest.mark.parametrize(("text", "expected"), [("30", (30,)), ("[30, 60]", (30, 60)), ("'30,60'", (30, 60))])
def test_decays_are_one_number_or_several(tmp_path: Path, text: str, expected: tuple[int, ...]) -> None:
    path = file(tmp_path, f"sched: multistep\ndecay_epochs: {text}")
    assert read_recipe(path, {}).decay_epochs == expected


@pytest.mark.parametrize("text", ["1.5", "[a]", "true", "{}"])
def test_decays_that_are_no_numbers(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="decay_epochs must be a number of epochs"):
        read_recipe(file(tmp_path, f"sched: multistep\ndecay_epochs: {text}"), {})


def test_a_setting_may_have_the_name_of_its_option(tmp_path: Path) -> None:
    assert read_recipe(file(tmp_path, "amp: bf16-mixed"), {}).precision == "bf16-mixed"
    with pytest.raises(UsageError, match="gives precision twice"):
        read_recipe(file(tmp_path, "{amp: bf16-mixed, precision: 32-true}"), {})
