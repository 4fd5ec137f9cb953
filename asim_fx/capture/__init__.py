"""Capture a model as a graph, check that the graph is the model, and say what it takes."""

from asim_fx.capture.example import InputLeaf
from asim_fx.capture.export import Captured, capture
from asim_fx.capture.parts import Part, Parts, capture_model
from asim_fx.capture.program import example_of, facts_of, module_of
from asim_fx.capture.signature import InputSignature

__all__ = [
    "Captured",
    "InputLeaf",
    "InputSignature",
    "Part",
    "Parts",
    "capture",
    "capture_model",
    "example_of",
    "facts_of",
    "module_of",
]
