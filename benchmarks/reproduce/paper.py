"""What the ASiM paper gives, in % top-1: arXiv:2411.11022v4, IEEE TVLSI 2025 (10.1109/TVLSI.2025.3605286).

Read off its figures and tables, which are images. 256 rows, 8-bit weights and activations, and networks trained with
noise unless it says otherwise. None: the paper's curve is at chance.
"""

from __future__ import annotations

from collections.abc import Mapping

Curve = tuple[float | None, ...]

NETWORKS = ("R18-C10", "R18-IN", "ViT-C10", "ViT-IN")
"""ResNet-18 and ViT-B-32 on CIFAR-10 and on ImageNet."""

FLOAT: Mapping[str, float] = {"R18-C10": 92.08, "R18-IN": 65.49, "ViT-C10": 95.26, "ViT-IN": 68.17}
"""Digital baselines. R18-C10 without training for noise has 93.42."""

FIG6_BITS = (6, 7, 8, 9, 10)
FIG6: Mapping[str, Curve] = {
    "R18-C10": (90.37, 91.80, 92.08, 92.08, 92.08),
    "R18-IN": (2.00, 55.84, 65.48, 65.54, 65.60),
    "ViT-C10": (9.94, 13.36, 95.27, 95.28, 95.22),
    "ViT-IN": (0.11, 0.15, 68.14, 68.23, 68.13),
}
"""Bits of the converter, bit-serial."""

ENCODINGS = (1, 2, 4)
FIG7_BITS = (8, 9, 10, 11, 12)
FIG7: Mapping[tuple[str, int], Curve] = {
    ("R18-C10", 1): (92.08, 92.09, 92.08, 92.07, 92.06),
    ("R18-C10", 2): (91.93, 92.10, 92.03, 92.12, 92.09),
    ("R18-C10", 4): (91.36, 91.96, 91.96, 91.97, 92.08),
    ("R18-IN", 1): (65.51, 65.55, 65.58, 65.47, 65.51),
    ("R18-IN", 2): (55.73, 64.45, 65.16, 65.33, 65.46),
    ("R18-IN", 4): (16.26, 59.04, 65.04, 65.56, 65.42),
    ("ViT-C10", 1): (95.22, 95.26, 95.24, 95.29, 95.24),
    ("ViT-C10", 2): (94.39, 95.04, 95.16, 95.17, 95.30),
    ("ViT-C10", 4): (57.89, 93.77, 95.04, 95.12, 95.27),
    ("ViT-IN", 1): (68.19, 68.24, 68.10, 68.14, 68.20),
    ("ViT-IN", 2): (56.35, 66.48, 67.06, 68.06, 68.08),
    ("ViT-IN", 4): (0.45, 45.87, 64.74, 67.71, 68.03),
}
"""Bits of the converter, by bits of the activation that one read applies."""

NOISE_PERCENT = (0.0, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2)
FIG9A: Mapping[tuple[str, int], Curve] = {
    ("R18-C10", 1): (92.08, 92.08, 92.06, 92.00, 91.84, 91.35, 90.71, 89.25, 86.74),
    ("R18-C10", 2): (91.93, 92.00, 91.02, 89.09, 86.16, 81.86, 74.51, 64.95, 55.30),
    ("R18-C10", 4): (91.36, 90.49, 87.91, 82.47, 74.76, 63.60, 53.27, 41.69, 33.52),
    ("R18-IN", 1): (65.51, 65.51, 65.48, 62.51, 3.76, 0.15, 0.12, 0.11, 0.10),
    ("R18-IN", 2): (55.73, 49.47, 0.12, None, None, None, None, None, None),
    ("R18-IN", 4): (16.26, 0.12, None, None, None, None, None, None, None),
    ("ViT-C10", 1): (95.22, 95.22, 93.70, 10.10, None, None, None, None, None),
    ("ViT-C10", 2): (94.39, 79.01, 10.21, None, None, None, None, None, None),
    ("ViT-C10", 4): (57.89, 10.05, None, None, None, None, None, None, None),
    ("ViT-IN", 1): (68.19, 68.19, 38.91, 0.11, None, None, None, None, None),
    ("ViT-IN", 2): (56.35, 0.88, None, None, None, None, None, None, None),
    ("ViT-IN", 4): (0.45, None, None, None, None, None, None, None, None),
}
"""Random noise in % of full scale, 8-bit converter."""

FIG9B: Mapping[tuple[str, int], Curve] = {
    ("R18-C10", 1): (92.08, 92.08, 92.10, 92.00, 92.10, 91.71, 91.50, 91.27, 90.62),
    ("R18-C10", 2): (91.93, 92.03, 91.79, 91.15, 90.42, 89.41, 87.81, 86.37, 84.30),
    ("R18-C10", 4): (91.36, 91.27, 90.59, 89.50, 88.20, 87.20, 84.76, 83.03, 79.72),
    ("R18-IN", 1): (65.51, 65.51, 65.49, 64.54, 38.63, 1.12, 0.12, None, None),
    ("R18-IN", 2): (55.73, 55.33, 2.71, 0.12, None, None, None, None, None),
    ("R18-IN", 4): (16.26, 0.11, None, None, None, None, None, None, None),
    ("ViT-C10", 1): (95.22, 95.22, 95.19, 92.44, 24.45, 11.49, 10.02, None, None),
    ("ViT-C10", 2): (94.39, 94.21, 93.26, 62.99, 12.82, None, None, None, None),
    ("ViT-C10", 4): (57.89, 40.13, 11.41, None, None, None, None, None, None),
    ("ViT-IN", 1): (68.19, 68.19, 68.08, 22.44, 0.14, None, None, None, None),
    ("ViT-IN", 2): (56.35, 55.90, 19.71, 0.15, None, None, None, None, None),
    ("ViT-IN", 4): (0.45, 0.13, None, None, None, None, None, None, None),
}
"""Nonlinear noise in % of full scale at an empty column, 8-bit converter."""

FIG18: Mapping[tuple[str, int], Curve] = {
    ("R18-C10", 1): (93.42, 93.42, 93.42, 93.20, 92.34, 88.68, 82.19, 69.53, 52.50),
    ("R18-C10", 2): (92.07, 91.57, 85.04, 69.01, 50.88, 35.33, 23.95, 16.74, 13.41),
    ("R18-C10", 4): (88.10, 78.36, 58.55, 38.79, 24.55, 16.98, 13.10, 11.66, 11.43),
}
"""As figure 9a, of a network that was not trained for noise."""

TABLE1: Mapping[str, float] = {
    "CSNR model": 65.44,
    "CIMUFAS (Gaussian)": 0.10,
    "Saikia et al. (adaptive)": 40.82,
    "NeuroSim (min-max)": 61.09,
}
"""ResNet-18 on ImageNet by other simulators: 6-bit converter, 0.5 LSB rms of noise, bit-serial."""

TABLE3 = {"simulated": 91.84, "measured": 91.70}
"""ResNet-18 on a CR-CIM chip: 512 rows, bit-serial, 10-bit converter, 0.58 LSB rms, half random and half nonlinear."""

VOTING = {"plain": 72.74, "voted": 90.55}
"""Section VI-C: CR-CIM at 6 bits; three reads of the cycles below level 3."""
