"""What all shapes share: the star's tables under aliases, conditions, aggregates, and how they are said."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import knobs
from .instances import Row, Rows, Warehouse
from .plan import Cond, Env, Expr, Group, Join, Out, Plan
from .schemas import Column, Star, Table


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold: a plan, and the text of the query where it is not the plan's own."""

    text: str
    plan: Plan
    other_sql: str = ""

    @property
    def sql(self) -> str:
        """The gold."""
        return self.other_sql or self.plan.sql


@dataclass(frozen=True, slots=True)
class Ask:
    """What a shape draws from.

    Attributes:
        rng: Source of randomness.
        warehouse: Schema and rows.
        hint: The instance that bounds and dates of questions are taken from: the judging one for labelled splits, a
            tuning one for the pool, whose questions never see the verifier's instance.
        letter: Alias by table name.
    """

    rng: Random
    warehouse: Warehouse
    hint: Rows
    letter: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        used: set[str] = set()
        for table in self.star.tables:
            alias = table.name[0]
            while alias in used:
                alias = f"{table.name[0]}{len(used)}"
            used.add(alias)
            self.letter[table.name] = alias

    @property
    def star(self) -> Star:
        """The schema."""
        return self.warehouse.star

    def a(self, table: Table) -> str:
        """The table's alias."""
        return self.letter[table.name]

    def say(self, *ways: str) -> str:
        """One of several wordings."""
        return self.rng.choice(ways)

    def col(self, table: Table, column: Column, bare: bool = False) -> Expr:
        """A column, under the table's alias or bare where the table stands alone."""
        return field_of("" if bare else self.a(table), column.name)

    def value(self, column: Column) -> str:
        """A text value of a column."""
        return self.rng.choice(column.texts)

    def cells(self, table: Table, column: Column) -> list[Any]:
        """Distinct values of a column in the hinting instance, without NULL, in order."""
        return sorted({row[column.name] for row in self.hint.tables[table.name]} - {None})

    def bound(self, table: Table, column: Column, low: float = 0.25, high: float = 0.8) -> Any:
        """A value that a row really has, not too far out; a round one where there are any."""
        cells = self.cells(table, column)
        middle = [c for c in cells[int(len(cells) * low) : max(1, int(len(cells) * high))]]
        rounds = [c for c in middle if isinstance(c, int | float) and len(str(int(c)).rstrip("0")) == 1 and c == int(c)]
        return self.rng.choice(rounds or middle or cells)

    def day(self) -> datetime.date:
        """A day on which the fact has rows."""
        day: datetime.date = self.bound(self.star.fact, self.star.fact.one("date"), 0.1, 0.9)
        return day

    def source(self, *joins: Join, table: Table | None = None) -> dict[str, Any]:
        """First table and joins, as arguments of a plan."""
        first = table or self.star.fact
        return {"table": first.name, "alias": self.a(first) if joins else "", "joins": joins}

    def to_plain(self, outer: bool = False, telling: bool = False) -> Join:
        """The fact's join of the plain dimension."""
        return self.lookup(self.star.plain, outer=outer, telling=telling)

    def lookup(self, table: Table, *, outer: bool = False, telling: bool = False) -> Join:
        """The fact's join of a dimension with one row a member."""
        key = table.columns[0]
        return Join(table.name, self.a(table), self.col(self.star.fact, key), key.name, (), outer, telling)

    def lookup_region(self) -> Join:
        """The plain dimension's join of its region."""
        region = self.region
        return Join(
            region.name, self.a(region), self.col(self.star.plain, region.columns[0]), region.key, (), False, False
        )

    @property
    def region(self) -> Table:
        """The region (only where the layout has it)."""
        assert self.star.region is not None
        return self.star.region

    def filter_clean(self, bare: bool = False) -> tuple[Cond, str]:
        """A filter on the fact's clean text column or on its whole-number measure, and how it is said."""
        fact = self.star.fact
        if self.rng.random() < 0.5:
            text = fact.one("text")
            value = self.value(text)
            return equal(self.col(fact, text, bare), value), f"with {text.spoken} {value}"
        whole = fact.one("int")
        return self.number(fact, whole, bare)

    def number(self, table: Table, column: Column, bare: bool = False) -> tuple[Cond, str]:
        """A filter on a number, and how it is said."""
        value = self.bound(table, column)
        op, ways = self.rng.choice(_COMPARISONS)
        words = self.rng.choice(ways).format(n=column.spoken, v=number(value))
        return compare(self.col(table, column, bare), op, value), words

    def maybe(self, bare: bool = False) -> tuple[tuple[Cond, ...], str]:
        """A further filter now and then, and its words with a leading space."""
        if self.rng.random() > knobs.SECOND_FILTER:
            return (), ""
        cond, words = self.filter_clean(bare)
        return (cond,), f" {words}"

    def without(self, *tables: Table) -> str:
        """That facts without a match are to be left out."""
        either, both = " or ".join(t.singular for t in tables), " and ".join(t.singular for t in tables)
        things = self.star.fact.things
        return self.say(
            f"leave out {things} without a known {either}",
            f"only {things} whose {both} {'is' if len(tables) == 1 else 'are'} on file",
            f"skip {things} with no matching {either}",
        )


_COMPARISONS = (
    (">", ("with {n} above {v}", "with {n} of more than {v}")),
    ("<", ("with {n} below {v}", "with {n} of less than {v}")),
    (">=", ("with {n} of at least {v}", "with {n} of {v} or more")),
    ("<=", ("with {n} of at most {v}", "with {n} of {v} or less")),
)
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
}
_NEAR = {">": (">=", "<"), "<": ("<=", ">"), ">=": (">", "<="), "<=": ("<", ">="), "=": ("<>",), "<>": ("=",)}


def number(value: Any) -> str:
    """A number as a question and a query write it."""
    return str(int(value)) if value == int(value) else str(value)


def literal(value: Any) -> str:
    """A value as SQL writes it."""
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    return number(value)


def field_of(alias: str, name: str) -> Expr:
    """A column of the row under an alias; NULL where an outer join found none."""

    def of(env: Env) -> Any:
        row: Row | None = env[alias]
        return row[name] if row is not None else None

    return Expr(f"{alias}.{name}" if alias else name, of)


def mapped(sql: str, inner: Expr, change: Callable[[Any], Any], *slips: Callable[[Any], Any]) -> Expr:
    """A function of one value that gives NULL for NULL; slips are other functions of it."""

    def lift(f: Callable[[Any], Any]) -> Callable[[Env], Any]:
        return lambda env: None if (v := inner.of(env)) is None else f(v)

    return Expr(sql, lift(change), tuple(lift(s) for s in slips))


def compare(left: Expr, op: str, value: Any, near: bool = True) -> Cond:
    """A comparison with a constant; its slips are the boundary and the opposite, and those of its left side."""

    def test(name: str, of: Callable[[Env], Any]) -> Callable[[Env], bool | None]:
        return lambda env: None if (v := of(env)) is None else _TESTS[name](v, value)

    near_misses = [test(name, left.of) for name in (_NEAR[op] if near else ())]
    slips = (*near_misses, *(test(op, slip) for slip in left.slips))
    return Cond(f"{left.sql} {op} {literal(value)}", test(op, left.of), slips)


def equal(left: Expr, value: Any) -> Cond:
    """Equality with a constant."""
    return compare(left, "=", value)


def any_of(left: Expr, values: tuple[str, ...]) -> Cond:
    """Membership of a list; its slips are each value left out, and those of its left side."""

    def test(of: Callable[[Env], Any], wanted: tuple[str, ...]) -> Callable[[Env], bool | None]:
        return lambda env: None if (v := of(env)) is None else v in wanted

    fewer = [test(left.of, tuple(w for w in values if w != v)) for v in values]
    slips = (*fewer, *(test(slip, values) for slip in left.slips))
    return Cond(f"{left.sql} IN ({', '.join(map(literal, values))})", test(left.of, values), slips)


def rows_out() -> Out:
    """COUNT(*)."""
    return Out("COUNT(*)", len)


def count_out(value: Expr, *, distinct: bool = False) -> Out:
    """COUNT of a column, or of its distinct values."""

    def present(group: Group) -> list[Any]:
        return [v for env in group if (v := value.of(env)) is not None]

    if distinct:
        return Out(f"COUNT(DISTINCT {value.sql})", lambda g: len(set(present(g))), (lambda g: len(present(g)),))
    return Out(f"COUNT({value.sql})", lambda g: len(present(g)), (len,))


AGGREGATES: dict[str, tuple[Callable[[list[Any]], Any], tuple[str, ...]]] = {
    "SUM": (sum, ("total {n}", "overall {n}", "sum of {n}")),
    "AVG": (lambda v: sum(v) / len(v), ("average {n}", "mean {n}")),
    "MAX": (max, ("highest {n}", "largest {n}")),
    "MIN": (min, ("lowest {n}", "smallest {n}")),
}
_MISTAKEN = {"SUM": "AVG", "AVG": "SUM", "MAX": "MIN", "MIN": "MAX"}


def fold(name: str, value: Callable[[Env], Any]) -> Callable[[Group], Any]:
    """An aggregate over the values that are not NULL; NULL where there are none."""
    function = AGGREGATES[name][0]

    def of(group: Group) -> Any:
        found = [v for env in group if (v := value(env)) is not None]
        return function(found) if found else None

    return of


def aggregate(name: str, value: Expr) -> Out:
    """An aggregate; its slips are the aggregate that it may be taken for, and those of the value."""
    slips = (fold(_MISTAKEN[name], value.of), *(fold(name, slip) for slip in value.slips))
    return Out(f"{name}({value.sql})", fold(name, value.of), slips)


def measure(ask: Ask, bare: bool = False, names: tuple[str, ...] = ("SUM", "SUM", "AVG", "MAX")) -> tuple[Out, str]:
    """An aggregate of one of the fact's measures, and how it is said.

    Averages are asked of the measure that is never NULL (level 4 asks of the other).
    """
    fact = ask.star.fact
    name = ask.rng.choice(names)
    column = fact.one("int") if name == "AVG" else ask.rng.choice(fact.of("int", "real"))
    words = ask.say(*AGGREGATES[name][1]).format(n=column.spoken)
    return aggregate(name, ask.col(fact, column, bare)), words
