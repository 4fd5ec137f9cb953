"""Combinations of settings that no hardware can have. Every message names all fields that take part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asim_fx.errors import SpecIssue
from asim_fx.ir import input_plane_widths
from asim_fx.spec.calibration import MOST_BITS_WITH_KL
from asim_fx.spec.circuit_checks import circuit_conflicts
from asim_fx.spec.conflict import Conflict
from asim_fx.spec.encoding_checks import encoding_conflicts
from asim_fx.spec.merge import MACRO, Merged, merge, undefined_macro
from asim_fx.spec.schema import HardwareSpec, Macro, SiteSettings
from asim_fx.spec.sources import source_issues


def problems(settings: SiteSettings, signed: bool | None) -> list[tuple[str, str]]:
    """Check the settings of one site against each other.

    Args:
        settings: every field resolved.
        signed: whether the streamed operand is signed; None while that is not known.

    Returns:
        (field, message) pairs; empty where all is well.
    """
    return [(conflict.fields[0], conflict.message) for conflict in conflicts(settings, signed)]


def conflicts(settings: SiteSettings, signed: bool | None) -> list[Conflict]:
    """Do what ``problems`` does, with every field that takes part."""
    if settings.target == "float":
        return []
    found = list(_operand_conflicts(settings, signed))
    if settings.target == "analog":
        found += _macro_conflicts(settings)
        found += circuit_conflicts(settings)
        found += encoding_conflicts(settings)
        found += _bit_plan_conflicts(settings, signed)
    return found


def _operand_conflicts(settings: SiteSettings, signed: bool | None) -> Iterator[Conflict]:
    if signed and settings.input_bits == 1:
        yield Conflict(
            ("input_bits", "signed"),
            "`input_bits: 1` leaves no bit for the magnitude of a signed input; use 2 or more, or `signed: false`",
        )
    if settings.scale == "static" and settings.calibration.method == "kl" and settings.input_bits > MOST_BITS_WITH_KL:
        yield Conflict(
            ("calibration.method", "input_bits"),
            f"`calibration.method: kl` compares histograms, and is for `input_bits` of {MOST_BITS_WITH_KL} or less, "
            f"not {settings.input_bits}; use mse or percentile",
        )
    if settings.weight_bits == 1:
        yield Conflict(
            ("weight_bits",),
            "`weight_bits: 1` leaves no bit for the magnitude, as weights are signed; use 2 or more",
        )


def _macro_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    macro = settings.macro
    if not settings.macro_name:
        yield Conflict(
            (MACRO, "target"),
            "no macro is chosen for `target: analog`; give `macro` the name of one of `macros`",
        )
    if macro.domain == "current" and macro.noise.nonlinear_percent_fs > 0:
        yield Conflict(
            ("macro.noise.nonlinear_percent_fs", "macro.domain"),
            "`noise.nonlinear_percent_fs` is an effect of the charge domain, and `domain` is current; set "
            "one of them back",
        )
    if macro.domain == "charge":
        for name in ("compression_per_mac", "cell_variation_percent"):
            if getattr(macro.current, name) > 0:
                yield Conflict(
                    (f"macro.current.{name}", "macro.domain"),
                    f"`current.{name}` is an effect of the current domain; add `domain: current`, or leave it 0",
                )
    if macro.weights == "parallel":
        yield from _parallel_conflicts(settings)
    if macro.cost.columns_per_adc != "adc" and macro.cost.columns_per_adc > macro.columns:
        yield Conflict(
            ("macro.cost.columns_per_adc", "macro.columns"),
            f"`cost.columns_per_adc: {macro.cost.columns_per_adc}` is more than the `columns: {macro.columns}` there "
            "are to share a converter",
        )
    if macro.cost.cell_rows != "unknown" and macro.cost.cell_rows < macro.rows:
        yield Conflict(
            ("macro.cost.cell_rows", "macro.rows"),
            f"`cost.cell_rows: {macro.cost.cell_rows}` is fewer than the `rows: {macro.rows}` that are read at once",
        )
    if macro.cost.model == "measured" and not macro.cost.measured:
        yield Conflict(
            ("macro.cost.model", "macro.cost.measured"),
            "`cost.model: measured` needs an operating point in `cost.measured`; add one, or use auto",
        )


def _parallel_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    macro = settings.macro
    if macro.adc.bits == 1:
        yield Conflict(
            ("macro.adc.bits", "macro.weights"),
            "`adc.bits: 1` leaves no bit for the magnitude of the signed products of `weights: parallel`; "
            "use 2 or more",
        )
    if macro.noise.nonlinear_percent_fs > 0:
        yield Conflict(
            ("macro.noise.nonlinear_percent_fs", "macro.weights"),
            "`noise.nonlinear_percent_fs` is defined for bit planes only, and `weights` is parallel; set one "
            "of them back",
        )
    if settings.input_encoding not in (1, settings.input_bits):
        yield Conflict(
            ("input_encoding", "input_bits", "macro.weights"),
            f"`weights: parallel` applies the input whole, so `input_encoding` is all of `input_bits` "
            f"({settings.input_bits}) or left out, not {settings.input_encoding}",
        )


def _bit_plan_conflicts(settings: SiteSettings, signed: bool | None) -> Iterator[Conflict]:
    hybrid, vote, noise = settings.hybrid, settings.vote, settings.macro.noise
    if settings.input_encoding > settings.input_bits:
        yield Conflict(
            ("input_encoding", "input_bits"),
            f"`input_encoding: {settings.input_encoding}` is wider than the input, which has "
            f"`input_bits: {settings.input_bits}`",
        )
    if settings.macro.weights == "parallel":
        if hybrid.levels > 0:
            yield Conflict(
                ("hybrid.levels", "macro.weights"),
                "`weights: parallel` has a single read for each tile, so `hybrid.levels` must be 0",
            )
    elif hybrid.levels > (most := _most_levels(settings, signed)):
        yield Conflict(
            (
                "hybrid.levels",
                "weight_bits",
                "input_bits",
                "input_encoding",
                "macro.weight_encoding",
                "macro.cell_bits",
            ),
            f"`hybrid.levels: {hybrid.levels}` is more than there are: at most {most} with `weight_bits: "
            f"{settings.weight_bits}`{_stored_as(settings)}, `input_bits: {settings.input_bits}` and `input_encoding: "
            f"{settings.input_encoding}`",
        )
    if 0 < vote.levels <= hybrid.levels:
        yield Conflict(
            ("vote.levels", "hybrid.levels"),
            f"`vote.levels: {vote.levels}` votes on nothing: levels below `hybrid.levels: {hybrid.levels}` "
            f"are digital, and both count from level 0; use {hybrid.levels + 1} or more",
        )
    macro = settings.macro
    drawn = noise.random_percent_fs > 0 or noise.nonlinear_percent_fs > 0
    drawn = drawn or macro.bitline.statistics is not None or macro.capacitors.mismatch == "redrawn"
    if vote.levels > 0 and vote.samples > 1 and vote.how == "mode" and settings.macro.adc.bits == "ideal" and drawn:
        yield Conflict(
            ("vote.how", "macro.adc.bits"),
            "`vote.how: mode` counts equal codes, and with `adc.bits: ideal` there are none; use median or mean",
        )


def _stored_as(settings: SiteSettings) -> str:
    layout = settings.macro.layout
    more = "" if layout.encoding == "twos-complement" else f", `weight_encoding: {layout.encoding}`"
    return more if layout.cell_bits == 1 else f"{more}, `cell_bits: {layout.cell_bits}`"


def _most_levels(settings: SiteSettings, signed: bool | None) -> int:
    """Return C_w + C_x - 1; the larger of both signs while the sign is not known."""
    signs = (True, False) if signed is None else (signed,)
    planes = [
        len(input_plane_widths(settings.input_bits, signed=sign, encoding=settings.input_encoding)) for sign in signs
    ]
    digits = settings.macro.layout.widths(settings.weight_bits, signed=True)
    return len(digits) + max(planes) - 1


def spec_issues(spec: HardwareSpec, removed: Sequence[str] = ()) -> list[SpecIssue]:
    """Check the settings of a whole document as far as that is possible without a model.

    The defaults must hold together, and each rule on top of them, except where yet another rule changes a
    field that takes
    part: then only the sites can tell.

    Args:
        spec: a document whose fields are valid one by one.
        removed: dotted paths of fields that were taken out because they are not valid; nothing is said about
            those.
    """
    gone = {_as_setting(path) for path in removed}
    undefined = [(name, path) for name, path in _named_macros(spec) if name not in spec.macros]
    found = [] if removed else source_issues(spec)
    found += [
        undefined_macro(spec, name, path)
        for name, path in undefined
        if "macros" not in removed and f"macros.{name}" not in removed
    ]
    if undefined:  # the other settings can be checked all the same
        gone.add(MACRO)
        spec = spec.model_copy(update={"macros": {**spec.macros, **{name: Macro() for name, _ in undefined}}})
    defaults = merge(spec, ())
    found += [
        _issue(spec, defaults, conflict, "defaults") for conflict in _of(defaults) if not _touches(gone, conflict)
    ]
    found += _counts_in_rules(spec)
    changed = [set(_changes(spec, index)) for index in range(len(spec.rules))]
    for index in range(len(spec.rules)):
        merged = merge(spec, (index,))
        others = gone.union(*changed[:index], *changed[index + 1 :])
        found += [
            _issue(spec, merged, conflict, f"rules.{index}")
            for conflict in _of(merged)
            if _touches(changed[index], conflict) and not _touches(others, conflict)
        ]
    return found


def _counts_in_rules(spec: HardwareSpec) -> list[SpecIssue]:
    """Refuse a number of macros for some sites only: all sites share them."""
    paths = [
        f"rules.{index}.macro.count"
        for index, rule in enumerate(spec.rules)
        if isinstance(rule.macro, Macro) and "count" in rule.macro.model_fields_set
    ]
    message = "a rule cannot change how many macros the chip has; write `count` in `macros`, beside `rows`"
    return [SpecIssue(spec.origin.where(path), path, message) for path in paths]


def _changes(spec: HardwareSpec, index: int) -> list[str]:
    """Return the settings that a rule changes; with the macro's name, everything in the macro."""
    merged = merge(spec, (index,))
    prefix = f"rules.{index}."
    changed = [name for name, path in merged.paths.items() if path.startswith(prefix)]
    return [name for name in merged.paths if name.startswith(MACRO)] if MACRO in changed else changed


def _of(merged: Merged) -> list[Conflict]:
    signed = merged.settings.signed
    return conflicts(merged.settings, None if signed == "auto" else signed)


def _named_macros(spec: HardwareSpec) -> Iterator[tuple[str, str]]:
    if spec.defaults.macro is not None:
        yield spec.defaults.macro, "defaults.macro"
    for index, rule in enumerate(spec.rules):
        if isinstance(rule.macro, str):
            yield rule.macro, f"rules.{index}.macro"


def _touches(settings: set[str], conflict: Conflict) -> bool:
    """Return whether any of the settings takes part in a conflict, or contains a field that does."""
    return any(field == name or field.startswith(f"{name}.") for field in conflict.fields for name in settings)


def _as_setting(path: str) -> str:
    """Turn a path in the document into the setting that it is about (``macros.m.adc`` into ``macro.adc``)."""
    section, *rest = path.split(".")
    if section == "macros":
        return ".".join([MACRO, *rest[1:]])
    return ".".join(rest if section == "defaults" else rest[1:])


def _issue(spec: HardwareSpec, merged: Merged, conflict: Conflict, blamed: str) -> SpecIssue:
    """Place a conflict at the first of its fields that the blamed section wrote, or else anything."""
    paths = [merged.paths[field] for field in conflict.fields]
    written = [path for path in paths if path.startswith(f"{blamed}.")] or [path for path in paths if path] or [blamed]
    if conflict.fields[0] == MACRO and not spec.macros:
        message = "`target: analog` needs a macro and there is none; define one, for example `m: {rows: 255}`"
        return SpecIssue(spec.origin.where("macros"), "macros", message)
    return SpecIssue(spec.origin.where(written[0]), written[0], conflict.message)
