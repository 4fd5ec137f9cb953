"""How layers share the macros of a chip, and what the chip has beside them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from asim_fx.spec.base import Known, SpecModel

UNKNOWN: Literal["unknown"] = "unknown"


class ChipMapping(SpecModel):
    """How layers share the macros of the chip (`macros.NAME.count` says how many there are)."""

    duplicate: bool = Field(
        True,
        description="Whether macros that are left, once all weights are on the chip, hold copies of the slowest "
        "layers. Without a `count` nothing is left.",
    )
    pack: Literal["none", "groups"] = Field(
        "none",
        description="`none`: each group of a convolution and each head has macros of its own. `groups`: as many as "
        "fit share one macro, each with rows and columns of its own.",
    )
    buffer_kib: Known = Field(UNKNOWN, description="Buffer for activations, compared with what the model needs.")
    load_gbit_per_s: Known = Field(
        UNKNOWN,
        description="Rate at which weights come to the chip; where unknown, loading takes as long as writing the rows.",
    )
    load_pj_per_bit: Known = Field(
        UNKNOWN, description="Energy of bringing one bit of a weight to the chip; where unknown, it is not included."
    )
