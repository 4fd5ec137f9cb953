from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import zoo
from benchmarks.zoo_row import ZooRow, failed, measure
from benchmarks.zoo_summary import TITLES, families, families_markdown, unmapped_markdown

PLANNED = ZooRow("resnet18", "whole", "cpu", macs=10, macs_dispatched=10, analog_share=1.0, seconds=2.0, peak_mb=600)


def test_every_model_is_asked_for_once() -> None:
    names = zoo.all_models()
    assert len(set(names)) == len(names) > 1400
    assert {"resnet50", "torchvision:fasterrcnn_resnet50_fpn", "torchvision:raft_small"} <= set(names)


def test_a_missing_product_makes_a_row_unequal() -> None:
    assert PLANNED.equal
    assert not replace(PLANNED, macs=9).equal
    assert not failed("resnet18", 1.0, "CaptureError: no").equal


def test_rows_outlive_an_interruption(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    zoo.append(file, failed("resnet18", 1.0, "not done after 120 s"))
    zoo.append(file, PLANNED)
    with file.open("a") as stream:
        stream.write(json.dumps({**asdict(PLANNED), "name": "a", "of_another_version": 1}) + "\n")
        stream.write(json.dumps(asdict(PLANNED))[:30])
    assert zoo.read_rows(file) == {"resnet18": PLANNED}
    assert zoo.read_rows(tmp_path / "none.jsonl") == {}


def test_no_model_is_begun_too_late() -> None:
    assert list(zoo.until(["a", "b"], float("inf"))) == ["a", "b"]
    assert list(zoo.until(["a", "b"], 0.0)) == []


def test_the_summary_counts() -> None:
    rows = [
        PLANNED,
        replace(PLANNED, name="vit_base_patch16_224", device="meta", macs=9, analog_share=0.9, seconds=4.0),
        failed("resnet50", 120.0, "not done after 120 s"),
        replace(PLANNED, name="torchvision:retinanet_resnet50_fpn", peak_mb=900),
    ]
    timm, torchvision, everything = (dict(zip(TITLES, line, strict=True)) for line in families(rows))
    assert timm == {
        "models from": "timm",
        "models": "3",
        "planned": "2",
        "MACs equal": "1",
        "without values": "1",
        "all analog": "1",
        "median s": "4.0",
        "longest s": "120.0",
        "largest MB": "600",
    }
    assert torchvision["models from"] == "torchvision detection"
    assert everything["models"] == "4"
    assert everything["largest MB"] == "900"
    assert families_markdown(rows).count("\n") == 4


def test_reasons_are_listed_with_their_largest_share() -> None:
    rows = [
        replace(PLANNED, unmapped={"computed once": 1}),
        replace(PLANNED, name="resnet34", unmapped={"computed once": 2, "float: in a branch": 5}),
    ]
    *_, first, second = unmapped_markdown(rows).splitlines()
    assert first == "| computed once | 2 | 20.0% | resnet18, resnet34 |"
    assert second == "| float: in a branch | 1 | 50.0% | resnet34 |"


@pytest.mark.parametrize("name", ["test_byobnet", "torchvision:squeezenet1_1"])
def test_a_row_is_measured(name: str) -> None:
    row = measure(name, "ideal")
    assert row.equal
    assert row.macs > 0
    assert row.captured == "whole"


def test_a_failure_is_a_row_and_the_exit_code_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "zoo.jsonl"
    zoo.append(file, failed("resnet18", 1.0, "CaptureError: control flow"))
    arguments = ["--filter", "resnet18", "--results", str(file), "--summary"]
    assert zoo.main(arguments) == 1
    assert "CaptureError: control flow" in " ".join(capsys.readouterr().out.split())
    zoo.append(file, PLANNED)
    assert zoo.main([*arguments, "--markdown"]) == 0
    assert "| timm | 1 | 1 | 1 |" in capsys.readouterr().out
