"""Strings of a program: what torch writes passes, what could be more than arithmetic or a name does not."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import ModelError
from asim_fx.models.pt2.words import check_expression, check_name, check_path, check_structure

SYMBOL = "Symbol('s77', positive=True, integer=True)"


@pytest.mark.parametrize(
    "text",
    [
        SYMBOL,
        f"Mul(Integer(2), {SYMBOL})",
        f"Add(Pow({SYMBOL}, Integer(2)), Integer(-1))",
        f"FloorDiv({SYMBOL}, Integer(2))",
        f"Equality({SYMBOL}, Integer(1))",
        "Float('2.5', precision=53)",
        "true",
    ],
)
def test_sizes_as_torch_writes_them_pass(text: str) -> None:
    assert check_expression(text, "size") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open('x', 'w')",
        "__import__('os')",
        "Integer.__class__",
        "[].__class__",
        "(lambda: 1)()",
        "Symbol('s0').__class__",
        "Symbol('__import__')",
        "Symbol(open('x'))",
        "Symbol('s0', integer=open('x'))",
        "Integer(*[1])",
        "Integer('1')",
        "f'{1}'",
        f"Pow(Pow({SYMBOL}, Integer(16)), Integer(16))",
        "Pow(Integer(9), Integer(999999999))",
        "9**9**9",
        "Integer(99999999999999999999999)",
        "Add(" * 3000 + "1" + ")" * 3000,
        "(" * 500 + "1" + ")" * 500,
        f"Add({', '.join(['1'] * 9000)})",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="refused"):
        check_expression(text, "size")


SIZES = st.recursive(
    st.integers(-9, 9).map(sympy.Integer) | st.sampled_from([sympy.Symbol(f"s{n}", integer=True) for n in range(3)]),
    lambda inner: st.builds(sympy.Add, inner, inner) | st.builds(sympy.Mul, inner, inner),
    max_leaves=6,
)


@given(SIZES)
def test_polynomials_of_sizes_pass_unless_their_powers_nest(size: sympy.Expr) -> None:
    text = sympy.srepr(size)
    powers = [power for power in sympy.preorder_traversal(size) if power.is_Pow]
    if not any(inner.is_Pow for power in powers for inner in sympy.preorder_traversal(power.base)):
        assert check_expression(text, "size") == text


@given(st.text())
def test_a_name_that_passes_is_a_variable(text: str) -> None:
    try:
        check_name(text, "name")
    except ModelError:
        return
    compile(f"def f({text}): pass", "f", "exec")


@pytest.mark.parametrize("text", ["a.0.b", "größe", "layer1.0.conv1.weight", ""])
def test_paths_of_parameters_pass(text: str) -> None:
    assert check_path(text, "path") == text


@pytest.mark.parametrize("text", ["a..b", ".a", 'a"', "a b", "a.__class__", "a(b)", "a\n"])
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(ModelError):
        check_path(text, "path")


@pytest.mark.parametrize(
    ("kind", "context"),
    [
        ("collections.defaultdict", '{"default_factory_module": "os", "default_factory_name": "system"}'),
        ("builtins.dict", '[{"__enum__": true, "fqn": "os:x", "name": "y"}]'),
        ("builtins.dict", {"__enum__": True}),
        ("builtins.tuple", '["a"]'),
        (None, '{"__enum__": true}'),
    ],
)
def test_a_structure_that_names_code_is_refused(kind: str | None, context: object) -> None:
    import json

    with pytest.raises(ModelError):
        check_structure(json.dumps([1, {"type": kind, "context": context, "children_spec": []}]), "structure")
