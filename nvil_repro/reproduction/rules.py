"""What a setting may be: strict types and ranges, each a rule that can say what it expects.

A rule annotates a field, `updates: Annotated[int, whole(1)]`, and reads a value given by a reader of a
notebook: a bool is not a number, "3" is not 3, a list becomes a tuple.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_type_hints


class Rule(NamedTuple):
    """`read` returns a value as settings hold it or raises `ValueError`; `expects` finishes "expected …"."""

    expects: str
    read: Callable[[Any], Any]


def whole(at_least: int, at_most: int | None = None) -> Rule:
    """A whole number between the two, both allowed."""
    limits = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most:,}"

    def read(value: Any) -> int:
        if type(value) is not int or value < at_least or (at_most is not None and value > at_most):
            raise ValueError
        return value

    return Rule(f"a whole number, {limits}", read)


def multiple_of(step: int) -> Rule:
    """A whole number of `step`s, zero among them."""

    def read(value: Any) -> int:
        if type(value) is not int or value < 0 or value % step:
            raise ValueError
        return value

    return Rule(f"a multiple of {step}, or 0", read)


def one_of(*names: str) -> Rule:
    """One of the given names."""

    def read(value: Any) -> str:
        if type(value) is not str or value not in names:
            raise ValueError
        return value

    return Rule("one of " + ", ".join(f'"{name}"' for name in names), read)


def matching(pattern: str, example: str) -> Rule:
    """Text that matches a regular expression from end to end."""

    def read(value: Any) -> str:
        if type(value) is not str or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return Rule(example, read)


def positive() -> Rule:
    """A finite number above zero."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ValueError
        return float(value)

    return Rule("a number above 0", read)


def several(rule: Rule, *, at_least: int = 1, distinct: bool = True, including: Any = None) -> Rule:
    """A list of `at_least` so many values that follow `rule`, without repetition if `distinct`, with the value
    `including` among them if one is given.
    """
    among = "" if including is None else f' and "{including}" among them'

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) not in (list, tuple):
            raise ValueError
        items = tuple(rule.read(item) for item in value)
        if (
            len(items) < at_least
            or (distinct and len(set(items)) < len(items))
            or (among and including not in items)
        ):
            raise ValueError
        return items

    different = ", all different" if distinct else ""
    many = {0: "none", 1: "one"}.get(at_least, at_least)
    return Rule(f"a list of {many} or more{different}{among}, each {rule.expects}", read)


Count = Annotated[int, whole(1)]
Seed = Annotated[int, whole(0)]
Seeds = Annotated[tuple[int, ...], several(whole(0))]
Network = Annotated[tuple[int, ...], several(whole(1), distinct=False)]
Networks = Annotated[tuple[tuple[int, ...], ...], several(several(whole(1), distinct=False))]


def rules_of(settings: type) -> dict[str, Rule]:
    """The rule of every field of a settings class, in order.

    Errors: `TypeError` for a field without one.
    """
    rules = {}
    for name, hint in get_type_hints(settings, include_extras=True).items():
        rule = getattr(hint, "__metadata__", (None,))[0]
        if not isinstance(rule, Rule):
            raise TypeError(f"{settings.__name__}.{name} has no rule: annotate it, say with {__name__}.Count")
        rules[name] = rule
    return rules
