"""Measure the accuracy of a converted model: as float, as ideal integers, and as the simulated hardware."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import DataError, InputError, UsageError
from asim_fx.fingerprint import fingerprint
from asim_fx.nonidealities.reads import differs_by_die
from asim_fx.passes.lower_sites import RNG
from asim_fx.sharding import ALONE, Shard
from asim_fx.simulation.journal import BatchKey, BatchResult, Journal, Variant, open_journal
from asim_fx.simulation.metrics import (
    DieSpread,
    Estimate,
    estimate_of,
    spread_over_dies,
)

ALL_DIES_ALIKE = (
    "notice: nothing in this spec differs from die to die (capacitors, cells, converters): dies differ by the draws of "
    "their noise alone"
)

Progress = Callable[[int, int | None], None]
"""Called with finished batches and all batches, over all variants; None where the number is not known."""


@dataclass(frozen=True, slots=True)
class VariantResult:
    """The accuracy of one variant.

    Attributes:
        variant: ``float``, ``integer`` or ``hardware``.
        seeds: of the noise; empty without noise.
        images: different images, each seen once for every seed.
        top1: share of images with the right class first.
        top5: with the right class among the first five; None where there are five classes or fewer.
        images_per_second: of the forward passes, of all processes together.
        over_dies: top-1 over chips, where several were asked for.
    """

    variant: Variant
    seeds: tuple[int, ...]
    images: int
    top1: Estimate
    top5: Estimate | None
    images_per_second: float
    over_dies: DieSpread | None = None


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a simulation measured.

    Attributes:
        model: name of the model.
        spec: name of the hardware spec.
        data: the images, in words.
        device: where it ran.
        variants: one result each.
    """

    model: str
    spec: str
    data: str
    device: str
    variants: tuple[VariantResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def simulate(
    converted: ConvertedModel,
    data: DataSource,
    *,
    seeds: Sequence[int] = (0,),
    dies: int | None = None,
    baseline: bool = False,
    integer: bool = True,
    device: str | torch.device = "cpu",
    results_file: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    shard: Shard = ALONE,
) -> SimulationResult:
    """Run a converted model on labelled images.

    The ideal integer model runs once, the hardware once for each seed. Image ``n`` of the data is sample ``n`` of the
    noise, so that neither an interruption nor the number of images changes a result. Every finished batch is in the
    results file at once; after an exception ``resume`` goes on from there.

    Args:
        converted: the model; it is moved to the device.
        data: the images.
        seeds: of the noise.
        dies: how many chips to simulate, each with every seed: what is fixed in silicon is drawn once for each, and its
            noise is its own. None: one for each seed.
        baseline: whether to run the float model too.
        integer: whether to run the ideal integer model.
        device: where to run.
        results_file: JSON lines, one for each batch; None writes nothing.
        resume: whether to go on with what the results file holds.
        overwrite: whether to throw away what it holds.
        progress: told how far it is.
        shard: the share of this process. Each process runs whole batches, and returns the result of all of them: that
            of a single process to the bit, as each batch is made of the same images.

    Raises:
        DataError: the data does not suit the model, is empty, cannot be decoded, or is not the same in all processes.
        InputError: the model does not return one row of class scores for each image.
        UsageError: the results file holds results already, or is of another run.
        OutputError: the results file cannot be written.
    """
    target = torch.device(device)
    converted = converted.to(target).eval()
    # Nobody compares the identity of a run that is alone and writes nothing, and hashing the weights takes time.
    compared = results_file is not None or shard.count > 1
    header = {
        "model": converted.report.model,
        "spec": converted.report.spec,
        "model_identity": model_identity(converted) if compared else "",
        "data_identity": data.identity,
        "batch_size": data.batch_size,
        "device": target.type,
    }
    if any(other != header for other in shard.gather(header)):
        msg = "the processes do not have the same model and data"
        raise DataError(msg, hint="give all of them the same artifact, data and options")
    if dies is not None and dies < 1:
        msg = f"there must be at least one die, not {dies}"
        raise UsageError(msg)
    if dies is not None and not any(differs_by_die(site.config.read) for site in converted.sites().values()):
        logging.getLogger(__name__).warning(ALL_DIES_ALIKE)
    runs = _runs(seeds, [None] if dies is None else range(dies), baseline=baseline, integer=integer)
    path = results_file if shard.leads else None
    with open_journal(path, header, resume=resume, overwrite=overwrite) as journal:
        journal.finished = shard.gather(journal.finished)[0]
        try:
            _run_all(converted, data, runs, target, journal, progress, shard)
        finally:
            converted.set_fidelity("hardware")
        variants = _summarise(runs, journal.finished, shard.count)
    return SimulationResult(
        model=converted.report.model,
        spec=converted.report.spec,
        data=data.description,
        device=str(target),
        variants=variants,
    )


def model_identity(converted: ConvertedModel) -> str:
    """Return a hash of what a converted model computes: its graphs, its sites and its weights, not its seed."""
    digest = hashlib.sha256(fingerprint(converted.graph_modules).encode())
    for name, tensor in sorted(converted.body.state_dict().items()):
        if name.rpartition(".")[2] != RNG:
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


Run = tuple[Variant, int | None, int | None]
"""What runs, with which seed of the noise, on which die."""


def _runs(seeds: Sequence[int], dies: Sequence[int | None], *, baseline: bool, integer: bool) -> list[Run]:
    first: list[Run] = [("float", None, None)] if baseline else []
    first += [("integer", None, None)] if integer else []
    return [*first, *(("hardware", seed, die) for die in dies for seed in seeds)]


def _run_all(
    converted: ConvertedModel,
    data: DataSource,
    runs: Sequence[Run],
    device: torch.device,
    journal: Journal,
    progress: Progress | None,
    shard: Shard,
) -> None:
    total = None if data.batch_count is None else data.batch_count * len(runs)
    first = _first_unfinished(runs, journal.finished)
    done = first * len(runs)
    if total is not None and done >= total:
        return
    batches = data.batches(first + shard.rank, shard.count)
    # Batches outside and variants inside: every image is decoded once.
    for number in count(first + shard.rank, shard.count):
        batch = next(batches, None)
        at_work = sum(shard.gather(batch is not None))
        if not at_work:
            return
        for variant, seed, die in runs:
            result = None
            if batch is not None and BatchKey(variant, seed, die, number) not in journal.finished:
                images, labels = (part.to(device) for part in batch)
                converted.set_fidelity(variant)
                converted.reseed(seed or 0, first_sample=number * data.batch_size, die=die)
                right, seconds = _forward(converted, images, labels, data.classes)
                result = BatchResult(variant, seed, number, len(labels), *right, seconds, die)
            for finished in shard.gather(result):
                if finished is not None:
                    journal.append(finished)
            done += at_work
            if progress is not None:
                progress(done, total)


def _first_unfinished(runs: Sequence[Run], finished: Mapping[BatchKey, BatchResult]) -> int:
    """Return the first batch that some run has not finished."""
    batch = 0
    while all(BatchKey(*run, batch) in finished for run in runs):
        batch += 1
    return batch


@torch.no_grad()
def _forward(
    converted: ConvertedModel, images: Tensor, labels: Tensor, classes: int | None
) -> tuple[tuple[int, int | None], float]:
    """Return how many answers are right, among the first one and the first five, and the seconds it took."""
    _synchronise(images.device)
    started = time.perf_counter()
    scores = converted(images)
    _synchronise(images.device)
    seconds = time.perf_counter() - started
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        msg = "the model does not return one row of class scores for each image, so it has no accuracy"
        raise InputError(msg)
    outputs = scores.shape[1]
    largest = max(classes or 0, int(labels.max()) + 1)
    if largest > outputs:
        msg = f"the data has {largest} classes; the model tells {outputs} apart"
        raise DataError(msg, hint="convert the model with --num-classes and a checkpoint for this data")
    if int(labels.min()) < 0:
        msg = "some images have no label"
        raise DataError(msg)
    ranked = scores.topk(min(5, outputs), dim=1).indices == labels[:, None]
    top5 = int(ranked.sum()) if outputs > 5 else None
    return (int(ranked[:, 0].sum()), top5), seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _summarise(
    runs: Sequence[Run], finished: Mapping[BatchKey, BatchResult], processes: int
) -> tuple[VariantResult, ...]:
    variants = dict.fromkeys(run[0] for run in runs)
    return tuple(
        _summarise_variant(variant, [run for run in runs if run[0] == variant], finished, processes)
        for variant in variants
    )


def _summarise_variant(
    variant: Variant, runs: Sequence[Run], finished: Mapping[BatchKey, BatchResult], processes: int
) -> VariantResult:
    by_run = [[result for key, result in finished.items() if key[:3] == run] for run in runs]
    images = sum(result.images for result in by_run[0])
    if not images:
        msg = "there are no images"
        raise DataError(msg)
    everything = [result for results in by_run for result in results]
    dies = [run[2] for run in runs]
    top1 = [sum(result.top1 for result in results) for results in by_run]
    has_top5 = all(result.top5 is not None for result in everything)
    return VariantResult(
        variant=variant,
        seeds=tuple(dict.fromkeys(run[1] for run in runs if run[1] is not None)),
        images=images,
        top1=_estimate(top1, dies, images),
        top5=_estimate([sum(result.top5 or 0 for result in results) for results in by_run], dies, images)
        if has_top5
        else None,
        images_per_second=processes * len(runs) * images / max(sum(result.seconds for result in everything), 1e-9),
        over_dies=None if dies[0] is None else spread_over_dies(_of_dies(top1, dies, images)),
    )


def _estimate(right: Sequence[int], dies: Sequence[int | None], images: int) -> Estimate:
    of_dies = _of_dies(right, dies, images)
    if len(of_dies) > 1:
        return estimate_of(of_dies, images, "dies")
    return estimate_of([100 * count / images for count in right], images)


def _of_dies(right: Sequence[int], dies: Sequence[int | None], images: int) -> list[float]:
    """Return the share of each die in percent, the mean over its seeds; one share where no dies were asked for."""
    counts: dict[int | None, list[int]] = {}
    for die, own_right in zip(dies, right, strict=True):
        counts.setdefault(die, []).append(own_right)
    return [100 * sum(own) / (len(own) * images) for own in counts.values()]
