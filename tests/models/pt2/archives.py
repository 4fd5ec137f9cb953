"""Make ``.pt2`` files, and change what is in them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Members = dict[str, bytes]
PROGRAM = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
TABLE = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


class Tiny(nn.Module):
    """A convolution, a size taken from the input, and a linear: images of 3 channels, 6x6."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.gelu(self.conv(x), approximate="tanh")
        return self.head(y.reshape(x.shape[0], 64))


def write_tiny(path: Path, *, dynamic: bool = True) -> Tiny:
    torch.manual_seed(0)
    model = Tiny().eval()
    shapes = {"x": {0: torch.export.Dim("batch", min=1, max=32)}} if dynamic else None
    example = (torch.randn(2 if dynamic else 1, 3, 6, 6),)
    torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), path)
    return model


def rewrite(source: Path, target: Path, change: Callable[[Members], None], *, compression: int = 0) -> Path:
    """Copy an archive with its members changed."""
    with zipfile.ZipFile(source) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"root/{name}", content)
    return target


def edit_json(name: str, change: Callable[[Any], None]) -> Callable[[Members], None]:
    """Return a change of one member that holds JSON."""

    def apply(members: Members) -> None:
        content = json.loads(members[name])
        change(content)
        members[name] = json.dumps(content).encode()

    return apply
