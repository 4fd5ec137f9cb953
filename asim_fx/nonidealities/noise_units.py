"""Noise as data sheets give it, in steps of the converter. No torch here."""

from __future__ import annotations

import math

SNDR_OF_ONE_BIT_DB = 20 * math.log10(2)
SNDR_OFFSET_DB = 10 * math.log10(1.5)


def enob_of_sndr(sndr_db: float) -> float:
    """Return the effective number of bits: (SNDR - 10 log10(1.5)) / (20 log10(2)), that is (SNDR - 1.76) / 6.02."""
    return (sndr_db - SNDR_OFFSET_DB) / SNDR_OF_ONE_BIT_DB


def lsb_rms_of_enob(enob: float, bits: int) -> float:
    """Return the noise that leaves ``enob`` effective bits of a converter's ``bits``, in steps, rms.

    An ideal converter of b bits has the error power FS**2 / (12 * 4**b). The effective number of bits is that of the
    ideal converter with the same error power, so that noise makes up the rest: sigma**2 = (4**(bits - enob) - 1) / 12
    steps**2. All distortion of the figure is taken for noise. IEEE Std 1241 (ENOB, SINAD).

    Args:
        enob: at most ``bits``.
        bits: of the converter.
    """
    return math.sqrt(max(0.0, 4.0 ** (bits - enob) - 1) / 12)


def capacitor_sigma_percent(unit_ff: float) -> float:
    """Return the standard deviation of a unit capacitor of ``unit_ff`` fF, in percent of it.

    sigma_C = 2.1 * 10**-2.5 * sqrt(C) with both in fF: Kavishwar and Shanbhag, IEEE TCAS-I 2025, for 28 nm.
    """
    return 100 * 2.1 * 10**-2.5 / math.sqrt(unit_ff)
