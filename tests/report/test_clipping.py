"""What calibration clips, summed up."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from asim_fx.report.clipping import ClippingLine, clipping_lines
from asim_fx.report.files import to_html, to_markdown
from asim_fx.report.rows import MappingReport
from asim_fx.report.table import renderable
from tests.report.synthetic import resnet_like


def calibrated(*shares: float) -> MappingReport:
    report = resnet_like()
    rows = [replace(row, clipped=share) for row, share in zip(report.rows, shares, strict=False)]
    return replace(report, rows=(*rows, *report.rows[len(rows) :]))


def printed(report: MappingReport) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(renderable(report, 120))
    return capture.get()


def test_a_line_for_what_has_a_range() -> None:
    report = calibrated(0.001, 0.0, 0.25)
    assert clipping_lines(report) == [ClippingLine("streamed values", 3, 0.001, 0.25, report.rows[2].name)]


def test_nothing_is_said_of_a_model_without_calibration() -> None:
    report = resnet_like()
    assert clipping_lines(report) == []
    for text in (printed(report), to_markdown(report), to_html(report)):
        assert "Clipped in calibration" not in text


def test_every_form_says_it() -> None:
    report = calibrated(0.001, 0.0, 0.25)
    for text in (printed(report), to_markdown(report), to_html(report)):
        assert "Clipped in calibration" in text
        assert "25.0 %" in text
        assert "0.1 %" in text


def test_no_site_is_named_where_nothing_is_clipped() -> None:
    line = next(line for line in printed(calibrated(0.0, 0.0)).splitlines() if "streamed values" in line)
    assert line.split()[-1] == "-"
