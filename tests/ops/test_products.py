"""Exact parts as products of bytes and of floats: the same integers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.ops import products
from asim_fx.ops.config import Operand
from asim_fx.ops.exact import byte_matmul, has_byte_products
from asim_fx.ops.planes import planes_of
from asim_fx.ops.schedule import schedule
from tests.ops.configs import make_config
from tests.ops.engines.test_cpu_engine import random_codes


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.booleans(), st.integers(1, 9), st.integers(1, 70))
def test_bytes_give_what_floats_do(input_bits: int, weight_bits: int, signed: bool, levels: int, length: int) -> None:
    config = make_config(input_bits=input_bits, weight_bits=weight_bits, signed=signed, adc_bits=3, hybrid=levels)
    work = schedule(config)
    streamed = random_codes((2, 5, length), input_bits, signed=signed, seed=0)
    stored = random_codes((2, length, 4), weight_bits, signed=True, seed=1)
    for part in work.exact:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(products, "has_byte_products", lambda device: False)
            floats = products.stored_product(part, stored, work)
        assert floats.stored_bytes is None
        fast = products.exact_product(products.stored_product(part, stored, work), streamed, work)
        assert torch.equal(fast.double(), products.exact_product(floats, streamed, work).double())


@pytest.mark.skipif(not has_byte_products(torch.device("cpu")), reason="this processor does not add bytes in 32 bits")
def test_the_largest_bytes_do_not_saturate() -> None:
    left = torch.full((2, 3, 4000), -128, dtype=torch.int8)
    right = torch.full((2, 4000, 5), -128, dtype=torch.int8)
    assert (byte_matmul(left, right) == 4000 * 128 * 128).all()


def test_what_may_not_fit_is_no_byte() -> None:
    """Nine bits with a sign; eight bits without one; a sign alone with eight bits."""
    for bits, signed, fits in ((9, True, False), (8, False, False), (8, True, True), (7, False, True)):
        planes = planes_of(Operand(bits, signed), (1,) * bits)
        assert products._fits_bytes(planes, range(bits)) is fits
