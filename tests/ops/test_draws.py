from __future__ import annotations

from statistics import NormalDist

import torch

from asim_fx.ir import BatchLayout
from asim_fx.ops.draws import Seed, cell_words, output_counters, read_words
from asim_fx.ops.normal import normal

KEY = (1, 2)


def test_an_output_keeps_its_words_in_any_batch() -> None:
    """Samples on the middle axis of (3 windows, batch, 4): what a sample draws depends on its number alone."""
    layout = BatchLayout(stride=4, elements=12)
    whole = torch.arange(3 * 5 * 4).view(3, 5, 4)
    together = read_words(output_counters(whole, layout, whole.numel(), Seed(0)), [0, 5], KEY)
    for sample in range(5):
        flat = torch.arange(12).view(3, 1, 4)
        alone = read_words(output_counters(flat, layout, 12, Seed(0, first_sample=sample)), [0, 5], KEY)
        assert torch.equal(together[5][:, sample], alone[5][:, 0])


def test_without_a_layout_the_flat_index_counts() -> None:
    counters = output_counters(torch.arange(6), None, 6, Seed(0, first_sample=9))
    assert counters.element.tolist() == list(range(6))
    assert counters.sample.tolist() == [9] * 6


def test_large_numbers_reach_the_counter() -> None:
    layout = BatchLayout(stride=1, elements=1)
    near = output_counters(torch.arange(2), layout, 2, Seed(0, first_sample=5))
    far = output_counters(torch.arange(2), layout, 2, Seed(0, first_sample=5 + 2**32))
    assert torch.equal(near.sample, far.sample)
    assert (near.high != far.high).all()


def test_reads_do_not_depend_on_what_else_is_read() -> None:
    counters = output_counters(torch.arange(10), None, 10, Seed(3))
    many = read_words(counters, range(40), KEY)
    one = read_words(counters, [13], KEY)
    assert torch.equal(many[13], one[13])
    assert len({tuple(many[read].tolist()) for read in range(40)}) == 40


def test_seed_sample_and_site_all_matter() -> None:
    keys = {Seed(seed, first).key(stream) for seed in (0, 1, -1, 2**63 - 1) for first in (0,) for stream in (0, 1)}
    assert len(keys) == 8
    assert Seed(0, 1).key(5) == Seed(0, 2).key(5)
    assert Seed(0, 1).redrawn().key(5) != Seed(0, 2).redrawn().key(5)


def test_every_cell_has_its_own_word_and_none_of_a_read() -> None:
    cells = torch.arange(1000)
    words = cell_words(cells, 6, KEY)
    assert words.shape == (1000, 6)
    assert words.unique().numel() > 5990  # 6,000 draws of 2**32: 0.004 collisions expected
    assert torch.equal(cell_words(cells[7:9], 3, KEY), words[7:9, :3])
    reads = read_words(output_counters(cells, None, 1000, Seed(0)), range(8), KEY)
    assert not set(words.flatten().tolist()) & set(reads[0].tolist())


def test_words_of_neighbouring_outputs_and_reads_are_normal_out_to_the_tails() -> None:
    """Four million words: moments within 5 standard errors, counts beyond 3, 4 and 4.5 sigma within 5 Poisson deviations.

    A false alarm has a probability of about 1e-5.
    """
    count = 2**19
    words = read_words(output_counters(torch.arange(count), None, count, Seed(11)), range(8, 16), KEY)
    drawn = normal(torch.stack([words[read] for read in range(8, 16)])).double()
    assert abs(float(drawn.mean())) < 5 / drawn.numel() ** 0.5
    assert abs(float(drawn.square().mean()) - 1) < 5 * (2 / drawn.numel()) ** 0.5
    assert abs(float(drawn.pow(3).mean())) < 5 * (15 / drawn.numel()) ** 0.5
    assert abs(float(drawn.pow(4).mean()) - 3) < 5 * (96 / drawn.numel()) ** 0.5
    for sigmas in (3.0, 4.0, 4.5):
        for side in (drawn, -drawn):
            expected = drawn.numel() * NormalDist().cdf(-sigmas)
            assert abs(int((side > sigmas).sum()) - expected) < 5 * expected**0.5 + 1
    between_reads = (drawn @ drawn.T) / count - torch.eye(8)
    assert between_reads.triu(1).abs().max() < 5 / count**0.5
    neighbours = (drawn[:, 1:] @ drawn[:, :-1].T) / count
    assert neighbours.abs().max() < 5.5 / count**0.5


def test_the_halves_of_a_word_are_independent() -> None:
    """The high half and the low half, and the low half of the next read: three correlations, 5 standard errors."""
    count = 2**18
    words = read_words(output_counters(torch.arange(count), None, count, Seed(4)), [2, 3], KEY)
    high, low = ((words[2] >> 16).double() / 2**16 - 0.5, (words[2] & 0xFFFF).double() / 2**16 - 0.5)
    following = (words[3] & 0xFFFF).double() / 2**16 - 0.5
    for one, other in ((high, low), (low, following), (high, following)):
        assert abs(float((one * other).mean())) * 12 < 5 / count**0.5
