from __future__ import annotations

import torch

from asim_fx.ir import BatchLayout
from asim_fx.ops.draws import Seed, cell_words, output_counters, read_words

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
