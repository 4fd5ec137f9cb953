"""Measure what each option does to each site of a model, and what each site does to the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asim_fx.analysis import AnalysedModel
from asim_fx.conversion import map_onto
from asim_fx.converted import ConvertedModel
from asim_fx.errors import PlanError, SpecError, UsageError
from asim_fx.exploration.calibrator import Calibrator
from asim_fx.exploration.images import Images
from asim_fx.exploration.knapsack import Choice, Item, Menu
from asim_fx.exploration.options import PLANNED, Choices, Option, plan_rules
from asim_fx.exploration.sensitivity import movements, reference_options, site_noise
from asim_fx.exploration.variants import convert_variant
from asim_fx.report.rows import MappingReport
from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.spec.schema import written_fields

Tell = Callable[[str], None]

_SHARE_FOR_NOISE = 4
"""One image in so many measures the noise of options: a site has many outputs for each image."""
_DRAWS = (0, 1, 2)
"""Seeds of the noise that sensitivities are measured with. A few images near a decision make up most of a divergence,
so that it varies widely from one draw to the next."""


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
        return convert_variant(self.analysed, spec, self.calibrator)

    def spec_with(self, chosen: Mapping[str, Option], why: Mapping[Option, str] | None = None) -> HardwareSpec:
        """Return the spec with rules for sites; those of an earlier plan are replaced."""
        own = [written_fields(rule) for rule in self.spec.rules if not rule.why.startswith(PLANNED)]
        rules = [*own, *plan_rules(chosen, why or {})]
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
        fixed_energy_j: of the digital sites, which are not planned; None where that of one is unknown.
        dropped: options that the hardware cannot have, and why.
    """

    sites: tuple[str, ...]
    options: tuple[Option, ...]
    noise: tuple[Mapping[str, float], ...]
    sensitivity: Mapping[str, float]
    conversions: tuple[Mapping[str, int], ...]
    energy_j: tuple[Mapping[str, float | None], ...]
    fixed_energy_j: float | None
    dropped: tuple[str, ...] = ()

    def chosen(self, choice: Choice) -> dict[str, Option]:
        """Return the option of every site."""
        return {site: self.options[position] for site, position in zip(self.sites, choice, strict=True)}

    def fixed_cost(self, cost: str) -> float:
        """Return what a plan costs whatever is chosen.

        Raises:
            UsageError: the spec does not say what energy follows from.
        """
        if cost != "energy":
            return 0.0
        if self.fixed_energy_j is None:
            message = "the spec does not say enough for the energy of its digital sites"
            raise UsageError(message, hint="`cost:` of the spec says what energy follows from; asim-convert shows it")
        return self.fixed_energy_j

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
        samples: images to measure sensitivities with, taken evenly from the choosing ones; noise takes a quarter.
        tell: told what happens next.

    Raises:
        PlanError: nothing is analog, or the hardware can have none of the options.
    """
    report = map_onto(bench.analysed.copied(), bench.spec).report
    sites = tuple(dict.fromkeys(row.name for row in report.rows if row.target == "analog"))
    if not sites:
        message = f"{bench.spec.name} maps no site of {report.model} to an array, so there is nothing to plan"
        raise PlanError(message)
    data = bench.choosing.spread(samples)
    few = data.spread(max(1, len(data) // _SHARE_FOR_NOISE))
    wanted = choices.options()
    options, noise, reports, dropped = [], [], [], []
    for number, option in enumerate(wanted, start=1):
        tell(f"measuring option {number} of {len(wanted)}: {option}")
        try:
            converted = bench.convert(bench.spec_with(dict.fromkeys(sites, option)))
        except (SpecError, PlanError) as error:
            dropped.append(f"{option}: {_reason(error)}")
            continue
        options.append(option)
        noise.append(site_noise(converted, few))
        reports.append(converted.report)
    if not options:
        message = f"{bench.spec.name} can have none of the options: {dropped[0]}"
        raise PlanError(message)
    return Findings(
        sites,
        tuple(options),
        tuple(noise),
        _sensitivities(bench, options, noise, data, sites, tell),
        tuple({site: _reads(one, site) for site in sites} for one in reports),
        tuple({site: _energy(one, site) for site in sites} for one in reports),
        _total_energy(report, [row.name for row in report.rows if row.target == "integer"]),
        tuple(dropped),
    )


def _sensitivities(
    bench: Workbench,
    options: Sequence[Option],
    noise: Sequence[Mapping[str, float]],
    data: Images,
    sites: Sequence[str],
    tell: Tell,
) -> dict[str, float]:
    """Return for each site how far the class probabilities move for each unit of its noise.

    A site whose noise changes nothing at its reference option is measured again at its loudest one. Zero is left
    for sites that are exact with every option, and for those that change nothing even then.
    """
    loudest = {site: max(range(len(options)), key=lambda place: noise[place][site]) for site in sites}
    found: dict[str, float] = {}
    for references in (reference_options(noise, sites), loudest):
        left = [site for site in sites if not found.get(site) and noise[loudest[site]][site]]
        for position in sorted({references[site] for site in left}):
            alike = [site for site in left if references[site] == position]
            tell(f"measuring {len(alike)} of {len(sites)} sites at {options[position]}")
            converted = bench.convert(bench.spec_with(dict.fromkeys(sites, options[position])))
            for site, moved in movements(converted, data, alike, _DRAWS).items():
                found[site] = moved / noise[position][site]
    return {site: found.get(site, 0.0) for site in sites}


def _reason(error: SpecError | PlanError) -> str:
    """Return why hardware is impossible, without the rules of a plan, which a user has not written."""
    return error.issues[0].message if isinstance(error, SpecError) else str(error).splitlines()[0]


def _reads(report: MappingReport, site: str) -> int:
    return sum(row.reads for row in report.rows if row.name == site)


def _energy(report: MappingReport, site: str) -> float | None:
    return _total_energy(report, [site])


def _total_energy(report: MappingReport, names: Sequence[str]) -> float | None:
    """Return the energy of some sites for one image; None where that of one is unknown."""
    energies = [row.energy_j for row in report.rows if row.name in names]
    return None if None in energies else sum(energy for energy in energies if energy is not None)
