"""The reference page of the spec, from its schema: ``python -m asim_fx.spec.reference > docs/spec-reference.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from asim_fx.spec.json_schema import schema
from asim_fx.spec.selectors import ALIASES
from asim_fx.spec.words import JsonSchema, alternatives, constant_text, in_words

_INTRODUCTION = """\
# The hardware spec

<!-- Made from the schema by `python -m asim_fx.spec.reference > docs/spec-reference.md`. Do not edit. -->

A hardware spec is a YAML file that says what the chip is and which layers run on it. `asim-spec list` names the ones
that ship, `asim-spec show NAME` prints one with every field, `asim-spec check FILE` tells all that is wrong with yours,
and `asim-spec schema` prints the JSON schema that gives editors completion and checks.

*Input* is the streamed operand: the activations; K in QK^T; the scores in AV. *Weight* is the stored one: the weights;
Q in QK^T; V in AV. Unknown fields are errors.
"""

_SELECTORS = """\
### Names

Write a name that starts with `*` or `@` in quotes: YAML gives both a meaning of their own.

| `name` | Matches |
|---|---|
| `layer4.0.conv1` | this site |
| `layer4.*.conv1` | `layer4.0.conv1`, not `layer4.0.downsample.conv1`: `*` stays inside one dotted part |
| `layer4.**` | everything inside `layer4` |
| `"**.qk"` | every site whose last part is `qk` |
| `"re:blocks\\\\.[0-3]\\\\..*"` | a regular expression for the whole name |
| {aliases} | the sites which the model's own configuration names |
| `["stem.*", "@classifier"]` | either |

`asim-spec sites MODEL` lists the names of a model. A rule that matches nothing is an error, with the nearest names,
unless it is `optional: true`.
"""

_MERGING = """\
### How rules are merged

`defaults` apply to every site. Each rule that matches then changes what it mentions, in the order of the file and field
by field: `vote: {levels: 4}` leaves `vote.samples` as it was. `macro: NAME` gives the site another macro, without the
changes that earlier rules made to theirs; `macro: {adc: {bits: 9}}` changes fields of the macro that the site has so
far. The report shows for each field the rule and the line that decided it.

### Changing fields from outside

`--set` takes the path of a field from the root, list items by their number: `--set macros.m.adc.bits=6`,
`--set defaults.vote.levels=4`, `--set rules.0.target=float`.
"""

_SECTIONS = (
    ("## The document", ""),
    ("## Macros", "Macro"),
    ("### `adc`", "Adc"),
    ("### `adc.window`", "Window"),
    ("### `noise`", "Noise"),
    ("### `current`", "Current"),
    ("### `bitline`", "Bitline"),
    ("### `capacitors`", "Capacitors"),
    ("### `cells`", "Cells"),
    ("### `differential`", "Differential"),
    ("### `cost`", "MacroCost"),
    ("### `measured`", "OperatingPoint"),
    ("## Mapping", "ChipMapping"),
    ("## Chip", "Chip"),
    ("## Defaults", "Defaults"),
    ("### `calibration`", "Calibration"),
    ("### `hybrid`", "Hybrid"),
    ("### `vote`", "Vote"),
    ("## Rules", "Rule"),
    ("### `match`", "Match"),
    ("### `where`", "Where"),
)


def reference() -> str:
    """Return the page as Markdown."""
    root = schema()
    aliases = ", ".join(f'`"{alias}"`' for alias in ALIASES)
    sections = ["\n".join(_section(title, name, root)) for title, name in _SECTIONS]
    return "\n".join([_INTRODUCTION, *sections, _SELECTORS.format(aliases=aliases), _MERGING]).rstrip() + "\n"


def _section(title: str, name: str, root: JsonSchema) -> Iterator[str]:
    model = root["$defs"][name] if name else root
    yield f"{title}\n"
    yield f"{model.get('description', '')}\n"
    yield "| Field | Takes | Default | Meaning |"
    yield "|---|---|---|---|"
    required = model.get("required", ())
    # A rule takes all fields of `defaults`; they are described there.
    skipped = set(root["$defs"]["Defaults"]["properties"]) - {"macro"} if name == "Rule" else set()
    for field, described in model["properties"].items():
        if field not in skipped:
            yield _row(field, described, root, required=field in required)
    if skipped:
        shared = ", ".join(f"`{field}`" for field in model["properties"] if field in skipped)
        yield f"| {shared} | | | as in `defaults` |"
    yield ""


def _row(field: str, described: JsonSchema, root: JsonSchema, *, required: bool) -> str:
    default = described.get("default", "")
    shown = "required" if required else f"`{constant_text(default)}`" if default not in ("", [], {}) else ""
    # A description that repeats that of the part it refers to is left out of the schema.
    meanings = [described, *alternatives(described, root)]
    meaning = next((part["description"] for part in meanings if "description" in part), "")
    cells = (f"`{field}`", in_words(described, root), shown, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(reference())
