"""Time beside other simulators on the nearest equal work: `python -m benchmarks.against_peers`.

    --crosssim CHECKOUT    of sandialabs/cross-sim: bit-sliced arrays, an input bit at a time, an ADC for each
    --aihwkit CHECKOUT     of IBM/aihwkit-lightning: whole codes at once, one conversion for each output and row tile

Runs each on the layers of `benchmarks.against_asim`, in turn with asim-fx set as nearly alike as both allow, on one
thread. Prints a Markdown table; times are the least processor time of several runs. What differs is in the last column.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.spec.schema import Adc, Defaults, HardwareSpec, Macro, Noise
from benchmarks.machine import machine

BITS = 8
ROWS = 256


@dataclass(frozen=True)
class Layer:
    """A layer of torch, what it is given, and the arguments that make it."""

    name: str
    kind: type[nn.Module]
    arguments: tuple[int, ...]
    extra: dict[str, Any]
    inputs: Tensor

    def plain(self) -> nn.Module:
        """Return the layer as torch makes it."""
        return self.kind(*self.arguments, **self.extra)


@dataclass(frozen=True)
class Peer:
    """Another simulator, set up in one way, and the hardware that comes nearest to it here."""

    name: str
    reads: str
    make: Callable[[Layer], nn.Module]
    spec: HardwareSpec
    differs: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crosssim", type=Path, metavar="CHECKOUT")
    parser.add_argument("--aihwkit", type=Path, metavar="CHECKOUT")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if not (options.crosssim or options.aihwkit):
        parser.error("give the path of a checkout: --crosssim or --aihwkit")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peers = [*(crosssim(options.crosssim) if options.crosssim else ())]
    peers += [*(aihwkit(options.aihwkit) if options.aihwkit else ())]
    print(f"{machine()}; one thread\n")
    print("| by | operation | read | it, ms | asim-fx, ms | times faster | what differs |")
    print("|---|---|---|---|---|---|---|")
    for peer in peers:
        for layer in layers():
            other, here = times(peer, layer, options.repeats)
            print(
                f"| {peer.name} | {layer.name} | {peer.reads} | {other * 1e3:,.1f} | {here * 1e3:,.1f} "
                f"| {other / here:.1f} | {peer.differs} |",
                flush=True,
            )


def layers() -> list[Layer]:
    conv = Layer(
        "conv 4x64x32x32, 3x3, 64", nn.Conv2d, (64, 64, 3), {"padding": 1, "bias": False}, torch.rand(4, 64, 32, 32)
    )
    return [conv, Layer("linear 200x768x768", nn.Linear, (768, 768), {"bias": False}, torch.rand(200, 768))]


def times(peer: Peer, layer: Layer, repeats: int) -> tuple[float, float]:
    """Return the least seconds of the other simulator and of this one."""
    other = peer.make(layer)
    converted = asim_fx.convert(layer.plain(), peer.spec, layer.inputs)
    least = [float("inf")] * 2
    with torch.no_grad():
        converted(layer.inputs)  # Compiles the kernels.
        for _ in range(repeats):
            for at, run in enumerate((other, converted)):
                start = time.process_time()
                run(layer.inputs)
                least[at] = min(least[at], time.process_time() - start)
    return least[0], least[1]


def crosssim(checkout: Path) -> Iterator[Peer]:
    """Yield CrossSim with 8 slices of one bit, inputs bit by bit and a converter for each, without noise."""
    sys.path.insert(0, str(checkout))
    parameters = importlib.import_module("simulator").CrossSimParameters()
    cores = importlib.import_module("simulator.parameters.core_parameters")
    arrays = importlib.import_module("simulator.parameters.xbar_parameters")
    core, array = parameters.core, parameters.xbar
    core.style, core.weight_bits, core.rows_max = cores.CoreStyle.BITSLICED, BITS, ROWS
    core.bit_sliced.num_slices, core.bit_sliced.style = BITS, cores.BitSlicedCoreStyle.OFFSET
    core.mapping.inputs.mvm.min, core.mapping.inputs.mvm.max = 0.0, 1.0
    array.device.cell_bits, array.device.infinite_on_off_ratio = 1, True
    dac, adc = array.dac.mvm, array.adc.mvm
    dac.model, dac.bits, dac.signed, dac.input_bitslicing, dac.slice_size = "QuantizerDAC", BITS, False, True, 1
    adc.model, adc.bits, adc.signed, adc.adc_per_ibit = "QuantizerADC", 7, False, True
    adc.adc_range_option = arrays.ADCRangeLimits.MAX
    conv = importlib.import_module("simulator.algorithms.dnn.torch.conv").AnalogConv2d
    linear = importlib.import_module("simulator.algorithms.dnn.torch.linear").AnalogLinear

    def make(layer: Layer) -> nn.Module:
        made: nn.Module = (conv if layer.kind is nn.Conv2d else linear)(parameters, *layer.arguments, **layer.extra)
        return made

    yield Peer(
        "CrossSim",
        "bit by bit, 7-bit ADC",
        make,
        chip(Macro(rows=ROWS, adc=Adc(bits=7)), 1),
        "offset-coded weights with a unit column there, two's complement here; row tiles of equal size there",
    )


def aihwkit(checkout: Path) -> Iterator[Peer]:
    """Yield aihwkit-lightning with 8-bit inputs and outputs, without noise and with it."""
    sys.path.insert(0, str(checkout / "src"))
    modules = importlib.import_module("aihwkit_lightning.nn")
    configuration = importlib.import_module("aihwkit_lightning.simulator.configs").TorchInferenceRPUConfig

    def make(layer: Layer, noise: float) -> nn.Module:
        settings = configuration()
        settings.forward.inp_res = settings.forward.out_res = 2**BITS - 2
        settings.forward.out_bound, settings.forward.out_noise = 10, noise
        settings.mapping.max_input_size = ROWS
        settings.pre_post.input_range.enable = True
        kind = modules.AnalogConv2d if layer.kind is nn.Conv2d else modules.AnalogLinear
        made: nn.Module = kind(*layer.arguments, **layer.extra, rpu_config=settings)
        return made.train(bool(noise))  # It adds noise in training only.

    for percent in (0.0, 0.4):
        noise = Noise(random_percent_fs=percent)
        yield Peer(
            "aihwkit-lightning",
            "whole codes, 8-bit ADC" + (", noise" if percent else ""),
            lambda layer, percent=percent: make(layer, percent / 10),
            chip(Macro(rows=ROWS, adc=Adc(bits=BITS), noise=noise, weights="parallel"), BITS),
            "weights are not quantised and noise is float there; here all is integer, and noise the same at any batch",
        )


def chip(macro: Macro, encoding: int) -> HardwareSpec:
    defaults = Defaults(weight_bits=BITS, input_bits=BITS, input_encoding=encoding, signed=False)
    return HardwareSpec(version=1, name="peers", macros={"m": macro}, defaults=defaults)


if __name__ == "__main__":
    main()
