from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks.zoo_cases import CASES, build_case, random_images
from benchmarks.zoo_numerics import main, read_rows, summary
from benchmarks.zoo_numerics_row import NumericsRow

GOOD = NumericsRow(
    "test_resnet",
    sites=16,
    sites_analog=16,
    site_difference={"1": 1e-7},
    graph_difference={"1": 1e-6},
    output_difference={"1": 1e-3},
)


def test_one_model_and_then_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r.jsonl"
    arguments = ["--filter", "test_resnet", "--results", str(results), "--jobs", "1"]
    assert main(arguments) == 0
    (line,) = results.read_text().splitlines()
    row = NumericsRow(**json.loads(line))
    assert row.agrees
    assert row.name == "test_resnet"
    assert row.site_difference.keys() == {"1", "3"}
    assert main(arguments) == 0
    assert results.read_text().splitlines() == [line]
    assert "1 of 1 agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"site_difference": {"1": 1e-7, "3": 2e-6}},
        {"site_difference": {"1": float("nan")}},
        {"graph_difference": {"1": 0.1}},
        {"output_difference": {"1": 0.5}},
        {"sites_analog": 15},
        {"sites": 0, "sites_analog": 0},
        {"error": "RuntimeError: out of memory"},
    ],
)
def test_what_does_not_agree(changes: dict[str, object]) -> None:
    assert GOOD.agrees
    assert not replace(GOOD, **changes).agrees


def test_the_last_row_of_a_model_counts_and_a_torn_line_does_not(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json.dumps(asdict(replace(GOOD, error="x"))), json.dumps(asdict(GOOD)), '{"name": "te']
    path.write_text("\n".join(lines))
    assert read_rows(path) == {"test_resnet": GOOD}
    assert read_rows(tmp_path / "none") == {}


def test_the_summary_names_what_does_not_agree(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=200).print(summary([GOOD, replace(GOOD, name="test_vit", error="it broke")]))
    shown = capsys.readouterr().out
    assert "1 of 2 agree" in shown
    assert "it broke" in shown
    assert "test_resnet" not in shown


def test_all_values_of_a_case_matter() -> None:
    model = build_case("test_convnext")
    scales = [value.detach() for name, value in model.named_parameters() if name.endswith("gamma")]
    assert scales
    assert all(float(scale.min()) > 0.05 for scale in scales)
    assert not any(
        bool((value == value.flatten()[0]).all()) for value in model.state_dict().values() if value.numel() > 1
    )
    again = build_case("test_convnext")
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_images_of_a_case() -> None:
    (images,) = random_images("test_vit", 3)
    assert images.shape == (3, *CASES["test_vit"].shape)
    assert torch.equal(images, random_images("test_vit", 3)[0])
