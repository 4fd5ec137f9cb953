"""ASiM's quantised convolution that is computed digitally, for the first layer of a network."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from asim_fx.compat.arguments import AsimArguments, checked, whether
from asim_fx.compat.convolution import Convolution
from asim_fx.compat.modes import check_mode

QuantMode = Literal["Train", "Inference"]
_SITE = "QuantConv2d"


class QuantConv2d(Convolution):
    """A quantised convolution without a macro; its weights are those of ``torch.nn.Conv2d``.

    In ``Inference`` the published module adds a scaled bias inside the sum and the bias again; this one adds it once.

    Args:
        in_channels: as in ``torch.nn.Conv2d``, like the next eight.
        out_channels: see there.
        kernel_size: see there.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        bias: see there.
        padding_mode: see there.
        wbit: bits of the weight, sign included.
        xbit: bits of the input.
        signed_act: whether the input is signed.
        mode: ``Train`` or ``Inference``, which compute the same up to rounding.
        device: without effect: the module computes where its input is.

    Raises:
        UsageError: an argument that has no meaning; also when called.
    """

    _site = _SITE

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        wbit: int = 8,
        xbit: int = 8,
        signed_act: bool = False,
        mode: str = "Train",
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        )  # fmt: skip
        self.wbit, self.xbit, self.signed_act = wbit, xbit, signed_act
        self.mode, self.device = mode, device
        self._checked()

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of ``input``, (batch, channels, height, width) or without a batch.

        Raises:
            InputError: the shape does not fit.
            NumericsError: NaN or infinity in an operand.
            UsageError: an argument was changed to one that has no meaning.
        """
        arguments = self._checked()
        mode = check_mode(self.mode, get_args(QuantMode))
        return self._convolve(input, arguments, signed=self.signed_act, mode=mode, trim_noise=0.0)

    def extra_repr(self) -> str:
        """Return the arguments in one line."""
        convolution: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{convolution}, mode={self.mode}, wbit={self.wbit}, xbit={self.xbit}"

    def _checked(self) -> AsimArguments:
        check_mode(self.mode, get_args(QuantMode))
        signed = whether(self.signed_act, f"{_SITE}: signed_act")
        # Exact sums have no converter, and the number of rows does not change them.
        return checked(AsimArguments(self.wbit, self.xbit, nrow=1), signed=signed, where=_SITE)
