"""The modules that stand in a converted graph: one for each kind of operation. They own no weights."""

from asim_fx.nn.conv import CimConv
from asim_fx.nn.conv_transpose import CimConvTranspose
from asim_fx.nn.linear import CimLinear
from asim_fx.nn.matmul import CimMatmul
from asim_fx.nn.module import Choosing, CimModule, Fidelity
from asim_fx.nn.recurrence import CimRecurrence

__all__ = [
    "Choosing",
    "CimConv",
    "CimConvTranspose",
    "CimLinear",
    "CimMatmul",
    "CimModule",
    "CimRecurrence",
    "Fidelity",
]
