"""Which rules of a spec a site matches, and what they decide for it. Pure: no graph, no tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from asim_fx.ir import OpSite
from asim_fx.spec.merge import merge, provenance
from asim_fx.spec.schema import HardwareSpec, Match, Rule, SiteSettings, Where
from asim_fx.spec.selectors import name_pattern, parse_condition

_MOST_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a spec decides for one site.

    Attributes:
        settings: every field.
        provenance: setting (``vote.levels``, ``macro.adc.bits``, ``macro`` for its name) -> where its value
            came from.
        decided_by: where ``target`` came from.
        why: the words of the rule that set ``target``, or else of the last matching rule that has any.
        rules: numbers of the rules that match.
    """

    settings: SiteSettings
    provenance: Mapping[str, str]
    decided_by: str
    why: str
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnmatchedRule:
    """A rule that matches no site.

    Attributes:
        index: its number, from 0.
        where: its place (``chip.yaml:14``).
        selector: its ``match``, as one line of text.
        because: which of its conditions no site meets, in words.
        nearest: names that its author may have meant.
    """

    index: int
    where: str
    selector: str
    because: str
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        nearest = f"; nearest names: {', '.join(self.nearest)}" if self.nearest else ""
        return f"{self.where}: rules[{self.index}] ({self.selector}) matches nothing: {self.because}{nearest}"


@dataclass(frozen=True, slots=True)
class ShadowedRule:
    """A rule that changes nothing: later rules override all it sets, on every site that it matches.

    Attributes:
        index: its number, from 0.
        where: its place (``chip.yaml:14``).
        selector: its ``match``, as one line of text.
    """

    index: int
    where: str
    selector: str

    def __str__(self) -> str:
        rule = f"{self.where}: rules[{self.index}] ({self.selector})"
        return f"{rule} has no effect: later rules override all it sets"


def matches(match: Match, site: OpSite) -> bool:
    """Return whether all conditions of a rule hold for a site."""
    return _name_holds(match, site) and _op_holds(match, site) and _where_holds(match.where, site)


def matching_rules(spec: HardwareSpec, site: OpSite) -> tuple[int, ...]:
    """Return the numbers of the rules that match a site, ascending."""
    return tuple(index for index, rule in enumerate(spec.rules) if matches(rule.match, site))


def resolve(spec: HardwareSpec, site: OpSite) -> Resolved:
    """Decide every setting of a site: the defaults, then each matching rule in order, field by field.

    Raises:
        SpecError: a macro that is named does not exist (a spec that was loaded has been checked for that).
    """
    rules = matching_rules(spec, site)
    merged = merge(spec, rules)
    words = [spec.rules[index].why for index in rules if spec.rules[index].why]
    words += [spec.rules[index].why for index in rules if merged.paths["target"] == f"rules.{index}.target"]
    return Resolved(
        settings=merged.settings,
        provenance={name: provenance(spec, path) for name, path in merged.paths.items()},
        decided_by=provenance(spec, merged.paths["target"]),
        why=next((text for text in reversed(words) if text), ""),
        rules=rules,
    )


def unmatched_rules(spec: HardwareSpec, sites: Sequence[OpSite]) -> list[UnmatchedRule]:
    """Return the rules that match none of the sites and are not ``optional``."""
    return [
        _explain(spec, index, sites)
        for index, rule in enumerate(spec.rules)
        if not rule.optional and not any(matches(rule.match, site) for site in sites)
    ]


def shadowed_rules(spec: HardwareSpec, sites: Sequence[OpSite]) -> list[ShadowedRule]:
    """Return the rules that match sites and yet decide no field of any."""
    matched: set[int] = set()
    effective: set[int] = set()
    for rules in {matching_rules(spec, site) for site in sites}:
        matched.update(rules)
        parts = [path.split(".") for path in merge(spec, rules).paths.values()]
        effective.update(int(part[1]) for part in parts if part[0] == "rules")
    return [
        ShadowedRule(index, spec.origin.where(f"rules.{index}"), selector_text(spec.rules[index]))
        for index in sorted(matched - effective)
        if spec.rules[index].settings
    ]


def selector_text(rule: Rule) -> str:
    """Return a rule's ``match`` as one line (``name layer4.**, op conv, groups 1``)."""
    match = rule.match
    where = match.where.model_dump(exclude_none=True) if match.where else {}
    parts = [f"name {' | '.join(_names(match))}"] if match.name is not None else []
    parts += [f"op {' | '.join(_ops(match))}"] if match.op is not None else []
    parts += [f"{name} {str(value).lower()}" for name, value in where.items()]
    return ", ".join(parts) or "every site"


def _names(match: Match) -> list[str]:
    return [match.name] if isinstance(match.name, str) else match.name or []


def _ops(match: Match) -> list[str]:
    return [match.op] if isinstance(match.op, str) else [*(match.op or [])]


def _name_holds(match: Match, site: OpSite) -> bool:
    return match.name is None or any(_selects(selector, site) for selector in _names(match))


def _selects(selector: str, site: OpSite) -> bool:
    if selector.startswith("@"):
        return selector in site.aliases
    pattern = name_pattern(selector)
    return any(pattern.fullmatch(name) for name in {site.name, site.label})


def _op_holds(match: Match, site: OpSite) -> bool:
    return match.op is None or site.kind.value in _ops(match)


def _where_holds(where: Where | None, site: OpSite) -> bool:
    if where is None:
        return True
    numbers = ((where.groups, site.groups), (where.k, site.k), (where.n, site.n), (where.macs, site.macs))
    kernel, stride = (site.geometry.kernel, site.geometry.stride) if site.geometry else ((), ())
    windows = ((where.kernel, kernel), (where.stride, stride))
    return (
        all(condition is None or parse_condition(condition).holds((value,)) for condition, value in numbers)
        and all(
            condition is None or (bool(extents) and parse_condition(condition, window=True).holds(extents))
            for condition, extents in windows
        )
        and (where.depthwise is None or where.depthwise == site.depthwise)
    )


def _explain(spec: HardwareSpec, index: int, sites: Sequence[OpSite]) -> UnmatchedRule:
    rule = spec.rules[index]
    named = [site for site in sites if _name_holds(rule.match, site)]
    of_kind = [site for site in named if _op_holds(rule.match, site)]
    nearest: tuple[str, ...] = ()
    if not named:
        because = "no site has such a name"
        nearest = _nearest_names(rule.match, sites)
    elif not of_kind:
        kinds = ", ".join(sorted({site.kind.value for site in named}))
        because = f"the sites{' of that name' if rule.match.name else ''} are of kind {kinds}"
    elif not any(_where_holds(rule.match.where, site) for site in of_kind):
        because = f"none of the {len(of_kind)} sites that match otherwise meets its numeric conditions"
    else:
        because = "no site meets all of its conditions"
    return UnmatchedRule(index, spec.origin.where(f"rules.{index}"), selector_text(rule), because, nearest)


def _nearest_names(match: Match, sites: Sequence[OpSite]) -> tuple[str, ...]:
    """Return what looks like a selector without its stars: modules where it ends in ``**``, else sites."""
    names = dict.fromkeys(site.name for site in sites)
    modules = dict.fromkeys(module for name in names for module in _modules_around(name))
    found: list[str] = []
    for selector in _names(match):
        wanted = selector.removeprefix("re:").strip("*.^$") or selector
        known = [f"{module}.**" for module in modules] if selector.endswith(".**") else [*names]
        found += get_close_matches(f"{wanted}.**" if selector.endswith(".**") else wanted, known, _MOST_NEAREST, 0.5)
    return tuple(dict.fromkeys(found))[:_MOST_NEAREST]


def _modules_around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
