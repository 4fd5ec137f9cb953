"""Measure what each option does to each site of a model, and what each site does to the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asim_fx.analysis import AnalysedModel
from asim_fx.conversion import lower, map_onto
from asim_fx.converted import ConvertedModel
from asim_fx.errors import PlanError, SpecError, UsageError
from asim_fx.exploration.calibrator import Calibrator, made_ready
from asim_fx.exploration.knapsack import Choice, Item, Menu
from asim_fx.exploration.options import Choices, Option, plan_rules
from asim_fx.exploration.sensitivity import Images, reference_option, sensitivities, site_noise
from asim_fx.report.rows import MappingReport
from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.spec.schema import written_fields

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Workbench:
    """A captured model on which whole plans are simulated.

    Attributes:
        analysed: the model.
        spec: the hardware whose analog sites are planned.
        choosing: images that choices are made on.
        reporting: images that results are reported on; none of them is used to choose.
        seeds: of the noise, to choose with. Reported results draw others.
        calibrator: chooses static scales and windows of converters; None where no images were given.
    """

    analysed: AnalysedModel
    spec: HardwareSpec
    choosing: Images
    reporting: Images
    seeds: tuple[int, ...] = (0, 1, 2)
    calibrator: Calibrator | None = None

    def convert(self, spec: HardwareSpec) -> ConvertedModel:
        """Return the model on some hardware, calibrated."""
        converted = lower(map_onto(self.analysed.copied(), spec), self.analysed.model, self.analysed.example).eval()
        return made_ready(converted, self.calibrator)

    def spec_with(self, chosen: Mapping[str, Option], why: Mapping[str, str] | None = None) -> HardwareSpec:
        """Return the spec with rules for sites added."""
        rules = [*(written_fields(rule) for rule in self.spec.rules), *plan_rules(chosen, why or {})]
        return load_spec(self.spec, [f"rules={json.dumps(rules)}"])


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured of single sites.

    Attributes:
        sites: that can be planned: those the spec maps to arrays.
        options: that every site may choose.
        noise: of each option, site -> noise.
        sensitivity: site -> how far the result moves for each unit of its noise.
        conversions: of each option, site -> ADC conversions for one image.
        energy_j: of each option, site -> energy for one image; None where unknown.
        fixed_energy_j: of the sites that are not planned.
        dropped: options that the hardware cannot have, and why.
    """

    sites: tuple[str, ...]
    options: tuple[Option, ...]
    noise: tuple[Mapping[str, float], ...]
    sensitivity: Mapping[str, float]
    conversions: tuple[Mapping[str, int], ...]
    energy_j: tuple[Mapping[str, float | None], ...]
    fixed_energy_j: float
    dropped: tuple[str, ...] = ()

    def chosen(self, choice: Choice) -> dict[str, Option]:
        """Return the option of every site."""
        return {site: self.options[position] for site, position in zip(self.sites, choice, strict=True)}

    def menus(self, cost: str) -> list[Menu]:
        """Return the options of every site with their cost and predicted damage.

        Raises:
            UsageError: the spec does not say what energy follows from.
        """
        by_option: Sequence[Mapping[str, float | None]] = self.energy_j if cost == "energy" else self.conversions
        menus: list[Menu] = []
        for site in self.sites:
            items = []
            for costs, noise in zip(by_option, self.noise, strict=True):
                value = costs[site]
                if value is None:
                    message = f"the spec does not say enough for the energy of {site}"
                    raise UsageError(message, hint="macros.*.cost says what energy follows from")
                items.append(Item(value, noise[site] * self.sensitivity[site]))
            menus.append(items)
        return menus


def measure_sites(bench: Workbench, choices: Choices, samples: int = 128, tell: Tell = lambda _: None) -> Findings:
    """Measure what each option does to each site, and what each site does to the result.

    Args:
        bench: the model, the hardware and the images.
        choices: what each site may choose from.
        samples: images of the choosing ones that are used.
        tell: told what happens next.

    Raises:
        PlanError: nothing is analog, or the hardware can have none of the options.
    """
    report = map_onto(bench.analysed.copied(), bench.spec).report
    sites = tuple(dict.fromkeys(row.name for row in report.rows if row.target == "analog"))
    if not sites:
        message = f"{bench.spec.name} maps no site of {report.model} to an array, so there is nothing to plan"
        raise PlanError(message)
    data = bench.choosing.first(samples)
    options, noise, reports, dropped = [], [], [], []
    for option in choices.options():
        tell(f"measuring {option}")
        try:
            converted = bench.convert(bench.spec_with(dict.fromkeys(sites, option)))
        except (SpecError, PlanError) as error:
            dropped.append(f"{option}: {str(error).splitlines()[0]}")
            continue
        options.append(option)
        noise.append(site_noise(converted, data))
        reports.append(converted.report)
    if not options:
        message = f"{bench.spec.name} can have none of the options: {dropped[0]}"
        raise PlanError(message)
    reference = reference_option(noise, sites)
    tell("measuring sites")
    converted = bench.convert(bench.spec_with(dict.fromkeys(sites, options[reference])))
    return Findings(
        sites,
        tuple(options),
        tuple(noise),
        sensitivities(converted, noise[reference], data, sites),
        tuple({site: _reads(one, site) for site in sites} for one in reports),
        tuple({site: _energy(one, site) for site in sites} for one in reports),
        sum(row.energy_j or 0.0 for row in report.rows if row.name not in sites),
        tuple(dropped),
    )


def _reads(report: MappingReport, site: str) -> int:
    return sum(row.reads for row in report.rows if row.name == site)


def _energy(report: MappingReport, site: str) -> float | None:
    energies = [row.energy_j for row in report.rows if row.name == site]
    return None if None in energies else sum(energy for energy in energies if energy is not None)
