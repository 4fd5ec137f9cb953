"""Philox4x32-7: four random words for each counter and key.

Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011). A word depends on nothing but its
counter and key, so noise does not depend on batch size, block size or thread count. Unsigned 32-bit words live in int64
tensors.
"""

from __future__ import annotations

from torch import Tensor

WORD = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 7
"""The fewest with which it passes BigCrush, by its authors' tests; they advise 10 for a margin of safety."""

Words = tuple[Tensor, Tensor, Tensor, Tensor]


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Return four words for each counter.

    Args:
        counter: four int64 tensors that broadcast, each word in 0..2**32-1.
        key: two words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        # Products wrap around at 64 bits, as they should; only bits 0..31 of c1 and c3 count, whatever lies above.
        low = c0 * MULTIPLIERS[0]
        high = c2 * MULTIPLIERS[1]
        c0, c2 = ((high >> 32) ^ c1), ((low >> 32) ^ c3)
        c0.bitwise_xor_(k0).bitwise_and_(WORD)
        c2.bitwise_xor_(k1).bitwise_and_(WORD)
        c1, c3 = high, low
        k0 = (k0 + KEY_STEPS[0]) & WORD
        k1 = (k1 + KEY_STEPS[1]) & WORD
    return c0, c1 & WORD, c2, c3 & WORD


def mix64(number: int) -> int:
    """Spread any integer over 64 bits (the finaliser of SplitMix64), so that neighbouring seeds share nothing."""
    mask = 0xFFFFFFFFFFFFFFFF
    z = (number + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
