from __future__ import annotations

import pytest

from asim_fx.errors import SpecError
from asim_fx.spec.loader import parse_spec

CHIP = "version: 1\nname: x\nchip:\n  sources:\n    {path}: a paper\nmacros: {{m: {{rows: 64}}}}\n"


@pytest.mark.parametrize("path", ["macros.m.rows", "macros.m.noise", "macros.m", "defaults.weight_bits"])
def test_a_source_may_speak_of_any_field_or_part(path: str):
    spec = parse_spec(CHIP.format(path=path), "chip.yaml")
    assert spec.chip is not None
    assert spec.chip.source_of(path) == "a paper"


def test_a_part_covers_what_is_in_it():
    chip = parse_spec(CHIP.format(path="macros.m"), "chip.yaml").chip
    assert chip is not None
    assert (chip.source_of("macros.m.adc.bits"), chip.source_of("defaults.scale")) == ("a paper", "")


def test_a_source_of_no_field_is_an_error():
    with pytest.raises(SpecError) as raised:
        parse_spec(CHIP.format(path="macros.m.row"), "chip.yaml")
    (issue,) = raised.value.issues
    assert issue.where == "chip.yaml:5"
    assert "did you mean `macros.m.rows`?" in issue.message
