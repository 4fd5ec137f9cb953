from __future__ import annotations

import pytest

from asim_fx.errors import SpecError
from asim_fx.spec.loader import parse_spec

POINT = "{supply_v: 1, rows: 64, adc_bits: 4, source: a, %s}"


def issues(cost: str) -> list[str]:
    with pytest.raises(SpecError) as raised:
        parse_spec(f"version: 1\nname: x\nmacros: {{m: {{columns: 64, cost: {cost}}}}}\n", "chip.yaml")
    return [str(issue) for issue in raised.value.issues]


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ("{node_nm: 0}", "macros.m.cost.node_nm: must be a number above 0, or `unknown`, not 0"),
        ("{supply_v: -1}", "macros.m.cost.supply_v: must be a number above 0, or `unknown`, not -1"),
        ("{supply_v: .nan}", "not-a-number"),
        ("{node_nm: unkown}", "or `unknown`, not the text 'unkown'"),
        ("{columns_per_adc: 65}", "is more than the `columns: 64` there are"),
        ("{cell_rows: 64}", "is fewer than the `rows: 255` that are read at once"),
        ("{model: measured}", "needs an operating point"),
        ("{nod_nm: 28}", "did you mean `node_nm`?"),
        (f"{{measured: [{POINT % 'energy_fj_per_read: 3, adc_energy_fj_per_read: 5'}]}}", "cannot be larger"),
        (f"{{measured: [{POINT % 'read_ns: 0'}]}}", "read_ns: must be a number above 0"),
        ("{measured: [{supply_v: 1, rows: 64, adc_bits: 4}]}", "source: this field is missing"),
    ],
)
def test_what_cannot_be_is_an_error(cost: str, message: str):
    (issue,) = issues(cost)
    assert message in issue


def test_nothing_is_known_by_default():
    cost = parse_spec("version: 1\nname: x\nmacros: {m: {}}\n", "chip.yaml").macros["m"].cost
    assert (cost.node_nm, cost.supply_v, cost.read_ns, cost.cell_area_um2) == ("unknown",) * 4
    assert cost.measured == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("macros: {m: {count: 0}}", "macros.m.count: must be a whole number, 1 or more, or `unlimited`, not 0"),
        ("macros: {m: {count: -1}}", "not -1"),
        ("macros: {m: {}}\nmapping: {buffer_kib: 0}", "mapping.buffer_kib: must be a number above 0, or `unknown`"),
        ("macros: {m: {}}\nmapping: {load_gbit_per_s: 0}", "mapping.load_gbit_per_s: must be a number above 0"),
        ("macros: {m: {}}\nmapping: {pack: all}", "mapping.pack: must be `none` or `groups`"),
        ("macros: {m: {}}\nrules: [{match: {op: qk}, macro: {count: 3}}]", "a rule cannot change how many macros"),
    ],
)
def test_what_no_chip_can_be_is_an_error(document: str, message: str):
    with pytest.raises(SpecError) as raised:
        parse_spec(f"version: 1\nname: x\n{document}\n", "chip.yaml")
    (issue,) = raised.value.issues
    assert message in str(issue)
