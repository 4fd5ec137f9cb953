"""Options that explorations have in common with asim-convert and asim-simulate, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asim_fx.errors import UsageError

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="As for asim-convert.", show_default=False)]
SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="A shipped name, or a path to YAML.", show_default=False)
]
DataOption = Annotated[
    str, typer.Option(metavar="SOURCE", help="The images, as for asim-simulate.", show_default=False)
]
DataDirOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Where a named data set lies, or is put.")]
SplitOption = Annotated[str, typer.Option(metavar="NAME", help="Part of the data.")]
BatchOption = Annotated[int, typer.Option("--batch-size", "-b", metavar="N", min=1, help="Images in a batch.")]
SamplesOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Take only the first N images.")]
BalancedOption = Annotated[
    bool, typer.Option("--balanced", help="Take the N images of a folder in turn from each class.")
]
SeedsOption = Annotated[str, typer.Option(metavar="S", help="Seeds of the noise: 0:5 means 0 to 4; also 3, or 0,2,5.")]
CheckpointOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Weights: .safetensors, or a torch file without code.")
]
PretrainedOption = Annotated[bool, typer.Option("--pretrained", help="Download the library's own weights.")]
ClassesOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="Outputs of the classifier.")]
SizeOption = Annotated[
    tuple[int, int, int] | None, typer.Option(metavar="C H W", help="Channels, height, width of an image.")
]
KwargsOption = Annotated[
    list[str] | None, typer.Option(metavar="K=V", help="Argument of the model's constructor. Repeatable.")
]
CalibrateOption = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE", help="Images to choose static scales and ADC windows on; as --data of asim-simulate."
    ),
]
CalibSamplesOption = Annotated[int, typer.Option(metavar="N", min=1, help="How many images to calibrate on.")]
CalibSplitOption = Annotated[str, typer.Option(metavar="NAME", help="Part of that data to calibrate on.")]
FoldOption = Annotated[bool, typer.Option(help="Fold batch norms into the layer before.")]
DeviceOption = Annotated[str, typer.Option(metavar="D", help="cpu, cuda, cuda:1, mps.")]
SeedOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="Seed of the initial weights, for a model that has none of its own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def nothing_to_calibrate() -> UsageError:
    """Return the error of images to calibrate on that nothing asks for."""
    message = "--calibrate has nothing to do: no site has `scale: static`, or a macro with `adc.range: calibrated`"
    return UsageError(message, hint="for example --set defaults.scale=static")
