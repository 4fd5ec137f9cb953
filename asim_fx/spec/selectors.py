"""The small languages inside a rule's ``match``: name patterns and numeric conditions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

ALIASES = ("@classifier", "@first_conv")
"""Selectors that stand for the sites which the model's own configuration names."""

_REGEX_PREFIX = "re:"
_GLOB_PIECE = re.compile(r"^\*\*\.|(?<=\.)\*\*\.|\*\*|\*|[^*]")
_NUMBER = r"\d[\d_]*(?:e\d{1,2})?"
_CONDITION = re.compile(rf"\s*(>=|<=|==|!=|>|<|=)?\s*({_NUMBER}(?:x{_NUMBER})*)\s*")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@lru_cache(maxsize=4096)
def name_pattern(selector: str) -> re.Pattern[str]:
    """Compile a name selector that is no alias; use it with ``fullmatch``.

    ``*`` is any run of characters inside one dotted part, ``**`` any run at all; ``**.`` at the start and
    ``.**.`` also stand for no part at all, so that ``**.qk`` finds ``qk`` and ``a.**.b`` finds ``a.b``.
    ``re:`` starts a regular expression.

    Raises:
        ValueError: the regular expression does not compile. The message is for the user.
    """
    if selector.startswith(_REGEX_PREFIX):
        expression = selector.removeprefix(_REGEX_PREFIX)
        try:
            return re.compile(expression)
        except re.error as error:
            message = f"the regular expression `{expression}` cannot be used: {error}"
            raise ValueError(message) from error
    return re.compile("".join(_glob_piece(piece) for piece in _GLOB_PIECE.findall(selector)), re.DOTALL)


def _glob_piece(piece: str) -> str:
    return {"**.": r"(?:.*\.)?", "**": ".*", "*": r"[^.]*"}.get(piece) or re.escape(piece)


def check_name_selector(selector: str) -> None:
    """Check one entry of ``match.name``.

    Raises:
        ValueError: it is empty, an unknown ``@`` selector, or a bad regular expression. The message is for
            the user.
    """
    if not selector:
        message = "an empty name matches nothing; `**` matches every site"
        raise ValueError(message)
    if selector.startswith("@") and selector not in ALIASES:
        near = get_close_matches(selector, ALIASES, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(ALIASES)}"
        message = f"there is no selector `{selector}`; {hint}"
        raise ValueError(message)
    name_pattern(selector)


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a number, or of the extents of a window (``3x3``), with constants.

    Attributes:
        sign: ``==``, ``!=``, ``>=``, ``<=``, ``>`` or ``<``.
        values: one number, or one for each dimension.
    """

    sign: str
    values: tuple[int, ...]

    def holds(self, extents: tuple[int, ...]) -> bool:
        """Return whether the comparison holds; a single number is compared with every dimension."""
        if self.sign == "!=":
            return not Condition("==", self.values).holds(extents)
        values = self.values * len(extents) if len(self.values) == 1 else self.values
        compare = _COMPARE.get(self.sign, operator.eq)
        return len(values) == len(extents) and all(map(compare, extents, values))


def parse_condition(text: int | str, *, window: bool = False) -> Condition:
    """Read a condition of ``match.where``.

    Args:
        text: a number, or a comparison such as ``>=64``.
        window: whether several extents (``1x3``) are allowed.

    Raises:
        ValueError: the text is no condition. The message is for the user.
    """
    found = _CONDITION.fullmatch(str(text))
    values = tuple(_number(part) for part in found[2].split("x")) if found else ()
    if found is None or (len(values) > 1 and not window):
        form = (
            "a number, a comparison such as `>=3`, or a window such as `3x3`"
            if window
            else "a number or a comparison such as `>=64`"
        )
        message = f"must be {form}, not '{text}'"
        raise ValueError(message)
    sign = found[1] or "=="
    return Condition("==" if sign == "=" else sign, values)


def _number(text: str) -> int:
    digits, _, exponent = text.partition("e")
    return int(digits) * int("1" + "0" * int(exponent or 0))
