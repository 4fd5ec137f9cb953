"""The work of asim-import checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from asim_fx.files import write_atomically
from asim_fx.importing.checkpoint import ImportedWeights, classes_of, import_weights
from asim_fx.models import build_model
from asim_fx.models.checkpoints import read_state_dict
from asim_fx.models.pact import BOUNDS
from asim_fx.models.paper import PUBLISHED_EPS

_LIKE_IT = "vit_*_cifar and asim:vit_*_imagenet"


def import_checkpoint(
    file: Path, model: str, output: Path, num_classes: int | None, model_kwargs: Sequence[str]
) -> ImportedWeights:
    """Read weights, fit them to a model and write them.

    Raises:
        CheckpointError: they cannot be read, or do not fit.
        ModelError: the model cannot be built.
        OutputError: the result cannot be written.
    """
    state = read_state_dict(file)
    classes = classes_of(state) if num_classes is None else num_classes
    target = build_model(model, num_classes=classes, model_kwargs=model_kwargs, device="meta").model
    found = (getattr(module, "num_heads", None) for module in target.modules())
    heads = next((number for number in found if isinstance(number, int)), None)
    imported = import_weights(state, target.state_dict(), heads)
    if any(isinstance(module, nn.LayerNorm) and module.eps != PUBLISHED_EPS for module in target.modules()):
        note = (
            f"layer norms add {PUBLISHED_EPS:g} in the published ViT, another number here; asim:{_LIKE_IT} add the same"
        )
        imported = replace(imported, notes=(*imported.notes, note))
    tensors = {name: value.clone(memory_format=torch.contiguous_format) for name, value in imported.tensors.items()}
    metadata = {"format": "pt", "source": file.name}
    if imported.bounds:
        metadata[BOUNDS] = json.dumps(imported.bounds)
    write_atomically(output, save(tensors, metadata))
    return imported
