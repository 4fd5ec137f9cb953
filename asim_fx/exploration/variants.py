"""One captured model on one hardware after another. Imports torch."""

from __future__ import annotations

from asim_fx.analysis import AnalysedModel
from asim_fx.conversion import lower, map_onto
from asim_fx.converted import ConvertedModel
from asim_fx.exploration.calibrator import Calibrator, made_ready
from asim_fx.spec import HardwareSpec


def convert_variant(analysed: AnalysedModel, spec: HardwareSpec, calibrator: Calibrator | None) -> ConvertedModel:
    """Return a captured model on some hardware, in evaluation mode and calibrated; all variants share its weights.

    Raises:
        PlanError: the hardware cannot have it.
        UsageError: it needs calibration, and there is no calibrator.
    """
    planned = map_onto(analysed.copied(), spec)
    return made_ready(lower(planned, analysed.model, analysed.example).eval(), calibrator)
