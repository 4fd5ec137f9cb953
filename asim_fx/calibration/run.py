"""Calibrate a converted model: run it on typical inputs, look at what each site meets, and choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from asim_fx.calibration.macs import MacHistogram, observe_macs
from asim_fx.calibration.observing import MagnitudeHistogram
from asim_fx.calibration.remembering import (
    Histograms,
    Key,
    Observations,
    float_identity,
    integer_identity,
    keep,
    macs_key,
    magnitudes_key,
    window_key,
)
from asim_fx.calibration.scales import choose_scale
from asim_fx.calibration.windows import choose_window, clipped, compute_snr
from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError
from asim_fx.nn import CimModule, Fidelity
from asim_fx.ops.config import Operand
from asim_fx.report.calibrated import Calibrations, ScaleChoice, SiteCalibration, WindowChoice, with_calibration

Batch = Tensor | tuple[Any, ...]


def calibrate(converted: ConvertedModel, batches: Iterable[Batch], observations: Observations | None = None) -> None:
    """Choose the scale of every operand with ``scale: static``, and every window with ``adc.range: calibrated``.

    Scales are chosen from what a site meets while all sites compute in float, so that none sees another's errors;
    windows afterwards, from what the ideal integer model's cells would add up. How is in the spec, ``calibration`` and
    ``macro.adc.window``. Earlier calibration is forgotten, unless this one fails. Nothing changes where there is
    nothing to calibrate.

    Args:
        converted: the model; its noise counter is left as it was. ``calibration`` and ``report`` say what was chosen.
        batches: inputs of the model, each a tensor or the tuple of positional arguments. They are gone through once
            for scales; for windows they are kept and gone through again.
        observations: what was seen of the same weights on the same batches before; what is seen now is added. It saves
            time and changes nothing.

    Raises:
        DataError: there is no batch.
        InputError: a batch is not what the model takes.
        NumericsError: a site meets NaN or infinity.
    """
    sites = converted.sites()
    scaled = [site for site in sites.values() if scales_of(site)]
    windowed = [site for site in sites.values() if site.choosing.window is not None]
    if not scaled and not windowed:
        return
    given = list(batches) if windowed and not isinstance(batches, Sequence) else batches
    known = Observations() if observations is None else observations
    with _restoring(converted), torch.no_grad():
        found = {site.config.site: SiteCalibration() for site in (*scaled, *windowed)}
        if scaled:
            _choose_scales(converted, scaled, given, known, found)
        if windowed:
            _choose_windows(converted, windowed, given, known, found)
        converted.calibration = found
        converted.calibration_images = None  # earlier ones; who knows these says what they are
        converted.report = with_calibration(converted.report, found)


def remeasure(converted: ConvertedModel, batches: Iterable[Batch]) -> None:
    """Keep the scales and windows of a calibration, and measure anew what they clip, for weights that changed since.

    ``calibration`` and ``report`` then say what was measured, also as the compute SNR of windows.

    Args:
        converted: a calibrated model.
        batches: as for ``calibrate``.

    Raises:
        DataError: there is no batch.
        InputError: a batch is not what the model takes.
        NumericsError: a site meets NaN or infinity.
    """
    sites = [site for site in converted.sites().values() if site.config.site in converted.calibration]
    if not sites:
        return
    given, found = list(batches), dict(converted.calibration)
    with _restoring(converted), torch.no_grad():
        for site, histograms in _magnitudes(
            converted, [s for s in sites if scales_of(s)], given, Observations()
        ).items():
            label = site.config.site
            streamed = _remeasured(found[label].input, histograms[0])
            stored = _remeasured(found[label].weight, histograms[1])
            found[label] = replace(found[label], input=streamed, weight=stored)
        windowed = {site: (site.config.site,) for site in sites if found[site.config.site].window is not None}
        for site, histogram in _macs(converted, windowed, given, Observations()).items():
            choice = found[site.config.site].window
            assert choice is not None
            measured = _describe_window(site, histogram, (choice.low_mac, choice.high_mac))
            found[site.config.site] = replace(found[site.config.site], window=measured)
        converted.calibration = found
        converted.report = with_calibration(converted.report, found)


def restore(converted: ConvertedModel, found: Calibrations) -> None:
    """Give a model that was converted anew the windows of an earlier calibration; scales come with the weights."""
    for site in converted.sites().values():
        choice = found.get(site.config.site)
        if choice is not None and choice.window is not None:
            site.set_window((choice.window.low_mac, choice.window.high_mac))
    converted.calibration = dict(found)
    converted.report = with_calibration(converted.report, found)


def uncalibrated_sites(converted: ConvertedModel) -> list[str]:
    """Return the labels of the sites that need a static scale before they can run."""
    return [
        site.config.site for site in converted.sites().values() if any(bool(scale.isnan()) for scale in scales_of(site))
    ]


def uncalibrated_windows(converted: ConvertedModel) -> list[str]:
    """Return the labels of the sites whose converters need a window before they can run."""
    return [site.config.site for site in converted.sites().values() if not site.config.read.window_known]


def needs_calibration(site: CimModule) -> bool:
    """Return whether a site has a static scale or a calibrated window."""
    return bool(scales_of(site)) or site.choosing.window is not None


def scales_of(site: CimModule) -> list[Tensor]:
    """Return the calibrated scales of a site: none, that of its input, or those of both operands of a matmul."""
    return [buffer for name, buffer in site.named_buffers() if name in ("input_scale", "weight_scale")]


def _choose_scales(
    converted: ConvertedModel,
    sites: Sequence[CimModule],
    batches: Iterable[Batch],
    known: Observations,
    found: dict[str, SiteCalibration],
) -> None:
    for site, (of_streamed, of_stored) in _magnitudes(converted, sites, batches, known).items():
        label = site.config.site
        streamed = _choose_scale(site, of_streamed, site.config.input)
        stored = _choose_scale(site, of_stored, site.config.weight)
        for name, choice in (("input_scale", streamed), ("weight_scale", stored)):
            if choice is not None:
                site.get_buffer(name).fill_(choice.scale)  # a float32 as it is
        found[label] = replace(found[label], input=streamed, weight=stored)


def _magnitudes(
    converted: ConvertedModel, sites: Sequence[CimModule], batches: Iterable[Batch], known: Observations
) -> dict[CimModule, Histograms]:
    """Return the histograms of each site's operands; the float model runs where one of them is not known."""
    identity = float_identity(converted)
    keys = {site: magnitudes_key(identity, site) for site in sites}
    new = {site: _histograms(site) for site in sites if keys[site] not in known.magnitudes}
    kept = {site: known.magnitudes[keys[site]] for site in sites if site not in new}

    def observe(site: CimModule, streamed: Tensor, stored: Tensor, _clip: Tensor | None) -> None:
        of_streamed, of_stored = new[site]
        if of_streamed is not None:
            of_streamed.add(streamed)
        if of_stored is not None:
            of_stored.add(stored)

    _observe(converted, list(new), batches, "float", observe)
    for site, histograms in new.items():
        keep(known.magnitudes, keys[site], histograms)
    return {**kept, **new}


def _histograms(site: CimModule) -> Histograms:
    config, has = site.config, {name for name, _ in site.named_buffers()}

    def histogram(name: str, operand: Operand, role: str) -> MagnitudeHistogram | None:
        what = f"the {role} of site {config.site}"
        return MagnitudeHistogram(signed=operand.signed, what=what) if name in has else None

    return (
        histogram("input_scale", config.input, "input"),
        histogram("weight_scale", config.weight, "stored operand"),
    )


def _choose_scale(site: CimModule, histogram: MagnitudeHistogram | None, operand: Operand) -> ScaleChoice | None:
    if histogram is None:
        return None
    how = site.choosing
    chosen = choose_scale(histogram, operand.levels, how.scale, how.scale_percentile)
    scale = float(torch.tensor(chosen, dtype=torch.float32))
    return ScaleChoice(
        method=how.scale,
        percentile=how.scale_percentile if how.scale == "percentile" else None,
        scale=scale,
        clipped=histogram.clipped(scale),
        values=histogram.total,
        constant=histogram.constant,
    )


def _remeasured(choice: ScaleChoice | None, histogram: MagnitudeHistogram | None) -> ScaleChoice | None:
    if choice is None or histogram is None:
        return choice
    clipped_now = histogram.clipped(choice.scale)
    return replace(choice, clipped=clipped_now, values=histogram.total, constant=histogram.constant)


def _choose_windows(
    converted: ConvertedModel,
    sites: Sequence[CimModule],
    batches: Iterable[Batch],
    known: Observations,
    found: dict[str, SiteCalibration],
) -> None:
    identity = integer_identity(converted)
    keys = {site: macs_key(identity, site) for site in sites}
    chosen = {site: known.windows.get(window_key(keys[site], site)) for site in sites}
    undecided = {site: keys[site] for site in sites if chosen[site] is None}
    for site, histogram in _macs(converted, undecided, batches, known).items():
        chosen[site] = _choose_window(site, histogram)
    for site, choice in chosen.items():
        if choice is None:
            raise AssertionError(site.config.site)
        keep(known.windows, window_key(keys[site], site), choice)
        site.set_window((choice.low_mac, choice.high_mac))
        label = site.config.site
        found[label] = replace(found[label], window=choice)


def _choose_window(site: CimModule, histogram: MacHistogram) -> WindowChoice:
    how, read = site.choosing, replace(site.config.read, window=None, window_known=True)
    return _describe_window(site, histogram, choose_window(histogram, read, str(how.window), how.window_percentile))


def _describe_window(site: CimModule, histogram: MacHistogram, window: tuple[float, float]) -> WindowChoice:
    how, read = site.choosing, replace(site.config.read, window=None, window_known=True)
    return WindowChoice(
        method=str(how.window),
        percentile=how.window_percentile if how.window == "percentile" else None,
        low_mac=window[0],
        high_mac=window[1],
        clipped=clipped(histogram, window),
        csnr_db=compute_snr(histogram, read, window),
        full_range_csnr_db=compute_snr(histogram, read, (0.0, float(read.rows))),
        values=histogram.total,
        constant=histogram.constant,
    )


def _macs(
    converted: ConvertedModel, keys: Mapping[CimModule, Key], batches: Iterable[Batch], known: Observations
) -> dict[CimModule, MacHistogram]:
    """Return the MAC values of each site's reads; the ideal integer model runs where some are not known."""
    new = {
        site: MacHistogram(site.config.read.rows, site.config.read.signed)
        for site, key in keys.items()
        if key not in known.macs
    }
    kept = {site: known.macs[key] for site, key in keys.items() if site not in new}

    def observe(site: CimModule, streamed: Tensor, stored: Tensor, clip: Tensor | None) -> None:
        observe_macs(site, streamed, stored, new[site], clip)

    _observe(converted, list(new), batches, "integer", observe)
    for site, histogram in new.items():
        keep(known.macs, keys[site], histogram)
    return {**kept, **new}


def _observe(
    converted: ConvertedModel,
    sites: Sequence[CimModule],
    batches: Iterable[Batch],
    fidelity: Fidelity,
    observe: Callable[[CimModule, Tensor, Tensor, Tensor | None], None],
) -> None:
    """Run the model at a fidelity, and tell what each of the sites multiplies; not where there is no site."""
    if not sites:
        return
    for site in sites:
        site.observer = partial(observe, site)
    converted.set_fidelity(fidelity)
    seen = 0
    for batch in batches:
        inputs = batch if isinstance(batch, tuple) else (batch,)
        converted.signature.check(inputs, {})
        converted.body(*inputs)
        seen += 1
    if not seen:
        message = "there is nothing to calibrate on: no batch was given"
        raise DataError(message)
    for site in sites:
        site.observer = None


@contextmanager
def _restoring(converted: ConvertedModel) -> Iterator[None]:
    """Put back how sites compute, whatever happens; and earlier scales and windows, if something fails."""
    sites = list(converted.sites().values())
    fidelities = [site.fidelity for site in sites]
    scales = [(scale, scale.clone()) for site in sites for scale in scales_of(site)]
    reads = [site.config.read for site in sites]
    try:
        yield
    except BaseException:
        for scale, earlier in scales:
            scale.copy_(earlier)
        for site, read in zip(sites, reads, strict=True):
            if site.config.read != read:
                site.restore_read(read)
        raise
    finally:
        for site, fidelity in zip(sites, fidelities, strict=True):
            site.fidelity = fidelity
            site.observer = None
