"""The hardware spec: its schema, its loader, and the settings that it gives to a site. No torch in here."""

from __future__ import annotations

from asim_fx.spec.loader import load_spec, parse_spec, shipped_names
from asim_fx.spec.schema import HardwareSpec

__all__ = ["HardwareSpec", "load_spec", "parse_spec", "shipped_names"]
