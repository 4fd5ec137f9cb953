"""A configuration of the published simulator as a hardware spec, with an account of every setting in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from asim_fx.errors import SpecError, SpecIssue
from asim_fx.importing.config_file import CONFIG, ConfigFile
from asim_fx.importing.groups import (
    GROUPS,
    PATCHES_QUANTISED,
    REASONS,
    STEMS,
    Family,
    Group,
    family_of,
    own_settings,
)
from asim_fx.ir import input_plane_widths
from asim_fx.spec.document import to_yaml
from asim_fx.spec.loader import parse_spec

_MACRO = "m"
_MODES = ("Train", "Inference", "Simulation")
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "signed": ((bool,), "True or False"),
    "input_encoding": ((int, type(None)), "a whole number or None"),
    "hybrid.levels": ((int, type(None)), "a whole number or None"),
    "macro.noise.random_percent_fs": ((int, float), "a number"),
    "macro.noise.nonlinear_percent_fs": ((int, float), "a number"),
}
_WHEN_NONE = {"input_encoding": 1, "hybrid.levels": 0}


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one setting.

    Attributes:
        setting: name, without ``cfg.``.
        line: in the file.
        value: as Python writes it, or ``(code)``.
        became: fields of the spec; empty where there is none.
        reason: why it is in no field, where there is none.
        of_other_models: whether only models of the other family have it.
    """

    setting: str
    line: int
    value: str
    became: str = ""
    reason: str = ""
    of_other_models: bool = False


@dataclass(frozen=True, slots=True)
class ImportedConfig:
    """The result.

    Attributes:
        document: the spec, as plain values.
        text: the same as YAML, with a comment on where it came from.
        accounts: one for each setting of the file, in its order.
        notes: where a result here differs from one of the published simulator.
    """

    document: dict[str, Any]
    text: str
    accounts: tuple[Account, ...]
    notes: tuple[str, ...]


def import_config(file: ConfigFile) -> ImportedConfig:
    """Turn a configuration into a spec.

    Raises:
        SpecError: a setting is missing, of the wrong kind or out of range; each with its line.
    """
    return _Importer(file).run()


class _Importer:
    """Collects the document, what each field came from, and what is wrong."""

    def __init__(self, file: ConfigFile) -> None:
        self.file = file
        self.issues: list[SpecIssue] = []
        self.became: dict[str, list[str]] = {}
        self.reasons: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.notes: list[str] = []

    def run(self) -> ImportedConfig:
        family = self._family()
        groups = GROUPS[family]
        settings = [self._settings(group, "defaults" if n == 0 else f"rules.{n}") for n, group in enumerate(groups)]
        first, *others = settings
        macro = first.pop("macro", {})
        for path in [path for path in self.origins if path.startswith("defaults.macro.")]:
            self.origins[path.replace("defaults.macro", f"macros.{_MACRO}")] = self.origins[path]
        document: dict[str, Any] = {
            "version": 1,
            "name": f"asim-{self._value('model_name')}-{self._value('task')}".lower(),
            "description": f"From {self.file.name.rpartition('/')[2]} of the ASiM simulator.",
            "macros": {_MACRO: {**macro, "columns": 256}},
            "defaults": {"macro": _MACRO, "scale": "dynamic", **first},
            "rules": [
                self._stem(family),
                *(
                    {"match": {**group.match}, **rule, "optional": True, "why": f"{group.title}, as configured"}
                    for group, rule in zip(groups[1:], others, strict=True)
                ),
            ],
        }
        self._raise_issues()
        text = to_yaml(document)
        self._check(text)
        header = f"# Made by asim-import config from {self.file.name}.\n"
        return ImportedConfig(document, header + text, self._accounts(family), tuple(self._notes(family, groups)))

    def _family(self) -> Family:
        name = self._value("model_name")
        self._raise_issues()
        family = family_of(name) if isinstance(name, str) else None
        if family is None:
            known = "ResNet-18, VGG16-BN, ViT-B-32 and the like"
            self._issue("model_name", f"must name one of the published models ({known}), not {name!r}")
            self._raise_issues()
            raise AssertionError  # the line above raises
        return family

    def _settings(self, group: Group, path: str) -> dict[str, Any]:
        mode = self._value(group.mode)
        if mode not in _MODES:
            self._issue(group.mode, f"must be one of {', '.join(_MODES)}, not {mode!r}")
        analog = mode == "Simulation"
        self.became.setdefault(group.mode, []).append(f"target of {group.title}")
        settings: dict[str, Any] = {"target": "analog" if analog else "integer"}
        for field, name in group.fields.items():
            if analog or field in ("weight_bits", "input_bits", "signed") or path == "defaults":
                _put(settings, field, self._read(name, field))
                self.origins[f"{path}.{field}"] = name
                self.became.setdefault(name, []).append(f"{field} of {group.title}")
            else:
                self.reasons.setdefault(name, f"{group.title} are digital: {group.mode} is {mode!r}")
        if group.signed is not None:
            settings["signed"] = group.signed
        if analog and not self.issues:
            self._limit_digital_levels(group, settings)
        return settings

    def _limit_digital_levels(self, group: Group, settings: dict[str, Any]) -> None:
        """Let more hybrid levels than there are mean all of them, as in the published simulator."""
        hybrid, bits = settings["hybrid"], settings["input_bits"]
        if not 1 <= settings["input_encoding"] <= bits:
            return  # an error of its own
        widths = input_plane_widths(bits, signed=settings["signed"], encoding=settings["input_encoding"])
        most = settings["weight_bits"] + len(widths) - 1
        if hybrid["levels"] > most:
            name = group.fields["hybrid.levels"]
            self.notes.append(f"{CONFIG}.{name}: {hybrid['levels']} is all {most} levels of {group.title}")
            hybrid["levels"] = most

    def _stem(self, family: Family) -> dict[str, Any]:
        rule: dict[str, Any] = {"match": {"name": "@first_conv"}, "target": "integer"}
        if family == "ViT":
            quantised = self._value(PATCHES_QUANTISED)
            self.became.setdefault(PATCHES_QUANTISED, []).append("target of the first convolution")
            if not quantised:
                for name in STEMS[family].values():
                    self.reasons[name] = f"the first convolution stays in float: {PATCHES_QUANTISED} is {quantised!r}"
                return {**rule, "target": "float", "optional": True, "why": "patches are embedded in float"}
        for field, name in STEMS[family].items():
            rule[field] = self._read(name, field)
            self.origins[f"rules.0.{field}"] = name
            self.became.setdefault(name, []).append(f"{field} of the first convolution")
        return {**rule, "signed": True, "optional": True, "why": "the first convolution is digital"}

    def _value(self, name: str) -> Any:
        setting = self.file.settings.get(name)
        if setting is None:
            self.issues.append(SpecIssue(self.file.name, "", f"{CONFIG}.{name} is missing"))
            return None
        if setting.computed:
            self._issue(name, "must be a literal")
        return setting.value

    def _read(self, name: str, field: str) -> Any:
        before = len(self.issues)
        value = self._value(name)
        kinds, words = _KINDS.get(field, ((int,), "a whole number"))
        wrong = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        if wrong and len(self.issues) == before:
            self._issue(name, f"must be {words}, not {value!r}")
        return _WHEN_NONE.get(field) if value is None else value

    def _issue(self, name: str, message: str) -> None:
        self.issues.append(SpecIssue(self.file.where(name), f"{CONFIG}.{name}", message))

    def _raise_issues(self) -> None:
        if self.issues:
            raise SpecError(list(dict.fromkeys(self.issues)))

    def _check(self, text: str) -> None:
        """Let the spec's own checks run, and tell what they find in words of the configuration."""
        try:
            parse_spec(text, self.file.name)
        except SpecError as error:
            raise SpecError([self._translated(issue) for issue in error.issues], hint=error.hint) from error

    def _translated(self, issue: SpecIssue) -> SpecIssue:
        name = self.origins.get(issue.field)
        if name is None:
            return replace(issue, where=self.file.name)
        return SpecIssue(self.file.where(name), f"{CONFIG}.{name}", issue.message)

    def _accounts(self, family: Family) -> tuple[Account, ...]:
        other: Family = "ViT" if family == "CNN" else "CNN"
        accounts = []
        for name, setting in self.file.settings.items():
            value = "(code)" if setting.computed else repr(setting.value)
            became = ", ".join(self.became.get(name, ()))
            others = not became and name in own_settings(other)
            reason = self.reasons.get(name) or REASONS.get(name) or (f"of {other} models" if others else "not known")
            accounts.append(Account(name, setting.line, value, became, "" if became else reason, others))
        return tuple(accounts)

    def _notes(self, family: Family, groups: tuple[Group, ...]) -> list[str]:
        notes = [*self._unknown_settings(), *self.notes]
        notes += ["columns: 256 of a macro are assumed; they change the mapping and the cost, never a result"]
        if self._value(groups[0].fields["hybrid.levels"]):
            notes.append("digital cycles are exact here; in the published simulator they pass the converter")
        if family == "ViT":
            notes.append("attention is scaled as the model says; the published ViT scales it by embed_dim ** -0.5")
        elif self._value("asim_conv_nrow") % 9:
            notes.append("all row tiles run; the published simulator may drop the last input channels of a 3x3 window")
        if family == "CNN":
            notes.append(
                "the published simulator quantises weights without the batch norms behind them; for its results run "
                "asim-convert MODEL SPEC --no-fold-batch-norm"
            )
        return notes

    def _unknown_settings(self) -> list[str]:
        known = {*REASONS, *own_settings("CNN"), *own_settings("ViT")}
        notes = []
        for name, setting in self.file.settings.items():
            if name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f"; did you mean {CONFIG}.{near[0]}?" if near else ""
                notes.append(f"{CONFIG}.{name} in line {setting.line} is not a known setting and has no effect{meant}")
        return notes


def _put(settings: dict[str, Any], field: str, value: Any) -> None:
    *parents, leaf = field.split(".")
    for parent in parents:
        settings = settings.setdefault(parent, {})
    settings[leaf] = value
