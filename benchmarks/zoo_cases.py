"""One architecture of every file of timm and torchvision that defines models: the smallest, at a small size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from asim_fx.models import build_model


@dataclass(frozen=True, slots=True)
class Case:
    """One model to convert.

    Attributes:
        name: as ``asim-convert`` takes it.
        shape: of one sample: channels, frames where there are any, height, width.
        options: of its constructor, where it is much too large without.
        mixing: sites that multiply the samples of a batch by each other, which no array can store.
        inputs: arguments of this form.
        listed: whether it takes a list of images instead of a batch.
        constructor: builds a shorter model of this kind, where the options cannot.
    """

    name: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    mixing: int = 0
    inputs: int = 1
    listed: bool = False
    constructor: Callable[[], nn.Module] | None = None


def _short_mvit() -> nn.Module:
    """Return the first four blocks of ``mvit_v2_s`` for clips of 4 x 64 x 64."""
    from torchvision.models.video.mvit import MSBlockConfig, MViT

    strides = (((1, 1, 1), (1, 8, 8)), ((1, 2, 2), (1, 4, 4)), ((1, 1, 1), (1, 4, 4)), ((1, 2, 2), (1, 2, 2)))
    widths = ((1, 96, 96), (2, 96, 192), (2, 192, 192), (4, 192, 384))
    blocks = [
        MSBlockConfig(heads, before, after, [3, 3, 3], [3, 3, 3], list(of_q), list(of_kv))
        for (heads, before, after), (of_q, of_kv) in zip(widths, strides, strict=True)
    ]
    model: nn.Module = MViT(
        (64, 64),
        4,
        blocks,
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
    )
    return model


_SMALL_DETECTION = {"min_size": 96, "max_size": 128}
"""What torchvision's detectors resize their images to; 800 and 1333 otherwise."""

TIMM = (
    Case("beit_base_patch16_224", (3, 64, 64)),
    Case("cait_xxs24_224", (3, 64, 64)),
    Case("coat_lite_tiny", (3, 64, 64)),
    Case("convit_tiny", (3, 64, 64)),
    Case("convmixer_1024_20_ks9_p14", (3, 64, 64)),
    Case("cpubone_nano", (3, 64, 64)),
    Case("crossvit_tiny_240", (3, 240, 240)),
    Case("cs3darknet_focus_s", (3, 64, 64)),
    Case("csatv2", (3, 64, 64), mixing=28),
    Case("cspnext_tiny", (3, 64, 64)),
    Case("davit_tiny", (3, 64, 64)),
    Case("deepseek_vit_412m", (3, 126, 126), options={"depth": 2}),
    Case("deit_tiny_patch16_224", (3, 64, 64)),
    Case("densenet121", (3, 64, 64)),
    Case("dla46x_c", (3, 64, 64)),
    Case("dpn48b", (3, 64, 64)),
    Case("eca_halonext26ts", (3, 256, 256)),
    Case("edgenext_xx_small", (3, 64, 64)),
    Case("efficientformer_l1", (3, 224, 224)),
    Case("efficientformerv2_s0", (3, 64, 64)),
    Case("efficientvim_m1", (3, 64, 64)),
    Case("efficientvit_b0", (3, 64, 64)),
    Case("efficientvit_m0", (3, 64, 64)),
    Case("ese_vovnet19b_slim_dw", (3, 64, 64)),
    Case("eva02_tiny_patch14_224", (3, 64, 64)),
    Case("fasternet_t0", (3, 64, 64)),
    Case("fastvit_t8", (3, 64, 64)),
    Case("focalnet_tiny_srf", (3, 64, 64)),
    Case("gcvit_xxtiny", (3, 64, 64)),
    Case("gemma4_vit_167m", (3, 64, 64)),
    Case("ghostnet_050", (3, 64, 64)),
    Case("gmlp_ti16_224", (3, 64, 64)),
    Case("hardcorenas_a", (3, 64, 64)),
    Case("hgnetv2_b0", (3, 64, 64)),
    Case("hiera_tiny_224", (3, 64, 64)),
    Case("hieradet_small", (3, 64, 64)),
    Case("hrnet_w18_small", (3, 64, 64)),
    Case("iformer_t", (3, 64, 64)),
    Case("inception_next_atto", (3, 64, 64)),
    Case("inception_resnet_v2", (3, 96, 96)),
    Case("inception_v3", (3, 96, 96)),
    Case("inception_v4", (3, 96, 96)),
    Case("lcnetv2_small", (3, 64, 64)),
    Case("legacy_seresnet18", (3, 64, 64)),
    Case("legacy_xception", (3, 64, 64)),
    Case("levit_128s", (3, 64, 64)),
    Case("lowformer_b0", (3, 64, 64)),
    Case("mobilenetv3_small_050", (3, 64, 64)),
    Case("mobilenetv5_base", (3, 64, 64)),
    Case("mobilevit_xxs", (3, 64, 64)),
    Case("mvitv2_tiny", (3, 64, 64)),
    Case("naflexvit_base_patch16_parfac_gap", (3, 64, 64)),
    Case("nasnetalarge", (3, 64, 64)),
    Case("nest_tiny", (3, 64, 64)),
    Case("nextvit_small", (3, 64, 64)),
    Case("pit_ti_224", (3, 64, 64)),
    Case("pnasnet5large", (3, 64, 64)),
    Case("poolformerv2_s12", (3, 64, 64)),
    Case("pvt_v2_b0", (3, 64, 64)),
    Case("qwen3_vit_88m", (3, 64, 64)),
    Case("rdnet_tiny", (3, 64, 64)),
    Case("regnetx_002", (3, 64, 64)),
    Case("repghostnet_050", (3, 64, 64)),
    Case("repvit_m1", (3, 64, 64)),
    Case("res2net50_48w_2s", (3, 64, 64)),
    Case("resnest14d", (3, 64, 64)),
    Case("resnetv2_18", (3, 64, 64)),
    Case("rexnet_100", (3, 64, 64)),
    Case("samvit_base_patch16_224", (3, 64, 64)),
    Case("selecsls42", (3, 64, 64)),
    Case("sequencer2d_s", (3, 64, 64)),
    Case("shvit_s1", (3, 64, 64)),
    Case("skresnet18", (3, 64, 64)),
    Case("starnet_s050", (3, 64, 64)),
    Case("swiftformer_xs", (3, 64, 64)),
    Case("swin_tiny_patch4_window7_224", (3, 64, 64)),
    Case("swinv2_cr_tiny_224", (3, 64, 64)),
    Case("swinv2_tiny_window8_256", (3, 64, 64)),
    Case("test_byobnet", (3, 64, 64)),
    Case("test_coatnet", (3, 64, 64)),
    Case("test_convnext", (3, 64, 64)),
    Case("test_efficientnet", (3, 64, 64)),
    Case("test_mambaout", (3, 64, 64)),
    Case("test_nfnet", (3, 64, 64)),
    Case("test_resnet", (3, 64, 64)),
    Case("test_vit", (3, 64, 64)),
    Case("test_vit_relpos", (3, 64, 64)),
    Case("tiny_vit_5m_224", (3, 64, 64)),
    Case("tnt_s_legacy_patch16_224", (3, 64, 64)),
    Case("tresnet_m", (3, 64, 64)),
    Case("twins_svt_small", (3, 64, 64)),
    Case("vgg11", (3, 64, 64)),
    Case("visformer_tiny", (3, 64, 64)),
    Case("vit_tiny_r_s16_p8_224", (3, 64, 64)),
    Case("vitamin_small_224", (3, 64, 64)),
    Case("volo_d1_224", (3, 64, 64)),
    Case("xception41p", (3, 64, 64)),
    Case("xcit_nano_12_p16_224", (3, 64, 64)),
)

TORCHVISION = (
    Case("torchvision:alexnet", (3, 64, 64)),
    Case("torchvision:convnext_tiny", (3, 64, 64)),
    Case("torchvision:deeplabv3_mobilenet_v3_large", (3, 64, 64)),
    Case("torchvision:densenet121", (3, 64, 64)),
    Case("torchvision:efficientnet_b0", (3, 64, 64)),
    Case("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", (3, 96, 96), _SMALL_DETECTION, listed=True),
    Case("torchvision:fcn_resnet50", (3, 64, 64)),
    Case("torchvision:fcos_resnet50_fpn", (3, 96, 96), _SMALL_DETECTION, listed=True),
    Case("torchvision:googlenet", (3, 64, 64)),
    Case("torchvision:inception_v3", (3, 96, 96)),
    Case("torchvision:keypointrcnn_resnet50_fpn", (3, 96, 96), _SMALL_DETECTION, listed=True),
    Case("torchvision:lraspp_mobilenet_v3_large", (3, 64, 64)),
    Case("torchvision:maskrcnn_resnet50_fpn", (3, 96, 96), _SMALL_DETECTION, listed=True),
    Case("torchvision:maxvit_t", (3, 224, 224)),
    Case("torchvision:mnasnet0_5", (3, 64, 64)),
    Case("torchvision:mobilenet_v2", (3, 64, 64)),
    Case("torchvision:mobilenet_v3_small", (3, 64, 64)),
    Case("torchvision:mvit_v2_s", (3, 4, 64, 64), constructor=_short_mvit),
    Case("torchvision:quantized_googlenet", (3, 64, 64)),
    Case("torchvision:quantized_inception_v3", (3, 96, 96)),
    Case("torchvision:quantized_mobilenet_v2", (3, 64, 64)),
    Case("torchvision:quantized_mobilenet_v3_large", (3, 64, 64)),
    Case("torchvision:quantized_resnet18", (3, 64, 64)),
    Case("torchvision:quantized_shufflenet_v2_x0_5", (3, 64, 64)),
    Case("torchvision:r3d_18", (3, 4, 64, 64)),
    Case("torchvision:raft_small", (3, 128, 128), inputs=2),
    Case("torchvision:regnet_x_400mf", (3, 64, 64)),
    Case("torchvision:resnet18", (3, 64, 64)),
    Case("torchvision:retinanet_resnet50_fpn", (3, 96, 96), _SMALL_DETECTION, listed=True),
    Case("torchvision:s3d", (3, 16, 224, 224)),
    Case("torchvision:shufflenet_v2_x0_5", (3, 64, 64)),
    Case("torchvision:squeezenet1_1", (3, 64, 64)),
    Case("torchvision:ssd300_vgg16", (3, 300, 300), listed=True),
    Case("torchvision:ssdlite320_mobilenet_v3_large", (3, 320, 320), listed=True),
    Case("torchvision:swin3d_t", (3, 4, 64, 64)),
    Case("torchvision:swin_v2_t", (3, 64, 64)),
    Case("torchvision:vgg11", (3, 64, 64)),
    Case("torchvision:vit_b_32", (3, 64, 64)),
)

CASES: Mapping[str, Case] = {case.name: case for case in (*TIMM, *TORCHVISION)}


def build_case(name: str) -> nn.Module:
    """Build a model of the list, in eval mode, with values of which all matter."""
    case = CASES[name]
    # torchvision's take any size or only their own, but for this one
    own_size = name.startswith("torchvision:") and not name.endswith("vit_b_32")
    size = None if own_size else (case.shape[0], case.shape[-2], case.shape[-1])
    if case.constructor is None:
        model = build_model(name, input_size=size, model_kwargs=case.options).model
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = case.constructor().eval()
    spread_values(model)
    return model


def spread_values(model: nn.Module) -> None:
    """Give every tensor that a constructor filled with one value random ones, the same at every call.

    New networks scale residual branches by nearly nothing, and their batch norms do nothing: whatever goes wrong in
    there would not be seen.
    """
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() > 1 and bool(tensor.min() == tensor.max()):
            value = float(tensor.flatten()[0])
            spread = torch.rand(tensor.shape, generator=generator)
            is_scale = abs(value) > 0.01 or name.endswith(("gamma", "gamma_1", "gamma_2", "layer_scale", ".scale"))
            # Around one: 0.5..1.5 times it. Around zero: small biases.
            tensor.copy_((spread + 0.5) * (value if abs(value) > 0.01 else 0.2) if is_scale else (spread - 0.5) * 0.2)


def random_images(name: str, count: int) -> tuple[Any, ...]:
    """Return arguments of one forward pass: a batch, two of them, or a list of images; the same at every call."""
    generator = torch.Generator().manual_seed(count)
    case = CASES[name]
    if case.listed:
        return ([torch.rand(case.shape, generator=generator) for _ in range(count)],)
    return tuple(torch.randn(count, *case.shape, generator=generator) for _ in range(case.inputs))
