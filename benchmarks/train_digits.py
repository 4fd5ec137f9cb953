"""Train the digits models: `OMP_NUM_THREADS=1 python -m benchmarks.train_digits`.

Takes about two minutes for each model on one core. Seeded; the last digits depend on the version of torch.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asim_fx.digits import MEAN, PIXEL_MAX, STD, Split, load_digits
from asim_fx.digits.models import digits_resnet, digits_vit

OUTPUT = Path(__file__).parent.parent / "asim_fx" / "digits"


@dataclass(frozen=True)
class Recipe:
    """How one model is trained."""

    build: Callable[[], nn.Module]
    epochs: int
    learning_rate: float
    weight_decay: float
    batch_size: int = 64
    warmup_epochs: int = 5
    label_smoothing: float = 0.1
    rotation_degrees: float = 10.0
    shift_pixels: float = 0.7
    read_noise: float = 0.0
    seed: int = 0


RECIPES = {
    "digits_resnet": Recipe(digits_resnet, epochs=40, learning_rate=2e-3, weight_decay=0.05),
    "digits_vit": Recipe(digits_vit, epochs=170, learning_rate=2e-3, weight_decay=0.1, read_noise=0.12),
}


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Return images (n, 1, 8, 8) in 0..1 and labels (n,)."""
    digits = load_digits(split)
    return torch.from_numpy(digits.images).float()[:, None] / PIXEL_MAX, torch.from_numpy(digits.labels).long()


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Turn and shift each image a little, background filled with zeros."""
    n = len(images)
    angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(recipe.rotation_degrees)
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * recipe.shift_pixels / 4
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


class NoisyProducts(TorchFunctionMode):
    """Adds noise to every matrix product, as analog reads do: in proportion to the operands' largest values.

    An analog column's noise is a share of its full scale, whatever the values on it. A network that learns
    with such noise avoids the few large values that would set the scale of all the others.
    """

    PRODUCTS = (F.linear, F.conv2d, torch.matmul, Tensor.matmul, Tensor.__matmul__)

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func not in self.PRODUCTS:
            return out
        scale = args[0].detach().abs().max() * args[1].detach().abs().max()
        return out + torch.randn_like(out) * (self.share * scale)


def train(recipe: Recipe) -> nn.Module:
    """Train with AdamW and a cosine schedule; the last weights count, never the best on the test set."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    images, labels = tensors("train")
    model = recipe.build().train()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # so that the products inside attention are seen
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = math.ceil(len(images) / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        pct_start=recipe.warmup_epochs / recipe.epochs,
    )
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(images), generator=generator).split(recipe.batch_size):
            batch = (augment(images[chosen], recipe, generator) - MEAN) / STD
            with NoisyProducts(recipe.read_noise) if recipe.read_noise else nullcontext():
                logits = model(batch)
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, split: Split) -> float:
    images, labels = tensors(split)
    return (model((images - MEAN) / STD).argmax(1) == labels).float().mean().item()


def write(name: str, recipe: Recipe, output: Path) -> None:
    started = time.perf_counter()
    model = train(recipe)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, output / f"{name}.safetensors")
    settings = {key: value for key, value in asdict(recipe).items() if key != "build"}
    record = {
        "model": f"asim:{name}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "test_top1": round(accuracy(model, "test"), 4),
        "train_top1": round(accuracy(model, "train"), 4),
        "test_images": len(load_digits("test").labels),
        "command": f"OMP_NUM_THREADS=1 python -m benchmarks.train_digits {name}",
        "recipe": settings,
        "torch": torch.__version__,
    }
    (output / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{name}: test {record['test_top1']:.4f}, {time.perf_counter() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write; the package itself if left out")
    parser.add_argument("models", nargs="*", help=f"{', '.join(RECIPES)}; all when left out")
    options = parser.parse_args()
    for name in options.models or RECIPES:
        write(name, RECIPES[name], options.output)


if __name__ == "__main__":
    main()
