"""What sites were seen to meet on the same images, kept for the next calibration of the same model.

Many variants of a chip share what calibration looks at. Scales are chosen from the float model's activations, which do
not depend on the hardware; windows from the MAC values of the ideal integer model, which do not depend on converters,
noise or votes. The keys hold everything else, so that what is remembered is what would be seen, to the bit.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from asim_fx.calibration.macs import MacHistogram
from asim_fx.calibration.observing import MagnitudeHistogram
from asim_fx.converted import ConvertedModel
from asim_fx.fingerprint import fingerprint
from asim_fx.ir import ANALOG, DIGITAL, BitPlan
from asim_fx.nn import CimModule
from asim_fx.nn.module import integer_config
from asim_fx.ops.config import OpConfig, ReadEffects
from asim_fx.report.calibrated import WindowChoice

_MOST_KEPT = 4096
"""Of each kind; a histogram has some 10 to 100 KiB."""

Key = tuple[str, ...]
Histograms = tuple[MagnitudeHistogram | None, MagnitudeHistogram | None]
"""Of the streamed and of the stored operand of a site; None for what needs no scale."""
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Observations:
    """What was seen of one model's weights on one list of batches. It is for no other model and no other batches.

    Attributes:
        magnitudes: of operands in the float model.
        macs: of reads in the ideal integer model.
        windows: that were chosen from these.
    """

    magnitudes: dict[Key, Histograms] = field(default_factory=dict)
    macs: dict[Key, MacHistogram] = field(default_factory=dict)
    windows: dict[Key, WindowChoice] = field(default_factory=dict)


def keep(known: MutableMapping[Key, Seen], key: Key, seen: Seen) -> None:
    """Remember something; the oldest is forgotten where there is much."""
    while len(known) >= _MOST_KEPT:
        del known[next(iter(known))]
    known[key] = seen


def float_identity(converted: ConvertedModel) -> str:
    """Return a hash of what a model computes at fidelity ``float``, its weights apart: no number of the hardware."""
    return fingerprint(converted.graph_modules, lambda _: "")


def integer_identity(converted: ConvertedModel) -> str:
    """Return what a model computes at fidelity ``integer``, its weights apart: its codes and its static scales."""
    scales = [
        f"{name} {float(buffer)!r}"
        for name, buffer in converted.named_buffers()
        if name.rpartition(".")[2] in ("input_scale", "weight_scale")
    ]
    return "\n".join([fingerprint(converted.graph_modules, _exact), *sorted(scales)])


def magnitudes_key(identity: str, site: CimModule) -> Key:
    """Return what the magnitudes at a site depend on."""
    config, buffers = site.config, sorted(name for name, _ in site.named_buffers())
    return (identity, config.site, str(config.input.signed), str(config.weight.signed), *buffers)


def macs_key(identity: str, site: CimModule) -> Key:
    """Return what the MAC values at a site depend on: which cells are read, not how well."""
    config = site.config
    plan = replace(
        config.plan,
        reads=tuple(tuple(DIGITAL if reads == DIGITAL else ANALOG for reads in row) for row in config.plan.reads),
        vote="mode",
    )
    read = replace(
        config.read,
        adc_bits=None,
        random_percent_fs=0.0,
        nonlinear_percent_fs=0.0,
        random_lsb_rms=0.0,
        comparator_lsb_rms=0.0,
        window=None,
        window_known=True,
    )
    return (identity, replace(config, engine="auto", plan=plan, read=read).dumps())


def window_key(key: Key, site: CimModule) -> Key:
    """Return what the window of a site depends on.

    Args:
        key: of its MAC values.
        site: the site.
    """
    return (*key, repr(replace(site.config.read, window=None, window_known=True)), repr(site.choosing))


def _exact(config: OpConfig) -> str:
    """Describe an operation with exact cells: how a product of whole numbers is cut into reads does not change it."""
    return replace(
        integer_config(config),
        engine="auto",
        plan=BitPlan.analog(config.weight.bits, (config.input.bits,)),
        step=1,
        read=ReadEffects(rows=1),
    ).dumps()
