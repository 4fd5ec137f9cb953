"""What every figure shares: the network and images that the user names, the paper's chip, and one accuracy."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

import asim_fx
from asim_fx.cli.simulate import parse_seeds
from asim_fx.data import DataSource, open_data
from asim_fx.models import BuiltModel, build_model
from asim_fx.models.devices import resolve_device
from asim_fx.simulation import simulate
from asim_fx.spec import HardwareSpec, parse_spec
from benchmarks.machine import machine
from benchmarks.reproduce.command import Parser, count

INPUT_BITS = 8
CHIP = f"""
version: 1
name: paper
macros: {{m: {{rows: 256, adc: {{bits: 8}}}}}}
defaults: {{macro: m, weight_bits: 8, input_bits: {INPUT_BITS}}}
rules:
  - {{match: {{name: "@first_conv"}}, target: integer, optional: true}}
  - {{match: {{op: qk}}, input_bits: 9, optional: true}}
  - {{match: {{op: linear, name: ["**.self_attention.*", "**.attn.*"]}}, input_bits: 9, optional: true}}
"""
"""The paper's chip; K and what enters the projections of attention have a sign, and 9 bits with it."""


PAPER_NETWORKS = ("resnet18", "vit_b_32", "vit_base_patch32_224")
"""How the names of the paper's networks begin here and in timm."""


def chip(overrides: Sequence[str] = ()) -> HardwareSpec:
    return parse_spec(CHIP, "paper", overrides)


@dataclass(frozen=True)
class Setup:
    """A network, and images to measure it on.

    Attributes:
        options: of the command line.
    """

    options: argparse.Namespace

    @cached_property
    def built(self) -> BuiltModel:
        """The network, in float."""
        options = self.options
        return build_model(
            options.model,
            checkpoint=options.checkpoint,
            num_classes=options.num_classes,
            model_kwargs=options.model_kwargs,
        )

    @cached_property
    def data(self) -> DataSource:
        """The images."""
        options = self.options
        return open_data(
            options.data,
            config=self.built.source.data_config,
            data_dir=options.data_dir,
            split=options.split,
            batch_size=options.batch_size,
            num_samples=options.num_samples,
            balanced=True,
        )

    def __post_init__(self) -> None:
        """Check what would otherwise fail after the model was built.

        Raises:
            UsageError: no seeds, or no such device.
        """
        parse_seeds(self.options.seeds)
        resolve_device(self.options.device, 0)

    @property
    def network(self) -> str:
        """Its name, for the head of a column."""
        return self.options.model.rpartition(":")[2]

    @cached_property
    def baselines(self) -> tuple[float, float]:
        """Top-1 in % of the float model, and of ideal integers."""
        variants = {result.variant: result.top1.mean for result in self._simulate(("macros.m.adc.bits=ideal",), (0,))}
        return variants["float"], variants["integer"]

    def top1(self, *overrides: str) -> float:
        """Return the accuracy in % on the chip with these fields changed, the mean over the seeds.

        Without noise all seeds are the same, so one is run.
        """
        noisy = any(re.search(r"noise\.\w+=(?!0(\.0*)?$)", override) for override in overrides)
        seeds = parse_seeds(self.options.seeds)
        return self._simulate(overrides, seeds if noisy else seeds[:1])[-1].top1.mean

    def converted(self, overrides: Sequence[str]) -> asim_fx.ConvertedModel:
        """Return the network on the chip with these fields changed."""
        size = self.built.source.input_size or ()
        return asim_fx.convert(
            self.built.model,
            chip(overrides),
            torch.randn(2, *size),
            source=self.built.source,
            # ASiM quantises weights without the batch norms behind them.
            fold_batch_norm=self.options.fold,
        )

    def _simulate(self, overrides: Sequence[str], seeds: Sequence[int]) -> tuple:
        data, converted = self.data, self.converted(overrides)
        results = None
        if self.options.results is not None:
            weights = self.options.checkpoint.stem if self.options.checkpoint is not None else "own"
            folded = "folded" if self.options.fold else "unfolded"
            words = "_".join([self.network, weights, data.identity[:8], folded, *overrides])
            results = self.options.results / f"{re.sub(r'[^A-Za-z0-9.=_-]', '-', words)}.jsonl"
        print(f"{self.network}: {' '.join(overrides)}", file=sys.stderr, flush=True)
        baseline = "macros.m.adc.bits=ideal" in overrides
        return simulate(
            converted,
            data,
            seeds=seeds,
            baseline=baseline,
            results_file=results,
            resume=True,
            device=self.options.device,
        ).variants

    def heading(self, title: str) -> str:
        """Return what stands above a table: what was measured, on what, and where."""
        exact, integer = self.baselines
        error = 50 / (self.data.samples or 1) ** 0.5
        return (
            f"{title}\n\n`{self.options.model}` on {self.data.description}, seeds {self.options.seeds}: "
            f"float {exact:.2f} %, ideal integers {integer:.2f} %. Of these images alone, 50 % has a standard error of "
            f"{error:.1f} points. {machine()}, {self.options.device}.\n" + self._caveats()
        )

    def _caveats(self) -> str:
        """Return what tells these numbers from the paper's, where something does."""
        caveats = []
        if not self.network.startswith(PAPER_NETWORKS):
            caveats.append(
                f"`{self.network}` is not a network of the paper: compare the shape of the curves, not the numbers."
            )
        if self.options.fold:
            caveats.append("Batch norms are folded into the weights, which ASiM does not do.")
        return "".join(f"\n{caveat}\n" for caveat in caveats)


def parser(doc: str | None) -> Parser:
    """Return the options that every figure takes."""
    made = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", default="asim:digits_resnet", help="as asim-convert takes it")
    made.add_argument("--checkpoint", type=Path, metavar="FILE", help="its weights; see asim-import checkpoint")
    made.add_argument("--num-classes", type=count, metavar="N")
    made.add_argument("--model-kwargs", action="append", default=[], metavar="K=V", help="as asim-convert takes them")
    made.add_argument("--data", default="digits", metavar="SOURCE", help="as asim-simulate takes it")
    made.add_argument("--data-dir", type=Path, metavar="DIR")
    made.add_argument(
        "--split", default="validation", help="of a folder: validation takes test, valid or val, whichever there is"
    )
    made.add_argument(
        "--num-samples",
        type=count,
        metavar="N",
        help="so many images, of a folder in turn from each class; all if left out",
    )
    made.add_argument("--seeds", default="0:3", help="0:3 is 0, 1, 2")
    made.add_argument("-b", "--batch-size", type=count, default=64)
    made.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    made.add_argument(
        "--fold",
        action="store_true",
        help="fold batch norms into the weights, as asim-convert does by default and ASiM does not",
    )
    made.add_argument(
        "--results", type=Path, metavar="DIR", help="keeps finished batches; a second run goes on with them"
    )
    return made


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float | None) -> str:
    return "chance" if value is None else f"{value:.2f}"
