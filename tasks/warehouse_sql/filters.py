"""Conditions: how a filter reads in a question, in SQL, and as a test on a row."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from . import knobs
from .instances import Cell, Row
from .schemas import NUMBERS, Column, Table
from .wording import LOOSE, MONTHS, mention, pick

Test = Callable[[Cell], bool]
Compare = Callable[[Cell, Cell], bool]
_COMPARE: dict[str, tuple[str, Compare, Compare]] = {
    "above": (">", operator.gt, operator.ge),
    "below": ("<", operator.lt, operator.le),
    "at_least": (">=", operator.ge, operator.gt),
    "at_most": ("<=", operator.le, operator.lt),
}
_DATED = {"after": _COMPARE["above"], "before": _COMPARE["below"], "since": _COMPARE["at_least"]}


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter on one column.

    Attributes:
        table: The table that has the column.
        column: The column.
        after: English after the noun ("with status Shipped"), or ''.
        before: English before the noun ("Shipped"), or ''.
        sql: The predicate.
        test: The same on a cell.
        nearly: The test with its boundary moved in or out (``>=`` for ``>``), where it has one: data that never
            tells the two apart would let a wrong operator pass.
    """

    table: Table
    column: Column
    after: str
    before: str
    sql: str
    test: Test
    nearly: Test | None = None

    def holds(self, row: Row) -> bool:
        """Whether a row passes."""
        return self.test(row[self.column.name])


def literal(value: Cell) -> str:
    """A constant as SQL (and a question) writes it: whole numbers without a point."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value)) if float(value).is_integer() else str(value)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a filter is wanted: a column, the values that all instances share, and the one that must pass."""

    rng: Random
    level: str
    table: Table
    column: Column
    cells: list[Cell]
    value: Cell

    def say(self, key: str) -> str:
        """A phrase at the level's tier mix."""
        return pick(self.rng, self.level, key)

    def name(self) -> str:
        """The column as the question calls it."""
        return mention(self.rng, self.level, self.column)

    def made(self, after: str, sql: str, test: Test, *, before: str = "", nearly: Test | None = None) -> Condition:
        """The condition."""
        return Condition(self.table, self.column, after, before, sql, test, nearly)


def _weighted(rng: Random, table: dict[str, int]) -> str:
    return rng.choices(tuple(table), tuple(table.values()))[0]


def _text(spot: Spot) -> Condition:
    column, value = spot.column, str(spot.value)
    kind = "equal" if column.kind == "name" else _weighted(spot.rng, knobs.TEXT_FILTERS)
    if kind == "equal":
        after, before = _equal_words(spot, value)
        return spot.made(after, f"{column.name} = {literal(value)}", lambda cell: cell == value, before=before)
    if kind == "not_equal":
        after = spot.say("text_not").format(n=spot.name(), v=value)
        return spot.made(after, f"{column.name} <> {literal(value)}", lambda cell: cell != value)
    other = spot.rng.choice(sorted({str(c) for c in spot.cells} - {value}))
    after = spot.say("text_either").format(n=spot.name(), v=value, w=other)
    sql = f"{column.name} IN ({literal(value)}, {literal(other)})"
    return spot.made(after, sql, lambda cell: cell in (value, other))


def _equal_words(spot: Spot, value: str) -> tuple[str, str]:
    """(after, before): the loose tier leaves the column unnamed, by its own phrase or as an adjective."""
    name, column = spot.name(), spot.column
    if column.kind == "name":
        return spot.say("name_is").format(n=name, v=value), ""
    phrase = spot.say("text_is")
    if phrase != LOOSE:
        return phrase.format(n=name, v=value), ""
    if column.loose:
        return spot.rng.choice(column.loose).format(v=value), ""
    if spot.rng.random() < 0.5:
        return "", value
    return f"that are {value}", ""


def _number(spot: Spot) -> Condition | None:
    kind, name = _weighted(spot.rng, knobs.NUMBER_FILTERS), spot.column.name
    lower = [c for c in spot.cells if c < spot.value]  # type: ignore[operator]
    higher = [c for c in spot.cells if c > spot.value]  # type: ignore[operator]
    if kind == "between":
        if not lower or not higher:
            return None
        low, high = spot.rng.choice(lower), spot.rng.choice(higher)
        after = spot.say("number_between").format(n=spot.name(), v=literal(low), w=literal(high))
        sql = f"{name} BETWEEN {literal(low)} AND {literal(high)}"
        return spot.made(after, sql, lambda cell: low <= cell <= high)  # type: ignore[operator]
    sign, compare, almost = _COMPARE[kind]
    same = [spot.value]
    options = {"above": lower, "below": higher, "at_least": lower + same, "at_most": higher + same}[kind]
    if not options:
        return None
    bound = spot.rng.choice(options)
    after = spot.say(f"number_{kind}").format(n=spot.name(), v=literal(bound))
    sql = f"{name} {sign} {literal(bound)}"
    return spot.made(after, sql, lambda cell: compare(cell, bound), nearly=lambda cell: almost(cell, bound))


def _date(spot: Spot) -> Condition | None:
    kind, name, value = _weighted(spot.rng, knobs.DATE_FILTERS), spot.column.name, str(spot.value)
    year, month = value[:4], int(value[5:7])
    lower = [str(c) for c in spot.cells if str(c) < value]
    higher = [str(c) for c in spot.cells if str(c) > value]
    words = {"n": spot.name(), "y": year, "m": MONTHS[month - 1]}
    if kind == "year":
        return spot.made(_dated(spot, kind, words), f"YEAR({name}) = {year}", lambda cell: str(cell)[:4] == year)
    if kind == "month":
        test: Test = lambda cell: int(str(cell)[5:7]) == month
        return spot.made(_dated(spot, kind, words), f"MONTH({name}) = {month}", test)
    if kind == "month_year":
        sql = f"YEAR({name}) = {year} AND MONTH({name}) = {month}"
        return spot.made(_dated(spot, kind, words), sql, lambda cell: str(cell)[:7] == value[:7])
    if kind == "between":
        if not lower or not higher:
            return None
        low, high = spot.rng.choice(lower), spot.rng.choice(higher)
        after = _dated(spot, kind, words | {"d": low, "e": high})
        sql = f"{name} BETWEEN DATE '{low}' AND DATE '{high}'"
        return spot.made(after, sql, lambda cell: low <= str(cell) <= high)
    options = {"after": lower, "before": higher, "since": [*lower, value]}[kind]
    if not options:
        return None
    sign, compare, almost = _DATED[kind]
    bound = spot.rng.choice(options)
    after = _dated(spot, kind, words | {"d": bound})
    sql = f"{name} {sign} DATE '{bound}'"
    return spot.made(after, sql, lambda cell: compare(cell, bound), nearly=lambda cell: almost(cell, bound))


def _dated(spot: Spot, kind: str, words: dict[str, str]) -> str:
    """English of a date filter; loosely, a verb stands for the column ("placed in 2023"), if it can mean one only."""
    phrase = spot.say(f"date_{kind}")
    if phrase.startswith(LOOSE):
        alone = spot.column.loose and len(spot.table.of("date")) == 1
        lead = spot.column.loose[0] if alone else f"by {words['n']}"
        phrase = phrase.replace(LOOSE, lead)
    return phrase.format(**words)


def draw_condition(
    rng: Random, level: str, table: Table, *, anchors: list[Row], witness: Row, without: set[str], kinds: dict[str, int]
) -> Condition | None:
    """A filter on one of the table's columns that the witness row passes; None where the draw leads nowhere.

    Args:
        rng: Source of randomness.
        level: Level of the item (for the wording).
        table: Where the column is looked for.
        anchors: Rows that all instances share: thresholds come from them.
        witness: One of them.
        without: Column names not to filter on.
        kinds: Weights of text, number and date.
    """
    groups = {"text": (("text",), _text), "number": (NUMBERS, _number), "date": (("date",), _date)}
    members, make = groups[_weighted(rng, kinds)]
    columns = [c for c in table.of(*members) if c.name not in without]
    if not columns:
        return None
    column = rng.choice(columns)
    cells = sorted({row[column.name] for row in anchors})
    return make(Spot(rng, level, table, column, cells, witness[column.name]))


def name_condition(rng: Random, level: str, table: Table, witness: Row) -> Condition | None:
    """The row of that name: only of use in joins, where several rows refer to it."""
    names = table.of("name")
    if not names:
        return None
    return _text(Spot(rng, level, table, names[0], [], witness[names[0].name]))
