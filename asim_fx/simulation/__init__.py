"""Measure the accuracy of a converted model, batch by batch, in a journal that survives interruptions."""

from asim_fx.simulation.run import SimulationResult, VariantResult, model_identity, simulate

__all__ = ["SimulationResult", "VariantResult", "model_identity", "simulate"]
