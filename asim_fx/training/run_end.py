"""How a run ends: clipping and the simulated hardware are measured, and everything is written."""

from __future__ import annotations

from dataclasses import dataclass

from asim_fx.converted import ConvertedModel
from asim_fx.nn.module import exact_reads
from asim_fx.training.calibration_set import (
    choose_scales,
    clipping_warning,
    measure_clipping,
)
from asim_fx.training.checkpoint import Position
from asim_fx.training.epoch_record import EpochRecord, Fidelity
from asim_fx.training.evaluation import EVALUATED_AS, Answers
from asim_fx.training.form import deploy
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run_context import Training, evaluate_kept
from asim_fx.training.run_files import (
    WEIGHTS,
    best_epoch,
    draw,
    place_artifact,
    read_best_state,
    write_answers,
    write_history,
    write_trained,
)
from asim_fx.training.samples import class_names


@dataclass(frozen=True)
class TrainingOutcome:
    """What a run came to.

    Attributes:
        history: one record for each epoch, after that of the start.
        answers: of the trained model to the validation images, computed as in the evaluation of each epoch.
        fidelity: how that is.
        hardware: answers of the simulated hardware where ``answers`` are of something else that differs from it.
        epoch: whose weights were kept.
        batch_size: images of a batch of the evaluation; dynamic scales are those of a batch.
        seed: of the noise in the evaluation.
        converted: the trained model, as it was saved.
    """

    history: tuple[EpochRecord, ...]
    answers: Answers
    fidelity: Fidelity
    hardware: Answers | None
    epoch: int
    batch_size: int
    seed: int
    converted: ConvertedModel


def finish_run(training: Training, position: Position, answers: Answers | None) -> TrainingOutcome:
    """Write what a finished run leaves; a run that was resumed at its end has no answers yet."""
    run, net, recipe = training.run, training.trainee.kept, training.trainee.recipe
    device, epoch = run.fabric.device, position.epoch
    if recipe.keep == "best" and (best := best_epoch(position.history)) not in (None, epoch):
        read_best_state(run.folder, net)
        answers, epoch = None, best
    answers = evaluate_kept(training) if answers is None else answers
    if recipe.mode == "float":
        choose_scales(net, training.calibration, device)  # training had none; the artifact needs them
    else:
        measure_clipping(net, training.calibration, device)
    warning = clipping_warning(net)
    if warning is not None:
        run.note(f"warning: {warning}")
    hardware = evaluate_kept(training, "hardware") if _differs_on_hardware(net, recipe) else None
    net.cpu().eval()
    net.reseed(recipe.seed)
    result = deploy(net, training.model)
    result.calibration_images = net.calibration_images
    if run.shard.leads:
        write_history(run.folder, position.history)
        write_trained(run.folder / WEIGHTS, net, training.model)
        write_answers(run.folder, answers, training.validation)
        draw(run.folder, position.history, answers, class_names(training.validation.images))
        place_artifact(result, run.folder)
    run.shard.gather(True)  # no process ends before the files are there
    training.checkpoint.forget_previous()
    return TrainingOutcome(
        history=position.history,
        answers=answers,
        fidelity=EVALUATED_AS[recipe.mode],
        hardware=hardware,
        epoch=epoch,
        batch_size=training.validation.batch_size,
        seed=recipe.seed,
        converted=result,
    )


def _differs_on_hardware(net: ConvertedModel, recipe: TrainingRecipe) -> bool:
    """Return whether the simulated hardware computes something else than what was evaluated."""
    if recipe.mode == "float":
        return True
    return EVALUATED_AS[recipe.mode] == "integer" and any(not exact_reads(site) for site in net.sites().values())
