"""ASiM's own names: one operation, and modules to drop into a network, as its published simulator has them."""

from asim_fx.compat.attention import ASiMMultiheadAttention
from asim_fx.compat.case import simulate_case
from asim_fx.compat.conv import ASiMConv2d
from asim_fx.compat.linear import ASiMLinear

__all__ = ["ASiMConv2d", "ASiMLinear", "ASiMMultiheadAttention", "simulate_case"]
