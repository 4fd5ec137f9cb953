"""Encoders of Hugging Face transformers, built from a configuration, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import asim_fx

from .test_own_models import check

transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_vit() -> None:
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=4,
        num_labels=3,
    )
    model = transformers.ViTForImageClassification(config).eval()
    images = torch.randn(2, 3, 16, 16)
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    converted = asim_fx.convert(model, "ideal", (), {"pixel_values": images})
    names = [row.name for row in converted.report.rows]
    assert set(linears) < set(names)
    assert sum(name.endswith((".qk", ".av")) for name in names) == 4
    check(model, ((), {"pixel_values": images}), names)
    assert type(converted(pixel_values=images)).__name__ == "ImageClassifierOutput"
    assert converted(pixel_values=images).logits.shape == (2, 3)


@pytest.mark.parametrize("masked", [True, False])
def test_bert(masked: bool, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
    )
    model = transformers.BertModel(config).eval()
    given = {"input_ids": torch.randint(0, 20, (3, 5))}
    if masked:
        given["attention_mask"] = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    converted = asim_fx.convert(model, "ideal", (), given)
    names = [row.name for row in converted.report.rows]
    assert set(linears) < set(names)
    check(model, ((), given), names)
    result = converted(**given)
    assert result.last_hidden_state.shape == (3, 5, 16)
    assert result.pooler_output.shape == (3, 16)
    converted.save(tmp_path / "bert")
    loaded = asim_fx.load(tmp_path / "bert", model=transformers.BertModel(config))
    assert torch.equal(loaded(**dict(reversed(given.items()))).pooler_output, result.pooler_output)
