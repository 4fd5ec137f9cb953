"""Names of weights: the published simulator's, and those of torchvision and timm for the same networks."""

from __future__ import annotations

import re
from collections.abc import Collection

_TORCHVISION_VIT = (
    (r"cls_token", r"class_token"),
    (r"patch_embedding\.(conv_proj\..*)", r"\1"),
    (r"encoder\.layers\.(\d+)\.(ln_[12]\..*)", r"encoder.layers.encoder_layer_\1.\2"),
    (
        r"encoder\.layers\.(\d+)\.self_attention\.qkv\.(\w+)",
        r"encoder.layers.encoder_layer_\1.self_attention.in_proj_\2",
    ),
    (
        r"encoder\.layers\.(\d+)\.self_attention\.proj\.(\w+)",
        r"encoder.layers.encoder_layer_\1.self_attention.out_proj.\2",
    ),
    (r"encoder\.layers\.(\d+)\.mlp\.mlp1\.(\w+)", r"encoder.layers.encoder_layer_\1.mlp.0.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.mlp2\.(\w+)", r"encoder.layers.encoder_layer_\1.mlp.3.\2"),
    (r"heads\.(\w+)", r"heads.head.\1"),
)
_TIMM_VIT = (
    (r"patch_embedding\.conv_proj\.(\w+)", r"patch_embed.proj.\1"),
    (r"encoder\.pos_embedding", r"pos_embed"),
    (r"encoder\.layers\.(\d+)\.ln_([12]\..*)", r"blocks.\1.norm\2"),
    (r"encoder\.layers\.(\d+)\.self_attention\.(qkv|proj)\.(\w+)", r"blocks.\1.attn.\2.\3"),
    (r"encoder\.layers\.(\d+)\.mlp\.mlp([12])\.(\w+)", r"blocks.\1.mlp.fc\2.\3"),
    (r"encoder\.ln\.(\w+)", r"norm.\1"),
    (r"heads\.(\w+)", r"head.\1"),
)
_TIMM_VGG = (
    (r"classifier\.0\.(\w+)", r"pre_logits.fc1.\1"),
    (r"classifier\.3\.(\w+)", r"pre_logits.fc2.\1"),
    (r"classifier\.6\.(\w+)", r"head.fc.\1"),
)

Rules = tuple[tuple[str, str], ...]

QKV = re.compile(r"encoder\.layers\.\d+\.self_attention\.qkv\.(weight|bias)")
"""The published ViT's weights of Q, K and V, in this order."""

PROJECTION = re.compile(r"encoder\.layers\.\d+\.self_attention\.proj\.weight")
"""What mixes the heads behind them."""


def rules_for(expected: Collection[str]) -> Rules:
    """Return patterns and replacements that make the published names those of a model with these keys."""
    if "class_token" in expected:
        return _TORCHVISION_VIT
    if "patch_embed.proj.weight" in expected:
        return _TIMM_VIT
    return _TIMM_VGG if "pre_logits.fc1.weight" in expected else ()


def renamed(name: str, rules: Rules) -> str:
    """Return the name of a weight in the model that the rules are for."""
    for pattern, replacement in rules:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(replacement)
    return name
