"""Which attributes of ASiM's modules may change: all arguments. Others that would have no effect raise an error."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from asim_fx.errors import UsageError

PUBLISHED_ONLY: Mapping[str, str] = {
    "boundary_levels": "hybrid_levels",
    "bp": "act_enc",
    "enc_bit": "act_enc",
    "qk_bp": "qk_k_enc",
    "av_bp": "av_a_enc",
    "proj_bp": "proj_act_enc",
    "padding_param": "padding",
    "stride_param": "stride",
}
"""Attributes that the published modules keep beside their arguments, and the argument that has the effect here."""

FIXED = ("in_channels", "out_channels", "kernel_size", "in_features", "out_features")
"""What follows from the shape of the weight."""


def check_assignment(module: nn.Module, name: str, value: object) -> None:
    """Check that assigning an attribute of a module has an effect.

    Raises:
        UsageError: it has none.
    """
    if name in PUBLISHED_ONLY:
        message = f"{type(module).__name__} has no {name}"
        raise UsageError(message, hint=f"set {PUBLISHED_ONLY[name]}")
    if name in FIXED and name in module.__dict__ and value != module.__dict__[name]:
        message = f"{type(module).__name__}: {name} follows from the shape of the weight and cannot be changed"
        raise UsageError(message, hint="make a new module")
