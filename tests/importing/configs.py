"""Stand-ins for the published simulator's configuration files, with its names and none of its text."""

from __future__ import annotations

from typing import Any

CNN: dict[str, Any] = {
    "task": "CIFAR-10",
    "model_name": "ResNet-18",
    "PACT": True,
    "asim_cnn_hybrid_levels": None,
    "asim_conv_mode": "Simulation",
    "asim_conv_wbit": 7,
    "asim_conv_xbit": 6,
    "asim_conv_adc_prec": 6,
    "asim_conv_nrow": 90,
    "asim_conv_rand_noise_sigma": 0.0,
    "asim_conv_non_linear_sigma": 0.0,
    "asim_act_enc": 2,
    "asim_signed_act": False,
    "asim_conv_trim_noise": 0.0,
    "asim_linear_mode": "Simulation",
    "asim_linear_wbit": 5,
    "asim_linear_xbit": 4,
    "asim_linear_adc_prec": 5,
    "asim_linear_nrow": 20,
    "asim_linear_rand_noise_sigma": 0,
    "asim_linear_non_linear_sigma": 0.0,
    "asim_linear_act_enc": None,
    "asim_linear_signed_act": False,
    "asim_linear_layer": "fc",
    "asim_linear_trim_noise": 0.0,
    "quant_conv_mode": "Train",
    "quant_conv_wbit": 8,
    "quant_conv_xbit": 8,
}


def _attention(part: str, stored: str, streamed: str, encoding: str, bits: int) -> dict[str, Any]:
    prefix = f"asim_vit_attn_{part}"
    return {
        f"{prefix}_{stored}": 6,
        f"{prefix}_{streamed}": bits,
        f"{prefix}_adc_prec": 7,
        f"{prefix}_rand_noise_sigma": 0.0,
        f"{prefix}_non_linear_sigma": 0.0,
        f"{prefix}_{encoding}": 2,
    }


def _layer(prefix: str, bits: int) -> dict[str, Any]:
    names = (
        "wbit",
        "xbit",
        "adc_prec",
        "nrow",
        "rand_noise_sigma",
        "non_linear_sigma",
        "act_enc",
        "mode",
        "trim_noise",
    )
    values = (bits, bits, 7, 30, 0.0, 0.0, None, "Simulation", 0.0)
    return {f"{prefix}_{name}": value for name, value in zip(names, values, strict=True)}


VIT: dict[str, Any] = {
    "task": "CIFAR-10",
    "model_name": "ViT-B-32",
    "asim_vit_hybrid_levels": None,
    "vit_quant_conv_proj": False,
    **_attention("qk", "qbit", "kbit", "k_enc", 7),
    **_attention("av", "vbit", "abit", "a_enc", 5),
    **_attention("proj", "wbit", "xbit", "act_enc", 7),
    "asim_vit_attn_nrow": 24,
    "asim_vit_attn_mode": "Simulation",
    "asim_vit_attn_attn_trim_noise": 0.0,
    "asim_vit_attn_proj_trim_noise": 0.0,
    **_layer("asim_vit_mlp", 6),
    **_layer("asim_vit_fc", 5),
    "asim_vit_quant_conv_wbit": 8,
    "asim_vit_quant_conv_xbit": 8,
    "asim_vit_quant_conv_mode": "Train",
}

HEAD = """
from easydict import EasyDict
import torchvision.transforms as transforms
cfg = EasyDict()
input_size = 32
"""

TAIL = """
cfg.image_size = input_size
cfg.max_epoch = 10
cfg.milestones = [int(cfg.max_epoch * 0.6)]
assert cfg.task in ['CIFAR-10'], "no such task"
if cfg.task == 'CIFAR-10':
    norm_mean = [0.5, 0.5, 0.5]
cfg.transforms_test = transforms.Compose([transforms.ToTensor(), transforms.Normalize(norm_mean, norm_mean)])
if input_size > 100:
    cfg.large_model = True
else:
    cfg.large_model = False
if __name__ == '__main__':
    for step in range(3):
        print(step)
"""


def config_text(settings: dict[str, Any], **changes: Any) -> str:
    """Return a file with these settings, and around them what the published files have around theirs."""
    lines = [f"cfg.{name} = {value!r}  # a comment" for name, value in {**settings, **changes}.items()]
    return HEAD + "\n".join(lines) + TAIL
