"""From command-line words to a training run. Imports torch: only for the body of a command."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from asim_fx.cli.work.planning import ModelOptions, build, example_inputs
from asim_fx.data import DataSource, open_data
from asim_fx.data.datasets import ImageList
from asim_fx.errors import DataError, OutputError, UsageError
from asim_fx.models import BuiltModel
from asim_fx.models.devices import resolve_device
from asim_fx.sharding import Shard
from asim_fx.spec import load_spec
from asim_fx.training.exchange import connect
from asim_fx.training.form import trainable_form
from asim_fx.training.logs import LOGS
from asim_fx.training.recipe import TrainingRecipe, change_recipe
from asim_fx.training.run import CHECKPOINT, Run, TrainingOutcome, train
from asim_fx.training.samples import hold_out, listed, training_transform
from asim_fx.training.visible import hidden_dropouts


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
    on_epoch: Callable[[Mapping[str, Any]], None],
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
    built = build(model, replace(model_options, bounded=not recipe.pact))
    if built.bounds and recipe.pact:
        say(f"note: {len(built.bounds)} learned bounds start from those of {model_options.checkpoint}")
    if options.scratch:
        _randomise(built, recipe.seed)
    images, validation = open_images(data, built.source.data_config, recipe)
    hidden = hidden_dropouts(built.model)
    if hidden:
        say(f"note: dropout within fused attention is left out: {', '.join(hidden[:3])}")
    device = resolve_device(options.device, shard.local_rank)
    try:
        fabric = connect(device, recipe.precision, shard)
    except (ValueError, RuntimeError) as error:
        message = f"--amp {recipe.precision} on {options.device}: {error}"
        raise UsageError(message, hint="leave out --amp, or choose another device") from error
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
        run = Run(
            options.output,
            fabric,
            shard,
            data.workers,
            options.save_every,
            options.eval_every,
            resume,
            progress,
            on_epoch,
            stopped,
        )
        return train(net, built.model, images, validation, recipe, run)


def read_recipe(path: Path | None, settings: Mapping[str, Any]) -> TrainingRecipe:
    """Return the settings of a YAML file, with those of the command line over them.

    Raises:
        UsageError: the file cannot be read, or there is no such setting.
    """
    recipe = TrainingRecipe()
    if path is not None:
        try:
            held = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            message = f"cannot read {path}: {error}"
            raise UsageError(message) from error
        if not isinstance(held, dict):
            message = f"{path} is no mapping of settings"
            raise UsageError(message, hint="for example: {mode: qat, epochs: 30, lr: 0.001}")
        recipe = change_recipe(recipe, held, str(path))
    return change_recipe(recipe, settings, "the options")


def open_images(data: DataOptions, config: Mapping[str, Any], recipe: TrainingRecipe) -> tuple[ImageList, DataSource]:
    """Return the images to train on, and those to evaluate on.

    Raises:
        DataError: either is missing, empty, of one class, or does not suit the model.
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
    share = _share(data.val)
    if share is not None:
        plain = open_(data.source, data.split, data.num_samples, training=False)
        return hold_out(source, plain, share, recipe.seed)
    return listed(source), open_(data.val or data.source, data.val_split, None, training=False)


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
    return name == LOGS or (name.startswith(f".{CHECKPOINT}") and name.endswith(".tmp"))


def _randomise(built: BuiltModel, seed: int) -> None:
    """Give every layer that can draw its own weights new ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in built.model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
