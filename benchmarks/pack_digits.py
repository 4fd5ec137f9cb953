"""Write asim_fx/digits/digits.npz from scikit-learn's copy of it: `python -m benchmarks.pack_digits`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OUTPUT = Path(__file__).parent.parent / "asim_fx" / "digits" / "digits.npz"
TEST_IMAGES = 360
SPLIT_SEED = 0


def main() -> None:
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    _, test = train_test_split(np.arange(len(labels)), test_size=TEST_IMAGES, stratify=labels, random_state=SPLIT_SEED)
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[test] = True
    np.savez_compressed(OUTPUT, images=images, labels=labels, is_test=is_test)
    train = images[~is_test] / 16
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes, training mean {train.mean():.4f}, std {train.std():.4f}")


if __name__ == "__main__":
    main()
