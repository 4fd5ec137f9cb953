"""asim-train: train a model as it will run on the hardware of a spec."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asim_fx.cli.interrupts import interrupt_flag
from asim_fx.cli.streams import write_document
from asim_fx.errors import UsageError
from asim_fx.sharding import shard_of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asim_fx.training.epoch_record import EpochRecord
    from asim_fx.training.run_end import TrainingOutcome

HELP = """Train MODEL as it will run on the hardware of SPEC, and write to DIR what it
became: a converted model for asim-simulate, weights.safetensors (a plain state
dict for --checkpoint), checkpoints, TensorBoard logs, curves, a confusion
matrix and the misclassified images.

--mode qat rounds operands as the hardware does; nat adds ASiM's trim noise to
each result; hardware sends every forward pass through the simulated reads.
Batch norms are trained and not folded. The accuracy after each epoch is that of
the float model (float), of ideal integers (qat) or of the simulated hardware
(nat, hardware); the last lines give that of the hardware too. Optimisers, schedules, policies and
mixing are timm's, by their names there.

Several processes share each batch: torchrun --nproc-per-node=2 -m asim_fx
train MODEL SPEC ... gives the same bits as one process with --parts 2 and as
many threads. torchrun sets OMP_NUM_THREADS=1 unless it is set."""


class ModeOption(StrEnum):
    """What the forward pass computes."""

    FLOAT = "float"
    QAT = "qat"
    NAT = "nat"
    HARDWARE = "hardware"


class LossOption(StrEnum):
    """The loss."""

    CROSS_ENTROPY = "cross-entropy"
    BCE = "bce"


class PrecisionOption(StrEnum):
    """Floating-point precision."""

    FULL = "32-true"
    BF16 = "bf16-mixed"
    FP16 = "16-mixed"


class KeepOption(StrEnum):
    """Which epoch is kept."""

    LAST = "last"
    BEST = "best"


Setting = "Training settings"
Augmentation = "Augmentation"


def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="What to train.", show_default=False)],
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The hardware.", show_default=False)],
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Images to train on.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where everything goes.", show_default=False)
    ],
    val: Annotated[
        str | None,
        typer.Option(metavar="SOURCE|SHARE", help="Images to evaluate on, or a share to hold out (0.1)."),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the data to train on.")] = "train",
    val_split: Annotated[str, typer.Option(metavar="NAME", help="Part to evaluate on.")] = "validation",
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Where named data sets lie.")] = None,
    num_samples: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Train on N images, of a folder in turn from each class.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-j", metavar="N", min=0, help="Decoding processes.")] = 2,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Change a field of the spec. Repeatable.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as YAML; options on the command line win.")
    ] = None,
    mode: Annotated[
        ModeOption | None, typer.Option(help="Forward pass. Default: qat.", rich_help_panel=Setting)
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Default: 10.", rich_help_panel=Setting)] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", "-b", metavar="N", help="Of all processes. Default: 64.", rich_help_panel=Setting),
    ] = None,
    parts: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Pieces that a batch is computed in. Default: processes.", rich_help_panel=Setting
        ),
    ] = None,
    opt: Annotated[str | None, typer.Option(metavar="NAME", help="Default: adamw.", rich_help_panel=Setting)] = None,
    lr: Annotated[float | None, typer.Option(metavar="X", help="Default: 0.001.", rich_help_panel=Setting)] = None,
    weight_decay: Annotated[
        float | None, typer.Option(metavar="X", help="Default: 0.05.", rich_help_panel=Setting)
    ] = None,
    momentum: Annotated[float | None, typer.Option(metavar="X", help="Default: 0.9.", rich_help_panel=Setting)] = None,
    clip_grad: Annotated[
        float | None, typer.Option(metavar="X", help="Largest norm of the gradient.", rich_help_panel=Setting)
    ] = None,
    sched: Annotated[str | None, typer.Option(metavar="NAME", help="Default: cosine.", rich_help_panel=Setting)] = None,
    warmup_epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Linear, from --warmup-lr. Default: 0.", rich_help_panel=Setting)
    ] = None,
    warmup_lr: Annotated[
        float | None, typer.Option(metavar="X", help="Start of the warm-up. Default: lr/100.", rich_help_panel=Setting)
    ] = None,
    min_lr: Annotated[
        float | None, typer.Option(metavar="X", help="At the end of the schedule. Default: 0.", rich_help_panel=Setting)
    ] = None,
    decay_epochs: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="step: epochs between decays; multistep: after which epochs; wsd: epochs of decay.",
            rich_help_panel=Setting,
        ),
    ] = None,
    decay_rate: Annotated[
        float | None,
        typer.Option(metavar="X", help="Factor of a decay; power of poly. Default: 0.1.", rich_help_panel=Setting),
    ] = None,
    loss: Annotated[LossOption | None, typer.Option(help="Default: cross-entropy.", rich_help_panel=Setting)] = None,
    smoothing: Annotated[
        float | None, typer.Option(metavar="X", help="Of labels. Default: 0.1.", rich_help_panel=Setting)
    ] = None,
    trim_noise: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Trim noise of nat, of each result. Default: measured at each site.",
            rich_help_panel=Setting,
        ),
    ] = None,
    trim_factor: Annotated[
        float | None, typer.Option(metavar="X", help="Trim noise times this. Default: 1.", rich_help_panel=Setting)
    ] = None,
    trim_additive: Annotated[
        bool | None,
        typer.Option(
            "--trim-additive",
            help="Noise of the same standard deviation for every element (percent of the site's RMS output).",
            rich_help_panel=Setting,
        ),
    ] = None,
    pact: Annotated[
        bool | None, typer.Option("--pact", help="Give ReLUs a learned bound.", rich_help_panel=Setting)
    ] = None,
    pact_decay: Annotated[
        float | None,
        typer.Option(metavar="X", help="L2 penalty on the learned bounds. Default: 0.001.", rich_help_panel=Setting),
    ] = None,
    freeze_bn: Annotated[
        bool | None, typer.Option("--freeze-bn", help="Batch norms stay as they are.", rich_help_panel=Setting)
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="DECAY",
            help="Evaluate and keep a moving average of the weights. Default: none.",
            rich_help_panel=Setting,
        ),
    ] = None,
    calib_samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Training images for static scales and windows, which are chosen at each epoch. Default: 256.",
            rich_help_panel=Setting,
        ),
    ] = None,
    keep: Annotated[
        KeepOption | None,
        typer.Option(help="Epoch that the artifact and the weights are of. Default: last.", rich_help_panel=Setting),
    ] = None,
    amp: Annotated[
        PrecisionOption | None,
        typer.Option(help="Floating-point precision. Default: 32-true.", rich_help_panel=Setting),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Default: 0.", rich_help_panel=Setting)] = None,
    aa: Annotated[
        str | None, typer.Option(metavar="POLICY", help="rand-m9-mstd0.5 ...", rich_help_panel=Augmentation)
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(help="Random crops, flips and colours. Default: augment.", rich_help_panel=Augmentation),
    ] = None,
    hflip: Annotated[
        float | None, typer.Option(metavar="P", help="Default: 0.5.", rich_help_panel=Augmentation)
    ] = None,
    reprob: Annotated[
        float | None, typer.Option(metavar="P", help="Of random erasing. Default: 0.", rich_help_panel=Augmentation)
    ] = None,
    crop_min: Annotated[
        float | None, typer.Option(metavar="X", help="Smallest crop. Default: 0.08.", rich_help_panel=Augmentation)
    ] = None,
    color_jitter: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Of brightness, contrast, saturation. Default: 0.4.", rich_help_panel=Augmentation
        ),
    ] = None,
    mixup: Annotated[float | None, typer.Option(metavar="A", help="Default: 0.", rich_help_panel=Augmentation)] = None,
    cutmix: Annotated[float | None, typer.Option(metavar="A", help="Default: 0.", rich_help_panel=Augmentation)] = None,
    checkpoint: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights to start from.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from the library's own weights.")] = False,
    num_classes: Annotated[int | None, typer.Option(metavar="N", min=1, help="Outputs of the classifier.")] = None,
    input_size: Annotated[
        tuple[int, int, int] | None, typer.Option(metavar="C H W", help="Channels, height, width of an image.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Argument of the model's constructor. Repeatable.")
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Start from random weights, even if the model ships with its own.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, cuda:1, mps.")] = "cpu",
    save_every: Annotated[
        int, typer.Option(metavar="N", min=0, help="Updates between checkpoints; 0: one an epoch.")
    ] = 0,
    eval_every: Annotated[int, typer.Option(metavar="N", min=1, help="Epochs between evaluations.")] = 1,
    eval_start: Annotated[
        bool, typer.Option("--eval-start/--no-eval-start", help="Evaluate before the first update too.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in DIR, if there is one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each epoch.")] = False,
) -> None:
    """Train a model as it will run on hardware."""
    shard = shard_of_environment()
    settings = _settings(context.params)
    if scratch and (pretrained or checkpoint is not None):
        message = "--scratch starts from random weights: it does not go with --pretrained or --checkpoint"
        raise UsageError(message)
    from asim_fx.cli.console import progress_bar
    from asim_fx.cli.work.modules import refuse_missing

    refuse_missing("lightning_fabric", "asim-train", "train")
    with progress_bar(shown=shard.leads) as bar, interrupt_flag() as stopped:
        task = bar.add_task("loading", total=None)
        from asim_fx.cli.work.planning import ModelOptions
        from asim_fx.cli.work.training import DataOptions, RunOptions, simulate_command, train_model

        model_options = ModelOptions(
            checkpoint=checkpoint,
            pretrained=pretrained,
            num_classes=num_classes,
            input_size=input_size,
            model_kwargs=tuple(model_kwargs or ()),
            seed=settings.get("seed", 0),
        )
        data_options = DataOptions(data, split, val, val_split, data_dir, num_samples, workers)
        trained = train_model(
            model,
            spec,
            tuple(set_ or ()),
            model_options,
            data_options,
            RunOptions(output, recipe, settings, device, save_every, eval_every, eval_start, resume, scratch),
            shard,
            progress=lambda done, total: bar.update(task, description="training", completed=done, total=total),
            on_epoch=lambda record: _tell(record, as_json=as_json) if shard.leads else None,
            say=lambda words: bar.console.print(words, markup=False) if shard.leads else None,
            stopped=stopped,
        )
        repeat = simulate_command(output, data_options, trained)
    if shard.leads:
        _tell_outcome(trained, output, repeat, as_json=as_json)


_RENAMED = {"precision": "amp"}
"""Options whose name is not that of their setting."""


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe that were given as options, by name."""
    from dataclasses import fields

    from asim_fx.training.recipe import TrainingRecipe

    names = [field.name for field in fields(TrainingRecipe)]
    given = {name: options[_RENAMED.get(name, name)] for name in names}
    plain = {name: str(value) if isinstance(value, StrEnum) else value for name, value in given.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _print(line: str) -> None:
    write_document(f"{line}\n")
    sys.stdout.flush()


def _tell(record: EpochRecord, *, as_json: bool) -> None:
    if as_json:
        _print(json.dumps(record.to_json()))
        return
    from asim_fx.training.epoch_record import FIDELITY_WORDS

    trained = "" if record.train_loss is None else f"  loss {record.train_loss:.4f}"
    if record.train_top1 is not None:
        trained += f"  train top-1 {record.train_top1:6.2f} %"
    of = FIDELITY_WORDS[record.fidelity]
    measured = "" if record.top1 is None else f"  validation {record.loss:.4f}  top-1 {record.top1:6.2f} % of {of}"
    name = "before training" if record.epoch == 0 else f"epoch {record.epoch:4d}"
    _print(f"{name}{trained}{measured}  {record.seconds:.1f} s")


def _tell_outcome(trained: TrainingOutcome, output: Path, repeat: str, *, as_json: bool) -> None:
    from asim_fx.training.epoch_record import FIDELITY_WORDS
    from asim_fx.training.run_files import best_epoch

    answers, hardware = trained.answers, trained.hardware
    on_hardware = answers.top1 if trained.fidelity == "hardware" else None if hardware is None else hardware.top1
    if as_json:
        told = {
            "top1": answers.top1,
            "loss": answers.loss,
            "fidelity": trained.fidelity,
            "hardware_top1": on_hardware,
            "epoch": trained.epoch,
            "directory": str(output),
        }
        _print(json.dumps(told))
        return
    images = f"on {len(answers.labels)} images"
    _print(f"top-1 {answers.top1:.2f} % of {FIDELITY_WORDS[trained.fidelity]} {images}; wrote {output}")
    if hardware is not None:
        _print(f"top-1 {hardware.top1:.2f} % of {FIDELITY_WORDS['hardware']} {images}")
    elif trained.fidelity == "integer":
        _print("the simulated hardware gives the same: the converters of this spec are ideal")
    if repeat:
        _print(f"to repeat it: {repeat}")
    last, best = trained.history[-1].epoch, best_epoch(trained.history)
    if trained.epoch != last:
        _print(f"artifact and weights are of epoch {trained.epoch}, the most accurate one of {last}")
    if best is not None and best != trained.epoch:
        top1 = next(record.top1 for record in trained.history if record.epoch == best)
        _print(
            f"epoch {best} was better ({top1:.2f} %): its weights are in {output / 'best.safetensors'}; "
            f"--keep best makes the artifact of it"
        )
