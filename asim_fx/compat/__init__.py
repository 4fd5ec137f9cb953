"""ASiM's own names: one operation, and modules to drop into a network, as its published simulator has them."""

from asim_fx.compat.attention import ASiMMultiheadAttention
from asim_fx.compat.case import simulate_case
from asim_fx.compat.conv import ASiMConv2d
from asim_fx.compat.linear import ASiMLinear
from asim_fx.compat.pact import PACT
from asim_fx.compat.quant_conv import QuantConv2d

__all__ = ["PACT", "ASiMConv2d", "ASiMLinear", "ASiMMultiheadAttention", "QuantConv2d", "simulate_case"]
