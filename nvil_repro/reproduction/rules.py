"""What a setting may be: strict types and ranges, each a rule that can say what it expects.

A rule annotates a field, `updates: Annotated[int, whole(1)]`, and reads a value given by a reader of a
notebook: a bool is not a number, "3" is not 3, NaN is refused, a list becomes a tuple.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_type_hints


class Rule(NamedTuple):
    """`read` returns a value as settings hold it or raises `ValueError`; `expects` finishes "expected …"."""

    expects: str
    read: Callable[[Any], Any]


def whole(at_least: int) -> Rule:
    """A whole number, `at_least` or more."""

    def read(value: Any) -> int:
        if type(value) is not int or value < at_least:
            raise ValueError
        return value

    return Rule(f"a whole number, {at_least} or more", read)


def positive() -> Rule:
    """A finite number above zero."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ValueError
        return float(value)

    return Rule("a finite number above 0", read)


def one_of(*names: str) -> Rule:
    """One of the given names."""

    def read(value: Any) -> str:
        if type(value) is not str or value not in names:
            raise ValueError
        return value

    return Rule("one of " + ", ".join(f'"{name}"' for name in names), read)


def several(rule: Rule, *, distinct: bool = True) -> Rule:
    """A list of one or more values that follow `rule`, without repetition if `distinct`."""

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) not in (list, tuple):
            raise ValueError
        items = tuple(rule.read(item) for item in value)
        if not items or (distinct and len(set(items)) < len(items)):
            raise ValueError
        return items

    return Rule(f"a list of one or more{', all different' if distinct else ''}, each {rule.expects}", read)


Count = Annotated[int, whole(1)]
Seed = Annotated[int, whole(0)]
Seeds = Annotated[tuple[int, ...], several(whole(0))]
Rate = Annotated[float, positive()]
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
