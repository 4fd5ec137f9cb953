"""Bound the activations of a trained network: `python -m benchmarks.reproduce.bounds FILE --data DIR -o BOUNDED`.

The paper's networks have bounds (PACT) that were learned along with their weights. Here each is a few
times the root mean square of what it bounds, on training images, so that no training or little of it does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from asim_fx.data import open_data
from asim_fx.files import write_atomically
from asim_fx.models import build_model
from asim_fx.models.checkpoints import load_checkpoint
from asim_fx.models.pact import Pact
from benchmarks.reproduce.command import Parser, count, positive, run


def main(arguments: Sequence[str] | None = None) -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help="weights without bounds")
    parser.add_argument("--model", default="asim:resnet20_cifar", help="takes pact=True")
    parser.add_argument("--data", required=True, metavar="SOURCE")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--num-samples", type=count, default=512, metavar="N")
    parser.add_argument("--times", type=positive, default=4.0, help="bound by root mean square")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="BOUNDED")
    options = parser.parse_args(arguments)
    built = build_model(options.model, model_kwargs={"pact": True})
    unbounded = build_model(options.model)
    load_checkpoint(unbounded.model, options.checkpoint)
    built.model.load_state_dict(unbounded.model.state_dict(), strict=False)  # all but the bounds
    data = open_data(
        options.data,
        config=built.source.data_config,
        data_dir=options.data_dir,
        split="train",
        batch_size=options.num_samples,
        num_samples=options.num_samples,
    )
    bound(built.model, next(images for images, _ in islice(data, 1)), options.times)
    write_atomically(options.output, save(built.model.state_dict()))


@torch.no_grad()
def bound(model: nn.Module, images: Tensor, times: float) -> None:
    """Set every bound of a model to so many root mean squares of the unbounded activations."""
    units = [module for module in model.modules() if isinstance(module, Pact)]
    for unit in units:
        unit.alpha.fill_(torch.inf)
    sizes: dict[Pact, Tensor] = {}
    handles = [
        unit.register_forward_hook(lambda unit, _, y: sizes.update({unit: y.square().mean().sqrt()})) for unit in units
    ]
    model(images)
    for handle in handles:
        handle.remove()
    for unit, size in sizes.items():
        unit.alpha.fill_(times * size)


if __name__ == "__main__":
    run(main)
