"""A captured model and labelled images, on which one hardware after another is measured. Imports torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from asim_fx.analysis import AnalysedModel
from asim_fx.calibration.remembering import integer_identity
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import AsimError, DataError, InputError, OutputError
from asim_fx.exploration.axes import Settings, overrides
from asim_fx.exploration.calibrator import Calibrator
from asim_fx.exploration.cells import CellResult
from asim_fx.exploration.journal import ABOUT
from asim_fx.exploration.variants import convert_variant
from asim_fx.simulation import VariantResult, simulate
from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.spec.document import complete_document


@dataclass(slots=True)
class IdealCache:
    """The accuracy of ideal integer models that were measured so far; grows.

    Attributes:
        results: by what a model computes: ``integer_identity``.
    """

    results: dict[str, VariantResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all cells of a sweep share. The model is captured once; each cell plans and lowers a copy of its graphs.

    Attributes:
        analysed: the captured model.
        spec: the hardware that settings change.
        data: the images.
        seeds: of the noise.
        device: where it runs.
        calibrator: chooses static scales and windows of converters; None where no images were given.
        ideal_cache: cells that share an ideal integer model measure it once. The only part that changes.
    """

    analysed: AnalysedModel
    spec: HardwareSpec
    data: DataSource
    seeds: tuple[int, ...] = (0,)
    device: str = "cpu"
    calibrator: Calibrator | None = None
    ideal_cache: IdealCache = field(default_factory=IdealCache)

    def convert(self, spec: HardwareSpec) -> ConvertedModel:
        """Return the model on some hardware, calibrated; it shares its weights with every other one."""
        return convert_variant(self.analysed, spec, self.calibrator)

    def run(self, settings: Settings) -> CellResult:
        """Measure one combination of settings. What makes it impossible as hardware is in the result's ``error``.

        Raises:
            DataError, InputError, OutputError: nothing can be measured, whatever the settings.
        """
        try:
            converted = self.convert(load_spec(self.spec, overrides(settings)))
            integer, hardware = self._measure(converted)
        except (DataError, InputError, OutputError):
            raise
        except AsimError as error:
            return CellResult(settings, error=str(error))
        totals = converted.report.totals
        return CellResult(
            settings,
            top1=hardware.top1.mean,
            top1_low=hardware.top1.low,
            top1_high=hardware.top1.high,
            interval=hardware.top1.interval,
            top5=None if hardware.top5 is None else hardware.top5.mean,
            integer_top1=integer.top1.mean,
            images=hardware.images,
            conversions=totals["reads"],
            energy_j=totals["energy_j"],
            latency_s=totals["latency_s"],
        )

    def _measure(self, converted: ConvertedModel) -> tuple[VariantResult, VariantResult]:
        """Return the accuracy of the ideal integer model, and of the hardware."""
        identity = integer_identity(converted)
        known = self.ideal_cache.results.get(identity)
        result = simulate(converted, self.data, seeds=self.seeds, device=self.device, integer=known is None)
        if known is None:
            known = self.ideal_cache.results[identity] = result.variants[0]
        return known, result.variants[-1]

    def identity(self) -> dict[str, object]:
        """Return what makes the results of two sweeps comparable, as plain values; ``about`` tells people."""
        calibrator = self.calibrator
        return {
            "model": self.analysed.name,
            "weights": weights_identity(self.analysed.model),
            "fold_batch_norm": self.analysed.parts[0].context.fold_batch_norm,
            "data": self.data.identity,
            "batch_size": self.data.batch_size,
            "spec": spec_identity(self.spec),
            "seeds": list(self.seeds),
            "device": self.device.partition(":")[0],
            "calibration": None if calibrator is None else calibrator.identity,
            ABOUT: {
                "data": self.data.description,
                "spec": self.spec.name,
                **({} if calibrator is None else {"calibration": calibrator.description}),
            },
        }


def weights_identity(model: torch.nn.Module) -> str:
    """Return a hash of all parameters and buffers of a model, with their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def spec_identity(spec: HardwareSpec) -> str:
    """Return a hash of all that a spec says, its measured files too."""
    parts: Sequence[str] = [repr(complete_document(spec)), *(f"{p}\n{f.text}" for p, f in sorted(spec.files.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
