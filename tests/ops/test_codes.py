from __future__ import annotations

from statistics import NormalDist

import pytest
import torch

from asim_fx.errors import UsageError
from asim_fx.ops.codes import check_converter, code_table, convert
from asim_fx.ops.config import ReadEffects


def even_words(count: int) -> torch.Tensor:
    return torch.arange(count) * (2**32 // count) + 2**32 // (2 * count)


def code_probabilities(value: float, sigma: float, top: int) -> list[float]:
    """Probability of each code of a value with Gaussian noise, clamped at both ends."""
    below = [NormalDist(value * top, sigma * top).cdf(code + 0.5) for code in range(top)]
    return [high - low for low, high in zip([0.0, *below], [*below, 1.0], strict=True)]


@pytest.mark.parametrize("mac", [0, 1, 30, 59, 60])
@pytest.mark.parametrize(("random", "nonlinear"), [(1.0, 0.0), (0.0, 3.0), (2.0, 3.0)])
def test_codes_come_with_their_probabilities(mac: int, random: float, nonlinear: float) -> None:
    effects = ReadEffects(60, 6, random_percent_fs=random, nonlinear_percent_fs=nonlinear)
    value = mac / 60
    sigma = ((random / 100) ** 2 + (nonlinear / 100) ** 2 / (value * 60 + 1)) ** 0.5
    words = even_words(2**16)
    drawn = convert(torch.full(words.shape, float(mac)), effects, 60, words)
    share = torch.bincount(drawn, minlength=64) / words.numel()
    assert code_table(effects, 60, "cpu") is not None
    assert torch.allclose(share, torch.tensor(code_probabilities(value, sigma, 63)), atol=3e-5)


def test_the_table_and_the_formula_agree() -> None:
    """The same words through the normal number instead of the table: the same distribution."""
    effects = ReadEffects(60, 5, random_percent_fs=4.0)
    wide = ReadEffects(60, 5, random_percent_fs=4.0, cell_variation_percent=1e-9)  # real MACs: no table
    words = even_words(2**16)
    for mac in (0.0, 7.0, 33.0, 60.0):
        macs = torch.full(words.shape, mac)
        by_table = torch.bincount(convert(macs, effects, 60, words), minlength=32) / words.numel()
        by_formula = torch.bincount(convert(macs, wide, 60, words), minlength=32) / words.numel()
        assert torch.allclose(by_table, by_formula, atol=1e-4)


def test_wide_noise_and_large_ranges_have_no_table() -> None:
    assert code_table(ReadEffects(255, 8, random_percent_fs=5.0), 255, "cpu") is None
    assert code_table(ReadEffects(255, 8, random_percent_fs=0.1), 255 * 255 * 2, "cpu") is None
    assert code_table(ReadEffects(255, None, random_percent_fs=0.1), 255, "cpu") is None
    assert code_table(ReadEffects(255, 8), 255, "cpu") is None


def test_the_table_holds_the_distribution_to_the_last_word() -> None:
    """How many of the 2**32 words give each code, against the normal distribution function times 2**32."""
    effects = ReadEffects(255, 8, random_percent_fs=0.4, nonlinear_percent_fs=1.0)
    table = code_table(effects, 255, "cpu")
    assert table is not None
    columns = 2**table.column_bits
    for mac in (0, 1, 100, 254, 255):
        counts = dict.fromkeys(range(256), 0)
        for column in range(columns):
            entry = mac * columns + column
            cut = int(table.cut[entry])
            if cut:
                counts[int(table.base[mac]) + column] += cut
            counts[int(table.other[entry])] += 2**32 // columns - cut
        sigma = (0.004**2 + 0.01**2 / (mac + 1)) ** 0.5
        for code, probability in enumerate(code_probabilities(mac / 255, sigma, 255)):
            # The table's value and sigma are float32: relative errors of 2**-23 or so.
            assert counts[code] == pytest.approx(probability * 2**32, rel=1e-5, abs=2**32 * 2e-6)
        assert sum(counts.values()) == 2**32


@pytest.mark.parametrize("high", [0x7FFF, 0x8000, 0x8001, 0x6000])
def test_the_low_half_of_a_word_decides_where_the_rest_of_the_high_half_is_zero(high: int) -> None:
    table = code_table(ReadEffects(255, 8, random_percent_fs=0.1), 255, "cpu")
    assert table is not None
    assert table.column_bits == 3
    words = (high << 16) + torch.arange(2**16)
    codes = table.draw(torch.full(words.shape, 100.0), words)
    decided_by_low = high % 2 ** (16 - table.column_bits) == 0
    assert (codes.unique().numel() > 1) <= decided_by_low
    entry = 100 * 8 + (high >> 13)
    direct = int((codes == table.base[100] + (high >> 13)).sum())
    if decided_by_low and table.other[entry] != table.base[100] + (high >> 13):
        assert direct == int(table.cut[entry]) % 2**16


def test_without_noise_ties_go_to_even() -> None:
    codes = convert(torch.tensor([1.0, 3.0, 5.0, 6.0, 7.0]), ReadEffects(6, 2), 6, None)
    assert codes.tolist() == [0, 2, 2, 3, 3]  # 0.5, 1.5, 2.5, 3, beyond full scale


def test_the_division_is_a_division() -> None:
    """Somewhere mac * (1/full) and mac / full differ in float32; the code follows the division."""
    full, top = 57, 2**24 - 1
    mac = torch.arange(full + 1).float()
    expected = torch.round(mac / torch.tensor(float(full)) * top).long()
    assert torch.equal(convert(mac, ReadEffects(full, 24), full, None), expected)
    assert not torch.equal(torch.round(mac * torch.tensor(1 / full) * top).long(), expected)


def test_an_ideal_converter_gives_the_value() -> None:
    value = convert(torch.tensor([0.0, 3.0, 60.0]), ReadEffects(60, None), 60, None)
    assert value.is_floating_point()
    assert torch.equal(value, torch.tensor([0.0, 3.0, 60.0]) / 60)
    noisy = convert(torch.full((4096,), 30.0), ReadEffects(60, None, random_percent_fs=1.0), 60, even_words(4096))
    assert noisy.mean() == pytest.approx(0.5, abs=1e-4)
    assert noisy.std() == pytest.approx(0.01, rel=1e-2)


def test_a_parallel_read_has_signed_codes() -> None:
    effects = ReadEffects(4, 4, parallel=True)
    codes = convert(torch.tensor([-200.0, -100.0, 0.0, 50.0, 100.0]), effects, 100, None)
    assert codes.tolist() == [-7, -7, 0, 4, 7]
    noisy = ReadEffects(4, 4, random_percent_fs=3.0, parallel=True)
    share = torch.bincount(convert(torch.zeros(4096), noisy, 100, even_words(4096)) + 7, minlength=15) / 4096
    assert torch.allclose(share, share.flip(0), atol=1e-3)
    assert share[7] == pytest.approx(1 - 2 * NormalDist().cdf(-0.5 / 7 / 0.03), abs=1e-3)


@pytest.mark.parametrize(
    ("effects", "fields"),
    [
        (
            ReadEffects(9, 4, nonlinear_percent_fs=1.0, compression_per_mac=0.1),
            ["nonlinear_percent_fs", "compression_per_mac"],
        ),
        (ReadEffects(9, 4, nonlinear_percent_fs=1.0, parallel=True), ["nonlinear_percent_fs", "parallel"]),
        (ReadEffects(9, 1, parallel=True), ["adc.bits", "parallel"]),
    ],
)
def test_effects_that_exclude_each_other(effects: ReadEffects, fields: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        check_converter(effects, "head")
    assert all(field in str(error.value) for field in [*fields, "head"])
