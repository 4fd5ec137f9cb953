"""Order and seeds are functions of numbers."""

from __future__ import annotations

from asim_fx.training.order import draw_seed, epoch_batches, part_bounds


def test_seeds_tell_draws_apart() -> None:
    seeds = {draw_seed(*numbers) for numbers in [(0,), (0, 0), (0, 1), (1, 0), (1,), (2, 3, 4), (4, 3, 2)]}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert draw_seed(5, 6) == draw_seed(5, 6)


def test_an_epoch_has_whole_batches_of_different_images() -> None:
    batches = epoch_batches(23, 5, seed=1, epoch=0)
    assert [len(batch) for batch in batches] == [5, 5, 5, 5]
    chosen = [position for batch in batches for position in batch]
    assert len(set(chosen)) == 20
    assert set(chosen) <= set(range(23))
    assert chosen != sorted(chosen)


def test_each_epoch_and_seed_has_an_order_of_its_own() -> None:
    orders = [epoch_batches(23, 5, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] == epoch_batches(23, 5, 0, 0)
    assert orders[0] not in orders[1:]
    assert orders[1] != orders[2]


def test_few_images_make_one_batch() -> None:
    assert [sorted(batch) for batch in epoch_batches(3, 8, 0, 0)] == [[0, 1, 2]]


def test_parts_differ_by_one_image_at_most() -> None:
    assert part_bounds(8, 2) == [(0, 4), (4, 8)]
    assert part_bounds(7, 3) == [(0, 2), (2, 4), (4, 7)]
