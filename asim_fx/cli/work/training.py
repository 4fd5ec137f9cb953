"""From command-line words to a training run. Imports torch: only for the body of a command."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asim_fx.cli.work.planning import ModelOptions, example_inputs
from asim_fx.data import DataSource, open_data
from asim_fx.data.datasets import ImageList
from asim_fx.errors import DataError, OutputError, UsageError
from asim_fx.models import build_model
from asim_fx.models.devices import resolve_device
from asim_fx.sharding import Shard
from asim_fx.spec import load_spec
from asim_fx.training.calibration_set import CalibrationSet, choose_calibration_set
from asim_fx.training.drop_path import hidden_dropouts
from asim_fx.training.epoch_record import FIDELITY_WORDS, EpochRecord
from asim_fx.training.evaluation import EVALUATED_AS
from asim_fx.training.fabric import connect, disconnect
from asim_fx.training.form import bounds_of, trainable_form, unused_parameters
from asim_fx.training.logs import LOGS
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.recipe_file import read_recipe
from asim_fx.training.run import train
from asim_fx.training.run_checkpoint import CHECKPOINT
from asim_fx.training.run_context import Run
from asim_fx.training.run_end import TrainingOutcome
from asim_fx.training.run_files import TRIM_NOISE
from asim_fx.training.samples import hold_out, listed, refuse_same_images, training_transform


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The options that name images."""

    source: str
    split: str
    val: str | None
    val_split: str
    data_dir: Path | None
    num_samples: int | None
    workers: int


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that say where and how a run happens."""

    output: Path
    recipe: Path | None
    settings: Mapping[str, Any]
    device: str
    save_every: int
    eval_every: int
    eval_start: bool
    resume: bool
    scratch: bool


def train_model(
    model: str,
    spec: str,
    overrides: tuple[str, ...],
    model_options: ModelOptions,
    data: DataOptions,
    options: RunOptions,
    shard: Shard,
    *,
    progress: Callable[[int, int], None],
    on_epoch: Callable[[EpochRecord], None],
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> TrainingOutcome:
    """Train the model that a user named."""
    recipe = read_recipe(options.recipe, options.settings)
    document = load_spec(spec, overrides)
    _share(data.val)
    resume = options.resume and (options.output / CHECKPOINT).exists()
    if shard.leads:
        _check_folder(options.output, resume=resume)
        if options.resume and not resume:
            say(f"note: {options.output} holds no checkpoint yet, so training starts from the beginning")
    built = build_model(
        model,
        pretrained=model_options.pretrained,
        checkpoint=model_options.checkpoint,
        num_classes=model_options.num_classes,
        input_size=model_options.input_size,
        model_kwargs=model_options.model_kwargs,
        seed=recipe.seed,
        bounded=not recipe.pact,
        scratch=options.scratch,
    )
    if built.bounds and recipe.pact:
        say(f"note: {len(built.bounds)} learned bounds start from those of {model_options.checkpoint}")
    sources = open_images(data, built.source.data_config, recipe)
    images, validation = sources.training, sources.validation
    say(describe_run(images, validation, recipe))
    hidden = hidden_dropouts(built.model)
    if hidden:
        say(f"note: dropout within fused attention is left out: {', '.join(hidden[:3])}{_more(hidden)}")
    device = resolve_device(options.device, shard.local_rank)
    try:
        fabric = connect(device, recipe.precision, shard)
    except (ValueError, RuntimeError) as error:
        message = f"--amp {recipe.precision} on {options.device}: {error}"
        raise UsageError(message, hint="leave out --amp, or choose another precision or device") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and timm's words about their own code
        net = trainable_form(
            built.model,
            document,
            example_inputs(built, recipe.seed),
            source=built.source,
            pact=recipe.pact,
            freeze_bn=recipe.freeze_bn,
            bounds=built.bounds,
        )
        if recipe.pact and not bounds_of(net):
            say("note: --pact has no effect: the model has no ReLU")
        unused = unused_parameters(net, built.model)
        if unused:
            say(f"note: inference does not use {', '.join(unused[:3])}{_more(unused)}; these stay what they are")
        run = Run(
            folder=options.output,
            fabric=fabric,
            shard=shard,
            workers=data.workers,
            save_every=options.save_every,
            eval_every=options.eval_every,
            eval_start=options.eval_start,
            resume=resume,
            progress=progress,
            on_epoch=on_epoch,
            note=lambda words: say(f"note: {words}"),
            stopped=stopped,
        )
        trained = train(net, built.model, images, validation, recipe, run, sources.calibration)
    disconnect(shard)
    return trained


@dataclass(frozen=True, slots=True)
class Sources:
    """The images of a run.

    Attributes:
        training: those to train on.
        validation: those to evaluate on.
        calibration: some of those to train on, prepared as for evaluation.
    """

    training: ImageList
    validation: DataSource
    calibration: CalibrationSet


def describe_run(images: ImageList, validation: DataSource, recipe: TrainingRecipe) -> str:
    """Return a line about what will be trained on and evaluated."""
    count, batch = len(images), min(len(images), recipe.batch_size)
    updates = count // batch
    left = count - updates * batch
    classes = "" if images.classes is None else f" of {images.classes} classes"
    epochs = _counted(recipe.epochs, "epoch")
    words = f"training on {_counted(count, 'image')}{classes}: {epochs} of {_counted(updates, 'update')} of {batch}"
    if left:
        words += f" (each epoch leaves out {_counted(left, 'image')}, others each time)"
    amount = "" if validation.samples is None else f"{_counted(validation.samples, 'image')}: "
    return f"{words}; evaluated on {amount}top-1 of {FIDELITY_WORDS[EVALUATED_AS[recipe.mode]]}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def simulate_command(output: Path, data: DataOptions, trained: TrainingOutcome) -> str:
    """Return the command that measures the trained model again; the empty string where images were held out."""
    if _share(data.val) is not None:
        return ""
    words = ["asim-simulate", str(output), "--data", data.val or data.source, "--split", data.val_split]
    if data.data_dir is not None:
        words += ["--data-dir", str(data.data_dir)]
    words += ["-b", str(trained.batch_size), *(["--seeds", str(trained.seed)] if trained.seed else [])]
    if trained.fidelity == "float":
        words.append("--baseline")
    return shlex.join(words)


def open_images(data: DataOptions, config: Mapping[str, Any], recipe: TrainingRecipe) -> Sources:
    """Return the images to train on, those to evaluate on and those to calibrate on.

    Raises:
        DataError: either is missing, empty, of one class, or does not suit the model; or both are the same images.
    """
    if not config:
        message = "the model does not say how its images are prepared"
        raise DataError(message, hint="train a model that takes one batch of images")
    transform = training_transform(data.source, config, recipe)

    def open_(source: str, split: str, samples: int | None, *, training: bool) -> DataSource:
        return open_data(
            source,
            config=config,
            data_dir=data.data_dir,
            split=split,
            batch_size=recipe.batch_size,
            workers=data.workers,
            num_samples=samples,
            balanced=True,
            transform=transform if training else None,
        )

    source = open_(data.source, data.split, data.num_samples, training=True)
    plain = open_(data.source, data.split, data.num_samples, training=False)
    share = _share(data.val)
    if share is not None:
        images, validation = hold_out(source, plain, share, recipe.seed)
        unaugmented, _ = hold_out(plain, plain, share, recipe.seed)
    else:
        validation = open_(data.val or data.source, data.val_split, None, training=False)
        refuse_same_images(source, validation)
        images, unaugmented = listed(source), listed(plain)
    calibration = choose_calibration_set(
        unaugmented, recipe.calib_samples, recipe.seed, source=data.source, split=data.split
    )
    return Sources(images, validation, calibration)


def _more(names: Sequence[str], shown: int = 3) -> str:
    return f" and {len(names) - shown} more" if len(names) > shown else ""


def _share(text: str | None) -> float | None:
    try:
        share = float(text or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        message = f"--val {text}: a share to hold out lies between 0 and 1"
        raise UsageError(message)
    return share


def _check_folder(folder: Path, *, resume: bool) -> None:
    """Refuse a folder with another run in it, or with something else than a run that was ended before it began."""
    if resume or not folder.exists():
        return
    if (folder / CHECKPOINT).exists():
        message = f"{folder} holds a training run"
        raise OutputError(message, hint="--resume goes on with it; or choose another folder, or remove it")
    if not folder.is_dir() or any(not _left_over(held.name) for held in folder.iterdir()):
        message = f"{folder} exists and holds no training run"
        raise OutputError(message, hint="choose another folder, or remove it")


def _left_over(name: str) -> bool:
    """Whether a file may be that of a run which was killed before it saved anything."""
    return name in (LOGS, TRIM_NOISE) or (name.startswith(f".{CHECKPOINT}") and name.endswith(".tmp"))
