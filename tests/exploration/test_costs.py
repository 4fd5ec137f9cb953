from __future__ import annotations

from asim_fx.exploration.costs import amount, span


def test_amounts_have_their_unit() -> None:
    assert amount(727_834, "conversions") == "727,834 conversions"
    assert amount(1, "conversions") == "1 conversion"
    assert amount(1e-6, "energy") == "1 µJ"
    assert amount(1.88234e-6, "energy") == "1.88234 µJ"


def test_a_span_names_its_unit_once() -> None:
    assert span([305, 9, 23_424], "conversions") == "9 to 23,424 conversions"
    assert span([5, 5], "conversions") == "5 conversions"
