"""Calibration: static scales of activations and windows of converters, chosen on data.

observing     streaming histograms of magnitudes
scales        a scale from a histogram: max, percentile, MSE
divergence    ... and the one of least Kullback-Leibler divergence
macs          histograms of the integer MAC values of a site's reads
windows       a window of the converter from these
remembering   what was seen, for variants of the same model
run           all of it, on a converted model
"""

from asim_fx.calibration.remembering import Observations
from asim_fx.calibration.run import (
    calibrate,
    needs_calibration,
    remeasure,
    restore,
    scales_of,
    uncalibrated_sites,
    uncalibrated_windows,
)

__all__ = [
    "Observations",
    "calibrate",
    "needs_calibration",
    "remeasure",
    "restore",
    "scales_of",
    "uncalibrated_sites",
    "uncalibrated_windows",
]
