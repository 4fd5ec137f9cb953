"""Detection models: converted by parts, called with lists of images of any size, results in their own form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.conversion import plan
from asim_fx.errors import ArtifactError, InputError, PlanError, UsageError
from asim_fx.models import BuiltModel, build_model
from benchmarks.fake_quantised import agreement

from .detector import SIZE, detector, images

NOISY = "generic-255x8b"


def equal(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    return [list(found) for found in one] == [list(found) for found in other] and all(
        torch.equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_lists_of_any_length_and_sizes(count: int) -> None:
    model = detector(threshold=-1e9)
    converted = asim_fx.convert(model, "ideal", (images(1),))
    found = agreement(model, converted, (images(count),))
    assert found.calls == 6  # the head's convolution has two
    assert found.sites < 1e-6, found.worst_site
    assert found.graphs < 1e-5
    with torch.no_grad():
        expected, actual = model(images(count)), converted(images(count))
    assert [list(one) for one in actual] == [["boxes", "scores", "labels"]] * count
    places = SIZE**2 // 4 + SIZE**2 // 16
    for one, other in zip(actual, expected, strict=True):
        assert one["boxes"].shape == (places, 4)
        assert float((one["boxes"] - other["boxes"]).abs().max()) < 0.05 * float(other["boxes"].abs().max())


def test_float_fidelity_is_the_model() -> None:
    model = detector()
    converted = asim_fx.convert(model, NOISY, (images(1),), verify=True)
    converted.set_fidelity("float")
    for count in (1, 2, 3):
        for one, other in zip(converted(images(count)), model(images(count)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_no_box_found() -> None:
    converted = asim_fx.convert(detector(threshold=1e9), NOISY, (images(1),))
    (found,) = converted([images(3)[2]])
    assert found["boxes"].shape == (0, 4)
    rows = {row.name: row for row in converted.report.rows}
    assert rows["judge"].macs == rows["judge"].reads == 0


def test_the_report_holds_every_multiply() -> None:
    model = detector()
    planned = plan(model, "ideal", (images(1),))
    chosen = len(model(images(1))[0]["boxes"])
    report = planned.report
    rows = {row.name: (row.macs, row.calls) for row in report.rows}
    assert rows == {
        "backbone.stem": (64 * 4 * 27, 1),
        "backbone.deep": (16 * 4 * 36, 1),
        "head.conv": (80 * 5 * 4, 2),
        "judge": (chosen * 12, 1),
        "calibrate": (chosen, 1),
    }
    assert planned.macs == report.totals["macs"] == sum(macs for macs, _ in rows.values()) + chosen * 16
    assert [(row.name, row.macs) for row in report.unmapped] == [("(model)", chosen * 16)]
    assert ("judge", f"counts are those of the {chosen} samples that one of the example sends here") in report.notes
    assert any("captured in 4 parts" in text for name, text in report.notes if not name)


def test_strict_refuses_what_is_in_no_graph() -> None:
    with pytest.raises(PlanError, match=r"in no graph.*: the model itself"):
        asim_fx.convert(detector(), "ideal", (images(1),), strict=True)


def test_names_seed_and_samples() -> None:
    converted = asim_fx.convert(detector(), NOISY, (images(1),), seed=3)
    assert set(converted.graph_modules) == {"backbone", "head", "judge", "calibrate"}
    assert set(converted.sites()) == {
        "backbone.stem.cim",
        "backbone.deep.cim",
        "head.conv.cim",
        "head.conv.cim_1",
        "judge.cim",
        "calibrate.cim",
    }
    with pytest.raises(UsageError, match="captured in 4 parts"):
        _ = converted.graph_module
    first, second = converted(images(2)), converted(images(2))
    assert not equal(first, second)
    converted.reseed(3)
    assert equal(converted(images(2)), first)
    assert equal(converted(images(2)), second)


def test_repeated_conversion_is_the_same() -> None:
    one, other = (asim_fx.convert(detector(), NOISY, (images(1),)) for _ in range(2))
    assert one.report == other.report
    assert equal(one(images(3)), other(images(3)))


def test_saved_and_loaded(tmp_path: Path) -> None:
    converted = asim_fx.convert(detector(), NOISY, (images(1),), seed=5)
    converted.save(tmp_path / "artifact")
    with pytest.raises(ArtifactError, match="must be given again"):
        asim_fx.load(tmp_path / "artifact")
    fresh = detector()
    nn.init.zeros_(fresh.head.conv.weight)  # weights come from the artifact
    loaded = asim_fx.load(tmp_path / "artifact", model=fresh)
    converted.reseed(5)
    assert equal(loaded(images(2)), converted(images(2)))
    other = detector()
    other.judge = nn.Linear(4, 7)
    with pytest.raises(ArtifactError, match="another model"):
        asim_fx.load(tmp_path / "artifact", model=other)


def test_a_part_refuses_what_it_was_not_captured_for() -> None:
    converted = asim_fx.convert(detector(), "ideal", (images(1),))
    with pytest.raises((InputError, RuntimeError), match=r"shape|channels"):
        converted([torch.zeros(1, 12, 12)])


@pytest.fixture(scope="module")
def ssdlite() -> BuiltModel:
    return build_model("torchvision:ssdlite320_mobilenet_v3_large")


def test_ssdlite(ssdlite: BuiltModel, tmp_path: Path) -> None:
    model = ssdlite.model
    pictures = [torch.rand(3, 90, 120), torch.rand(3, 130, 100), torch.rand(3, 64, 64)]
    converted = asim_fx.convert(model, "ideal", (pictures[:1],), source=ssdlite.source)
    assert list(converted.graph_modules) == ["backbone", "head"]
    assert converted.report.totals["analog_share"] == 1
    assert "MACs equal" in converted.report.verification
    for count in (1, 3):
        with torch.no_grad():
            expected, actual = model(pictures[:count]), converted(pictures[:count])
        assert len(actual) == count
        assert [list(one) for one in actual] == [list(one) for one in expected]
        assert all(a[key].shape[1:] == b[key].shape[1:] for a, b in zip(actual, expected, strict=True) for key in a)
    converted.save(tmp_path / "ssd")
    loaded = asim_fx.load(tmp_path / "ssd")
    converted.reseed(0)
    with torch.no_grad():
        assert equal(loaded(pictures[:1]), converted(pictures[:1]))
