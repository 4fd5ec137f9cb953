"""Operations that are no plain convolution, linear or matmul run on arrays too, and equal fake-quantised torch there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import asim_fx

BITS = 8
LEVELS = 2 ** (BITS - 1) - 1


def fake_quantise(value: Tensor) -> Tensor:
    scale = value.abs().max() + 1e-7
    return torch.round((value.abs() / scale).clamp(0, 1) * LEVELS).double() * value.sign() * scale.double() / LEVELS


def check_form(
    model: nn.Module, example: Tensor, reference: Callable[[Tensor], Tensor], *, tolerance: float = 1e-5
) -> asim_fx.MappingReport:
    """Convert for an ideal converter and compare at three batch sizes; every site must be analog."""
    converted = asim_fx.convert(model, "ideal", example)
    for batch in (1, 2, 5):
        x = torch.randn(batch, *example.shape[1:], generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            actual, expected = converted(x), reference(x)
        assert actual.shape == expected.shape
        assert float((actual - expected).abs().max()) <= tolerance * float(expected.abs().max())
    report = converted.report
    assert {row.target for row in report.rows} == {"analog"}
    return report


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ConvTranspose1d(4, 6, 2, 3), (4, 9)),  # stride > kernel: some outputs are the bias alone
        (nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1, groups=2), (8, 5, 7)),
        (nn.ConvTranspose2d(4, 6, 4, 2, 1), (4, 5, 7)),
        (nn.ConvTranspose3d(4, 2, (3, 2, 1), (2, 1, 3), (1, 0, 0), dilation=(1, 3, 1), bias=False), (4, 3, 4, 5)),
    ],
)
def test_transposed_convolution(layer: nn.Module, shape: tuple[int, ...]) -> None:
    convolve = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[len(shape) - 1]

    def reference(x: Tensor) -> Tensor:
        bias = None if layer.bias is None else layer.bias.double()
        geometry = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
        return convolve(fake_quantise(x), fake_quantise(layer.weight), bias, *geometry)

    report = check_form(nn.Sequential(layer), torch.randn(2, *shape), reference)
    (row,) = report.rows
    assert row.name == "0"
    assert (
        row.macs
        == torch.Size(shape).numel() * layer.out_channels // layer.groups * torch.Size(layer.kernel_size).numel()
    )


def test_reads_of_a_transposed_convolution_are_those_of_its_phases() -> None:
    """3x3 with stride 2, 100 channels, 255 rows: phases of 4, 2, 2 and 1 taps make 2, 1, 1 and 1 row tiles."""
    layer = nn.ConvTranspose2d(100, 6, 3, 2, 1, output_padding=1)
    report = asim_fx.convert(nn.Sequential(layer), "ideal", torch.randn(2, 100, 4, 4)).report
    (row,) = report.rows
    assert (row.k, row.n, row.vectors, row.row_tiles) == (900, 6, 16, 5)
    assert row.reads == 16 * 6 * 5 * 64
