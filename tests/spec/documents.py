"""The documents that the tests of the spec share."""

from __future__ import annotations

import pytest

from asim_fx.errors import SpecError
from asim_fx.spec.loader import parse_spec

CONTRACT = """\
version: 1
name: my-chip
macros:
  m: {rows: 255, columns: 256, adc: {bits: 8, range: rows}, noise: {random_percent_fs: 0.05, nonlinear_percent_fs: 0.05}}
defaults:
  {target: analog, macro: m, weight_bits: 8, input_bits: 8, input_encoding: 1, signed: auto, scale: dynamic,
   hybrid: {levels: 0}, vote: {levels: 0, samples: 1, how: mode}}
rules:
  - {match: {name: "@first_conv"}, target: integer, why: "the stem stays digital"}
  - {match: {op: qk}, input_bits: 9, input_encoding: 2, macro: {adc: {bits: 9}}}
  - {match: {name: "layer4.**", where: {groups: 1}}, hybrid: {levels: 2}, vote: {levels: 4, samples: 3, how: median}}
"""

SMALL = """\
version: 1
name: small
macros: {m: {}}
"""


def errors_of(text: str, *overrides: str) -> list[str]:
    """Return the lines of the error that a document ``chip.yaml`` gives."""
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "chip.yaml", overrides)
    return str(caught.value).splitlines()
