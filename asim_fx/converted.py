"""The converted model: the lowered graph, called like the model it came from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from asim_fx.capture import InputSignature
from asim_fx.capture.example import argument_names, in_order
from asim_fx.errors import UsageError
from asim_fx.models import ModelSource
from asim_fx.nn import CimModule, Fidelity
from asim_fx.ops.engines.choice import EngineChoice
from asim_fx.passes.lower_sites import RNG
from asim_fx.report.calibrated import CalibrationImages, Calibrations
from asim_fx.report.rows import MappingReport
from asim_fx.spec import HardwareSpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a conversion was asked for: enough, with the model, to do it again.

    Attributes:
        spec: the hardware.
        name: what the report calls the model.
        source: where the model came from; None for a model that was built in Python.
        strict: see ``convert``.
        fold_batch_norm: see ``convert``.
        pact: see ``convert``.
        trainable: see ``convert``.
    """

    spec: HardwareSpec
    name: str
    source: ModelSource | None = None
    strict: bool = False
    fold_batch_norm: bool = True
    pact: bool = False
    trainable: bool = False


class ConvertedModel(nn.Module):
    """A model in which every analog or integer site simulates its hardware.

    Each forward pass advances the sample counter by its batch, so that two passes draw different noise; ``reseed``
    repeats them bit for bit.

    Attributes:
        report: how every site was mapped, and totals.
        recipe: what the conversion was asked for.
        seed: of the noise and of the die.
        calibration: what calibration decided, by label of the site; empty before.
        calibration_images: what it was decided on, where that was said.
    """

    def __init__(
        self,
        body: nn.Module,
        report: MappingReport,
        recipe: Recipe,
        signature: InputSignature,
        parts: Mapping[str, InputSignature] | None = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.report = report
        self.recipe = recipe
        self.signature = signature
        self.part_signatures = dict(parts or {})
        self.seed = 0
        self.calibration: Calibrations = {}
        self.calibration_images: CalibrationImages | None = None
        self._argument_names = argument_names(body.forward)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the converted graph on a batch of any size.

        Raises:
            InputError: a tensor has another shape or dtype than the one the model was captured with.
        """
        kwargs = in_order(kwargs, self._argument_names)
        if self.part_signatures:
            return self._run_parts(args, kwargs)
        batch = self.signature.check(args, kwargs)
        result = self.body(*args, **kwargs)
        for rng in self._rngs():
            rng[1] += batch
        return result

    def _run_parts(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the model; each part checks what it gets, and counts its own samples (images, or regions of them)."""
        # Hooks for the time of one call: a copy of a graph module loses those that stay.
        with ExitStack() as hooks:
            for name, signature in self.part_signatures.items():
                graph = self.body.get_submodule(name)
                before = graph.register_forward_pre_hook(partial(_check_part, signature), with_kwargs=True)
                after = graph.register_forward_hook(partial(_count_samples, signature), with_kwargs=True)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
            return self.body(*args, **kwargs)

    def reseed(self, seed: int, first_sample: int = 0, die: int | None = None) -> None:
        """Choose the noise of the next forward pass.

        Args:
            seed: of the noise, and of the die where none is given.
            first_sample: number of the first sample of the next batch; sample ``n`` draws the same noise whatever batch
                it comes in.
            die: which chip: what is fixed in silicon is drawn for it, whatever the seed. Its noise is its own too.

        Raises:
            UsageError: a number that does not fit 63 bits.
        """
        for number in (seed, first_sample, die or 0):
            if not 0 <= number < 2**63:
                message = f"seed, first sample and die must lie in 0..2^63-1, not {number}"
                raise UsageError(message)
        self.seed = seed
        for rng in self._rngs():
            rng.copy_(torch.tensor([seed, first_sample, -1 if die is None else die]))

    def set_fidelity(self, fidelity: Fidelity) -> None:
        """Choose what every site computes.

        Args:
            fidelity: ``hardware``: as the spec says. ``integer``: the same codes, multiplied exactly: the ideal integer
                model. ``float``: the captured model itself. ``proxy``: float operations on rounded operands, with each
                site's ``trim_noise``: ASiM's training form.
        """
        for site in self.sites().values():
            site.fidelity = fidelity

    def set_engine(self, engine: EngineChoice) -> None:
        """Choose what computes every site; the result is the same to the bit.

        Raises:
            UsageError: at the next forward pass, where the engine cannot run on its device.
        """
        for site in self.sites().values():
            site.set_engine(engine)

    def sites(self) -> Mapping[str, CimModule]:
        """Return the module of every analog or integer site, by qualified name."""
        return {name: module for name, module in self.body.named_modules() if isinstance(module, CimModule)}

    @property
    def graph_modules(self) -> dict[str, GraphModule]:
        """The lowered graphs, by the name of the submodule that each replaces; the empty name is the whole model."""
        return {name: module for name, module in self.body.named_modules() if isinstance(module, GraphModule)}

    @property
    def graph_module(self) -> GraphModule:
        """The lowered graph.

        Raises:
            UsageError: the model was captured in several parts.
        """
        graphs = self.graph_modules
        if len(graphs) != 1:
            message = f"the model was captured in {len(graphs)} parts: {', '.join(graphs)}"
            raise UsageError(message, hint="use graph_modules, a dict by submodule name")
        return next(iter(graphs.values()))

    def save(self, directory: str | PathLike[str]) -> None:
        """Write the model as an artifact: a folder without any pickle. See ``asim_fx.artifact.save``."""
        from asim_fx.artifact import save

        save(self, directory)

    def _rngs(self) -> Iterator[torch.Tensor]:
        for graph in self.graph_modules.values():
            if RNG in graph._buffers:
                yield graph.get_buffer(RNG)


def _samples_for(signature: InputSignature, graph: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    return signature.check(args, in_order(kwargs, argument_names(graph.forward)))


def _check_part(signature: InputSignature, graph: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    _samples_for(signature, graph, args, kwargs)


def _count_samples(
    signature: InputSignature, graph: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any
) -> None:
    if RNG in graph._buffers:
        graph.get_buffer(RNG)[1] += _samples_for(signature, graph, args, kwargs)


def replace_submodules(model: nn.Module, graphs: Mapping[str, GraphModule]) -> nn.Module:
    """Return a copy of a model, in eval mode, with graphs in the place of its submodules of these names."""
    body = copy.deepcopy(model).eval()
    for name, graph in graphs.items():
        original = body.get_submodule(name)
        for parent in list(body.modules()):
            for child_name, child in list(parent._modules.items()):
                if child is original:
                    parent._modules[child_name] = graph
    return body
