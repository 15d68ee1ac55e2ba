"""Tables as people read them: numbers in the digits that mean something, errors beside them, a dash for none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

NONE, PLUS_MINUS = "–", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def present(
    table: pandas.DataFrame,
    keys: Sequence[str],
    forms: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
) -> pandas.DataFrame:
    """A table as text, told by the columns `keys`, with those of `forms`, each number in the format given there. A
    column of `errors` carries the standard error that is in the column named there: "99.6 ± 0.2".

    Errors: `KeyError` if the table lacks a column.
    """
    of = errors or {}
    text = table[list(keys)].copy()
    for column, form in forms.items():
        text[column] = [number(value, form) for value in table[column]]
        if column in of:
            bars = (number(value, form.lstrip("+")) for value in table[of[column]])
            text[column] = [
                f"{value}{PLUS_MINUS}{bar}" if NONE not in (value, bar) else value
                for value, bar in zip(text[column], bars, strict=True)
            ]
    return text.set_index(list(keys))


def diverged(table: pandas.DataFrame) -> dict[str, str]:
    """The form of the column that counts diverged seeds, none where no seed has."""
    return {"diverged": ""} if table["diverged"].any() else {}


def number(value: Any, form: str) -> str:
    """A number in a format, a dash for none; text as it is."""
    import pandas

    if isinstance(value, str):
        return value or NONE
    return NONE if pandas.isna(value) else format(value, form)


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def frame_as_markdown(table: pandas.DataFrame) -> str:
    """A table of text, with its index as first columns."""
    flat = table.reset_index()
    return markdown(tuple(flat.columns), flat.to_numpy())
