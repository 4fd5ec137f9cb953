"""What a macro's circuit does to one read, from the settings of a site: users' figures into the engines'."""

from __future__ import annotations

from collections.abc import Mapping

from asim_fx.errors import SpecError, SpecIssue
from asim_fx.ir import SitePlan
from asim_fx.nonidealities.noise_units import capacitor_sigma_percent, enob_of_sndr, lsb_rms_of_enob
from asim_fx.ops.config import ReadEffects
from asim_fx.spec.circuit_checks import polynomial_thresholds
from asim_fx.spec.measured import MeasuredFile
from asim_fx.spec.schema import Macro, Noise


def read_effects(plan: SitePlan, files: Mapping[str, MeasuredFile]) -> ReadEffects:
    """Return what one read of an analog site does.

    Args:
        plan: of the site, with its bit plan and tiles.
        files: the measured files that the spec names.

    Raises:
        SpecError: a measured file does not have the length that the site's settings ask for.
    """
    macro = plan.settings.macro
    adc, capacitors = macro.adc, macro.capacitors
    means, sigmas = _statistics(plan, files)
    sigma = capacitors.mismatch_percent
    return ReadEffects(
        rows=macro.rows,
        adc_bits=None if adc.bits == "ideal" else adc.bits,
        random_percent_fs=macro.noise.random_percent_fs,
        random_lsb_rms=_random_lsb_rms(macro.noise, adc.bits),
        nonlinear_percent_fs=macro.noise.nonlinear_percent_fs,
        compression_per_mac=macro.current.compression_per_mac,
        cell_variation_percent=macro.current.cell_variation_percent,
        cell_variation_redrawn=macro.current.cell_variation == "redrawn",
        cell_variation_proportional=macro.current.cell_variation_law == "proportional",
        parallel=macro.weights == "parallel",
        subtracted=macro.layout.subtracts,
        comparator_lsb_rms=adc.comparator_noise_lsb_rms,
        bitline_gain=macro.bitline.gain,
        mean_mac=means,
        sigma_mac=sigmas,
        window=_window(plan),
        window_known=adc.range != "calibrated",
        adc_gain_percent=adc.gain_error_percent,
        adc_offset_lsb=adc.offset_lsb,
        thresholds_lsb=_thresholds(macro, files),
        dnl_sigma_lsb=adc.dnl_sigma_lsb,
        adc_gain_sigma_percent=adc.gain_sigma_percent,
        adc_offset_sigma_lsb=adc.offset_sigma_lsb,
        # Two columns of which one conversion takes the difference count as one.
        columns_per_adc=max(1, adc.columns_per_adc // 2) if macro.layout.subtracts else adc.columns_per_adc,
        capacitor_sigma_percent=sigma if capacitors.unit_ff is None else capacitor_sigma_percent(capacitors.unit_ff),
        capacitors_redrawn=capacitors.mismatch == "redrawn",
        stuck_at_0_percent=macro.cells.stuck_at_0_percent,
        stuck_at_1_percent=macro.cells.stuck_at_1_percent,
    )


def _random_lsb_rms(noise: Noise, bits: int | str) -> float:
    enob = noise.enob if noise.sndr_db is None else enob_of_sndr(noise.sndr_db)
    return noise.random_lsb_rms if enob is None else lsb_rms_of_enob(enob, int(bits))


def _window(plan: SitePlan) -> tuple[float, float] | None:
    macro = plan.settings.macro
    if macro.adc.range == "used" and plan.tiles is not None:
        return (0.0, float(min(plan.tiles.step, plan.site.k)))
    if macro.adc.range == "window" and macro.adc.window.high_mac is not None:
        return (macro.adc.window.low_mac, macro.adc.window.high_mac)
    return None


def _thresholds(macro: Macro, files: Mapping[str, MeasuredFile]) -> tuple[float, ...]:
    adc = macro.adc
    if adc.inl_polynomial_lsb is not None:
        return polynomial_thresholds(adc.inl_polynomial_lsb, int(adc.bits))
    if adc.code_table is None:
        return ()
    (levels,) = files[adc.code_table].columns
    if len(levels) != 2 ** int(adc.bits) - 1:
        message = f"has {len(levels)} codes, and a converter of {adc.bits} bits needs {2 ** int(adc.bits) - 1}"
        raise SpecError([SpecIssue(adc.code_table, "macro.adc.code_table", message)])
    return levels


def _statistics(plan: SitePlan, files: Mapping[str, MeasuredFile]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    macro = plan.settings.macro
    if macro.bitline.statistics is None or plan.bits is None:
        return (), ()
    means, sigmas = files[macro.bitline.statistics].columns
    digits = macro.layout.widths(plan.settings.weight_bits, signed=plan.weight_signed)
    widest = (2 ** max(plan.bits.input_widths) - 1) * (2 ** max(digits) - 1)
    if len(means) != macro.rows * widest + 1:
        message = (
            f"has MAC values 0 to {len(means) - 1}, and site {plan.site.label} needs 0 to {macro.rows * widest}: "
            f"{macro.rows} rows and input planes of up to {max(plan.bits.input_widths)} bits"
        )
        message += f", cells of up to {max(digits)} bits" if max(digits) > 1 else ""
        raise SpecError([SpecIssue(macro.bitline.statistics, "macro.bitline.statistics", message)])
    return means, sigmas
