"""Measure how faithfully each site computes, by itself and after all sites before it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import DataError, UsageError
from asim_fx.nn import CimConv, CimConvTranspose, CimModule, CimRecurrence, Fidelity
from asim_fx.passes.lower_sites import RNG
from asim_fx.report.fidelity import FidelityReport, SiteFidelity, decibels
from asim_fx.simulation.stepping import stepped

Progress = Callable[[int, int | None], None]
"""Called with finished batches and all batches; None where the number is not known."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a site in a run.

    Attributes:
        name: qualified name of the module.
        operands: what it was called with; random numbers come last.
        result: what it returned: of a recurrence, the outputs of all steps.
    """

    name: str
    operands: tuple[Any, ...]
    result: Tensor


@dataclass(slots=True)
class Energies:
    """Sums of squares over all results of a site: of signals without their bias, and of differences."""

    values: int = 0
    of_float: float = 0.0
    of_integer: float = 0.0
    of_integer_run: float = 0.0
    sqnr: float = 0.0
    csnr: float = 0.0
    snr: float = 0.0
    cumulative_sqnr: float = 0.0
    cumulative_csnr: float = 0.0
    cumulative_snr: float = 0.0


@dataclass(slots=True)
class Probe:
    """What has been measured so far, by module name in the order of the network."""

    sites: dict[str, Energies] = field(default_factory=dict)

    def add(self, floating: Call, ideal: Call, chip: Call, ideal_site: CimModule, chip_site: CimModule) -> None:
        """Compare one call of a site in three runs.

        Raises:
            UsageError: the runs do not make the same calls.
        """
        if not floating.name == ideal.name == chip.name or not (
            floating.result.shape == ideal.result.shape == chip.result.shape
        ):
            message = f"site {chip.name} is called otherwise by the float model: what runs depends on values"
            raise UsageError(message, hint="--probe needs a model that makes the same calls whatever it computes")
        sums = self.sites.setdefault(chip.name, Energies())
        given = (*floating.operands[:-1], chip.operands[-1])
        integer = _result(ideal_site.forward(*given))
        hardware = _result(chip_site.forward(*given))
        bias = _bias_of(chip_site, given)
        sums.values += hardware.numel()
        sums.of_float += _energy(floating.result, bias)
        sums.of_integer += _energy(integer, bias)
        sums.of_integer_run += _energy(ideal.result, bias)
        sums.sqnr += _energy(integer, floating.result)
        sums.csnr += _energy(hardware, integer)
        sums.snr += _energy(hardware, floating.result)
        sums.cumulative_sqnr += _energy(ideal.result, floating.result)
        sums.cumulative_csnr += _energy(chip.result, ideal.result)
        sums.cumulative_snr += _energy(chip.result, floating.result)


@torch.no_grad()
def probe(
    converted: ConvertedModel,
    data: DataSource,
    *,
    seeds: Sequence[int] = (0,),
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> FidelityReport:
    """Return the signal to noise ratios of every site.

    Three models run through each batch in step: float, ideal integer and hardware. Of their activations, only those at
    hand are alive; results are compared and added up at once. Image ``n`` is sample ``n`` of the noise, as in
    ``simulate``.

    Args:
        converted: the model; it is moved to the device.
        data: the images; labels do not matter.
        seeds: of the noise; each goes through all images.
        device: where to run.
        progress: told how far it is.

    Raises:
        DataError: there are no images, or one cannot be decoded.
        InputError: the images do not suit the model.
        UsageError: the model has no site, or its runs do not make the same calls.
    """
    target = torch.device(device)
    converted = converted.to(target).eval()
    if not converted.sites():
        message = "the model has no analog or integer site, so there is nothing to probe"
        raise UsageError(message)
    floating, ideal = _twin(converted, "float"), _twin(converted, "integer")
    found, images = Probe(), 0
    total = None if data.batch_count is None else data.batch_count * len(seeds)
    for number, (batch, _) in enumerate(data):
        images += len(batch)
        for turn, seed in enumerate(seeds):
            for model in (floating, ideal, converted):
                model.reseed(seed, first_sample=number * data.batch_size)
            _compare(floating, ideal, converted, batch.to(target), found)
            if progress is not None:
                progress(number * len(seeds) + turn + 1, total)
    if not images:
        message = "there are no images"
        raise DataError(message)
    return FidelityReport(
        model=converted.report.model,
        spec=converted.report.spec,
        data=data.description,
        images=images,
        seeds=tuple(seeds),
        sites=tuple(_ratios(converted, name, sums) for name, sums in found.sites.items()),
    )


def _twin(converted: ConvertedModel, fidelity: Fidelity) -> ConvertedModel:
    """Return a copy of a model that shares its weights but not its random numbers, at another fidelity."""
    shared = [*converted.parameters(), *(b for name, b in converted.named_buffers() if not name.endswith(RNG))]
    kept: list[Any] = [*shared, converted.report, converted.recipe]
    twin = copy.deepcopy(converted, {id(value): value for value in kept})
    twin.set_fidelity(fidelity)
    return twin


def _compare(
    floating: ConvertedModel, ideal: ConvertedModel, chip: ConvertedModel, images: Tensor, found: Probe
) -> None:
    floats, integers = stepped(partial(_run, floating, images)), stepped(partial(_run, ideal, images))
    ideal_sites, chip_sites = ideal.sites(), chip.sites()

    def compare(call: Call) -> None:
        found.add(next(floats), next(integers), call, ideal_sites[call.name], chip_sites[call.name])

    with ExitStack() as closing:
        closing.callback(_close, floats)
        closing.callback(_close, integers)
        _run(chip, images, compare)


def _close(calls: Iterator[Call]) -> None:
    calls.close()  # type: ignore[attr-defined]


@torch.no_grad()
def _run(model: ConvertedModel, images: Tensor, emit: Callable[[Call], None]) -> None:
    """Run a model once, and hand on every call of a site as it happens."""

    def hook(name: str, _: CimModule, operands: tuple[Any, ...], result: Any) -> None:
        emit(Call(name, operands, _result(result)))

    with ExitStack() as hooks:
        for name, site in model.sites().items():
            hooks.callback(site.register_forward_hook(partial(hook, name)).remove)
        model(images)


def _result(result: Any) -> Tensor:
    """Return what a site computes: of a recurrence, the outputs of all steps, without the last states."""
    tensor: Tensor = result[0] if isinstance(result, tuple) else result
    return tensor


def _bias_of(site: CimModule, operands: tuple[Any, ...]) -> Tensor | None:
    """Return the bias that a site adds digitally, shaped to be subtracted from its result: no part of the signal."""
    if isinstance(site, CimRecurrence) or len(operands) < 4 or operands[2] is None:
        return None
    bias: Tensor = operands[2]
    spatial = len(site.geometry.stride) if isinstance(site, CimConv | CimConvTranspose) else 0
    return bias.view(-1, *[1] * spatial)


def _energy(value: Tensor, reference: Tensor | None) -> float:
    """Return the sum of the squares of a difference, in float64."""
    difference = value.to(torch.float64) if reference is None else value.to(torch.float64) - reference
    return float(difference.square().sum())


def _ratios(converted: ConvertedModel, name: str, sums: Energies) -> SiteFidelity:
    label = converted.sites()[name].config.site
    rows = {row.name: row for row in converted.report.rows}
    row = rows.get(label) or rows.get(label.rpartition("@")[0])
    return SiteFidelity(
        site=label,
        kind="" if row is None else row.kind,
        target="" if row is None else row.target,
        sqnr_db=decibels(sums.of_float, sums.sqnr),
        csnr_db=decibels(sums.of_integer, sums.csnr),
        snr_db=decibels(sums.of_float, sums.snr),
        cumulative_sqnr_db=decibels(sums.of_float, sums.cumulative_sqnr),
        cumulative_csnr_db=decibels(sums.of_integer_run, sums.cumulative_csnr),
        cumulative_snr_db=decibels(sums.of_float, sums.cumulative_snr),
        values=sums.values,
    )
