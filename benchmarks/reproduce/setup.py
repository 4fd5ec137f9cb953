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
from asim_fx.simulation import simulate
from asim_fx.spec import HardwareSpec, parse_spec
from benchmarks.machine import machine

CHIP = """
version: 1
name: paper
macros: {m: {rows: 256, adc: {bits: 8}}}
defaults: {macro: m, weight_bits: 8, input_bits: 8}
rules:
  - {match: {name: "@first_conv"}, target: integer, optional: true}
  - {match: {op: qk}, input_bits: 9, optional: true}
  - {match: {op: linear, name: ["**.self_attention.*", "**.attn.*"]}, input_bits: 9, optional: true}
"""
"""The paper's chip; K and what enters the projections of attention have a sign, and 9 bits with it."""


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

    def _simulate(self, overrides: Sequence[str], seeds: Sequence[int]) -> tuple:
        size = self.built.source.input_size or ()
        converted = asim_fx.convert(self.built.model, chip(overrides), torch.randn(2, *size), source=self.built.source)
        results = None
        if self.options.results is not None:
            weights = self.options.checkpoint.stem if self.options.checkpoint is not None else "own"
            words = "_".join([self.network, weights, self.data.identity[:8], *overrides])
            results = self.options.results / f"{re.sub(r'[^A-Za-z0-9.=_-]', '-', words)}.jsonl"
        print(f"{self.network}: {' '.join(overrides)}", file=sys.stderr, flush=True)
        baseline = "macros.m.adc.bits=ideal" in overrides
        return simulate(
            converted,
            self.data,
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
            f"{error:.1f} points. {machine()}, {self.options.device}.\n"
        )


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the options that every figure takes."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", default="asim:digits_resnet", help="as asim-convert takes it")
    made.add_argument("--checkpoint", type=Path, metavar="FILE", help="its weights; see asim-import checkpoint")
    made.add_argument("--num-classes", type=int, metavar="N")
    made.add_argument("--model-kwargs", action="append", default=[], metavar="K=V", help="as asim-convert takes them")
    made.add_argument("--data", default="digits", metavar="SOURCE", help="as asim-simulate takes it")
    made.add_argument("--data-dir", type=Path, metavar="DIR")
    made.add_argument("--split", default="test")
    made.add_argument(
        "--num-samples",
        type=int,
        metavar="N",
        help="so many images, of a folder in turn from each class; all if left out",
    )
    made.add_argument("--seeds", default="0:3", help="0:3 is 0, 1, 2")
    made.add_argument("-b", "--batch-size", type=int, default=64)
    made.add_argument("--device", default="cpu")
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
