"""Which settings of the published simulator's configuration mean what in a hardware spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["CNN", "ViT"]

_BITS = ("weight_bits", "input_bits")


@dataclass(frozen=True, slots=True)
class Group:
    """The settings of one kind of layer.

    Attributes:
        title: what these layers are.
        mode: name of the setting that says what they do.
        fields: field of the spec -> name of the setting.
        match: which sites they are; empty: all that no rule matches.
        signed: of the streamed operand, where the published model fixes it.
    """

    title: str
    mode: str
    fields: Mapping[str, str]
    match: Mapping[str, Any] = field(default_factory=dict)
    signed: bool | None = None


def _fields(prefix: str, *, rows: str = "", hybrid: str, encoding: str = "", **bits: str) -> dict[str, str]:
    names = {"weight_bits": f"{prefix}_wbit", "input_bits": f"{prefix}_xbit", **bits}
    return {
        **names,
        "input_encoding": encoding or f"{prefix}_act_enc",
        "macro.rows": rows or f"{prefix}_nrow",
        "macro.adc.bits": f"{prefix}_adc_prec",
        "macro.noise.random_percent_fs": f"{prefix}_rand_noise_sigma",
        "macro.noise.nonlinear_percent_fs": f"{prefix}_non_linear_sigma",
        "hybrid.levels": hybrid,
    }


_CNN = "asim_cnn_hybrid_levels"
_VIT, _ATTENTION = "asim_vit_hybrid_levels", "asim_vit_attn"
_SHARED = {"rows": f"{_ATTENTION}_nrow", "hybrid": _VIT}

GROUPS: Mapping[Family, tuple[Group, ...]] = {
    "CNN": (
        Group(
            "convolutions",
            "asim_conv_mode",
            {**_fields("asim_conv", hybrid=_CNN, encoding="asim_act_enc"), "signed": "asim_signed_act"},
        ),
        Group(
            "linear layers",
            "asim_linear_mode",
            {**_fields("asim_linear", hybrid=_CNN), "signed": "asim_linear_signed_act"},
            match={"op": "linear"},
        ),
    ),
    "ViT": (
        Group("MLP", "asim_vit_mlp_mode", _fields("asim_vit_mlp", hybrid=_VIT), signed=True),
        Group(
            "projections of attention",
            f"{_ATTENTION}_mode",
            _fields(f"{_ATTENTION}_proj", **_SHARED),
            match={"op": "linear", "name": ["**.self_attention.*", "**.attn.*"]},
            signed=True,
        ),
        Group(
            "QK^T",
            f"{_ATTENTION}_mode",
            _fields(
                f"{_ATTENTION}_qk",
                **_SHARED,
                encoding=f"{_ATTENTION}_qk_k_enc",
                weight_bits=f"{_ATTENTION}_qk_qbit",
                input_bits=f"{_ATTENTION}_qk_kbit",
            ),
            match={"op": "qk"},
            signed=True,
        ),
        Group(
            "AV",
            f"{_ATTENTION}_mode",
            _fields(
                f"{_ATTENTION}_av",
                **_SHARED,
                encoding=f"{_ATTENTION}_av_a_enc",
                weight_bits=f"{_ATTENTION}_av_vbit",
                input_bits=f"{_ATTENTION}_av_abit",
            ),
            match={"op": "av"},
            signed=False,
        ),
        Group(
            "classifier",
            "asim_vit_fc_mode",
            _fields("asim_vit_fc", hybrid=_VIT),
            match={"name": "@classifier"},
            signed=True,
        ),
    ),
}
"""The first group of a family is the spec's defaults; the others are rules, in this order."""

STEMS: Mapping[Family, Mapping[str, str]] = {
    "CNN": {"weight_bits": "quant_conv_wbit", "input_bits": "quant_conv_xbit"},
    "ViT": {"weight_bits": "asim_vit_quant_conv_wbit", "input_bits": "asim_vit_quant_conv_xbit"},
}
"""Settings of the first convolution, which is digital."""

PATCHES_QUANTISED = "vit_quant_conv_proj"
"""Whether a ViT's first convolution is quantised; otherwise it stays in float."""

_TRAINING = "training; the spec is of the hardware"
_DATA = "data: --data of asim-simulate"
_NOISE = "training noise, which the macro does not have"
REASONS: Mapping[str, str] = {
    "model_name": "decides which settings apply; give the model to asim-convert",
    "task": "data: --data of asim-simulate, --num-classes of asim-convert",
    "cls_num": "--num-classes of asim-convert",
    "image_size": "--input-size of asim-convert",
    "large_model": "follows from the size of the images; asim:NAME_cifar has the small stem",
    "device": "--device of the commands",
    "PACT": "bounds of activations come with the weights: asim-import checkpoint",
    "pretrain_model_path": "weights: asim-import checkpoint",
    "asim_linear_layer": "follows from the shape of the input",
    "quant_conv_mode": "the first convolution is digital in both of its modes",
    "asim_vit_quant_conv_mode": "the first convolution is digital in both of its modes",
    "asim_conv_trim_noise": _NOISE,
    "asim_linear_trim_noise": _NOISE,
    "asim_vit_attn_attn_trim_noise": _NOISE,
    "asim_vit_attn_proj_trim_noise": _NOISE,
    "asim_vit_mlp_trim_noise": _NOISE,
    "asim_vit_fc_trim_noise": _NOISE,
    **dict.fromkeys(("train_dir", "valid_dir", "test_dir"), _DATA),
    **dict.fromkeys(("test_bs", "test_workers"), "-b and -j of asim-simulate"),
    **dict.fromkeys(
        ("transforms_train", "transforms_valid", "transforms_test", "norm_mean", "norm_std"),
        "images are prepared as the model's data configuration says",
    ),
    **dict.fromkeys(
        (
            "train_bs",
            "valid_bs",
            "train_workers",
            "max_epoch",
            "lr_init",
            "milestones",
            "mixup",
            "label_smooth",
            "momentum",
            "weight_decay",
            "factor",
            "log_interval",
            "mixup_alpha",
            "label_smooth_eps",
        ),
        _TRAINING,
    ),
}
"""Why a setting is in no spec."""


def family_of(model_name: str) -> Family | None:
    """Return the family of a model as the published simulator names it (``ResNet-18``, ``VGG16-BN``, ``ViT-B-32``)."""
    if model_name.startswith(("ResNet", "VGG")):
        return "CNN"
    return "ViT" if model_name.startswith("ViT") else None


def own_settings(family: Family) -> set[str]:
    """Return the names that only models of one family have."""
    names = {name for group in GROUPS[family] for name in (*group.fields.values(), group.mode)}
    modes = {name for name in REASONS if name.endswith(("_trim_noise", "_mode", "_layer"))}
    of_vit = {name for name in modes if name.startswith("asim_vit_")}
    extra = of_vit | {PATCHES_QUANTISED} if family == "ViT" else modes - of_vit | {"PACT"}
    return names | set(STEMS[family].values()) | extra
