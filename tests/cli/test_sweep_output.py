from __future__ import annotations

import pytest

from asim_fx.cli.sweep_output import Outcome, show
from asim_fx.exploration.cells import OBJECTIVES, CellResult

ENERGY = (OBJECTIVES["accuracy"], OBJECTIVES["energy"])


def cell(bits: int, integer: float) -> CellResult:
    return CellResult((("bits", str(bits)),), 90.0, 89.0, 91.0, "stand-in", None, integer, 10, 1000)


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [((97.5, 98.0, 100.0), "97.50 to 100.00 %"), ((9.5, 9.501), "model: 9.50 %"), ((98.0,), "model: 98.00 %")],
)
def test_accuracies_are_compared_as_numbers(
    capsys: pytest.CaptureFixture[str], accuracies: tuple[float, ...], words: str
) -> None:
    results = [cell(bits, accuracy) for bits, accuracy in enumerate(accuracies)]
    show(Outcome("net", "chip", "images", results, ENERGY), [], as_json=False)
    out = capsys.readouterr().out
    assert words in out
    assert "*: Pareto front of accuracy and energy" in out
