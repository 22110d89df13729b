"""Queries of the pretraining world before they are spelled, and the phrases questions are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tao_bench.reference.world_schema import (
    Column,
    Condition,
    Schema,
    Table,
    joinable,
    random_condition,
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query before it is spelled in a dialect; column slots are (table, column) pairs in braces-free form."""

    select: Callable[[Callable[[Table, Column], str]], str]
    tables: tuple[Table, ...]
    key: str = ""
    where: tuple[tuple[Table, Condition], ...] = ()
    tail: Callable[[Callable[[Table, Column], str]], str] = field(default=lambda ref: "")
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer and the plan that leads to it."""

    question: str
    answer: str
    plan: str


def spell(rng: Random, schema: Schema, query: Query) -> str:
    """Write a query in the schema's dialect and join style."""
    style = schema.join_style if len(query.tables) > 1 else "bare"
    aliases = dict(zip((t.name for t in query.tables), "ab", strict=False))

    def ref(table: Table, column: Column) -> str:
        if style == "alias":
            return f"{aliases[table.name]}.{column.name}"
        shared = sum(column.name in {c.name for c in t.columns} for t in query.tables) > 1
        if style == "full" or (shared and column.name != query.key):
            return f"{table.name}.{column.name}"
        return column.name

    top = f"TOP {query.limit} " if query.limit and schema.dialect == "tsql" else ""
    sql = f"SELECT {top}{query.select(ref)} FROM {query.tables[0].name}"
    if style == "alias":
        sql += f" a JOIN {query.tables[1].name} b ON a.{query.key} = b.{query.key}"
    elif style == "full":
        a, b = query.tables[0].name, query.tables[1].name
        sql += f" JOIN {b} ON {a}.{query.key} = {b}.{query.key}"
    elif style == "using":
        sql += f" JOIN {query.tables[1].name} USING ({query.key})"
    if query.where:
        sql += " WHERE " + " AND ".join(c.sql.replace("{c}", ref(t, c.column)) for t, c in query.where)
    sql += query.tail(ref)
    if query.limit and not top:
        sql += f" LIMIT {query.limit}"
    return sql


def conditions_on(rng: Random, schema: Schema, table: Table, least: int = 0) -> tuple[Condition, ...]:
    """At least `least` filters on different columns of a table."""
    count = max(least, rng.choices((0, 1, 2), (35, 48, 17))[0])
    chosen: dict[str, Condition] = {}
    for _ in range(count):
        condition = random_condition(rng, schema, table)
        chosen.setdefault(condition.column.name, condition)
    return tuple(chosen.values())


def noun_phrase(rng: Random, table: Table, conditions: tuple[Condition, ...], plural: bool = True) -> str:
    """'amber boats with length above 12 and whose home is Norvik'."""
    word = table.many if plural else table.singular
    before = " ".join(c.english for c in conditions if c.adjective)
    after = rng.choice((" and ", " ", ", ", " and ")).join(c.english for c in conditions if not c.adjective)
    return " ".join(part for part in (before, word, after) if part)


AGGREGATES = {
    "SUM": ("total {c}", "sum of {c}", "combined {c}", "total {c}", "overall {c}", "summed {c}"),
    "AVG": ("average {c}", "mean {c}", "average {c}", "typical {c}"),
    "MAX": ("highest {c}", "largest {c}", "maximum {c}", "biggest {c}", "top {c}"),
    "MIN": ("lowest {c}", "smallest {c}", "minimum {c}", "least {c}"),
}
ASK = (
    "what is the {x} of {t}",
    "{x} of {t}",
    "give the {x} of {t}",
    "find the {x} for {t}",
    "what is the {x} for {t}",
    "show the {x} of {t}",
    "compute the {x} over {t}",
    "tell me the {x} among {t}",
    "the {x} across all {t}",
    "i need the {x} of {t}",
    "what {x} do {t} have",
)
COUNT = (
    "how many {t} are there",
    "number of {t}",
    "count the {t}",
    "how many {t}",
    "what is the number of {t}",
    "count of {t}",
    "how many {t} do we have",
    "give me the number of {t}",
    "total number of {t}",
    "how many {t} exist",
)
LIST = (
    "list the {c} of {t}",
    "show the {c} of {t}",
    "what are the {c} of {t}",
    "give the {c} for {t}",
    "which {c} do {t} have",
    "{c} of {t}",
    "find the {c} of all {t}",
    "what is the {c} of {t}",
    "get {c} for {t}",
    "return the {c} of {t}",
)
PER = ("for each {g}", "per {g}", "by {g}", "for every {g}", "in each {g}", "grouped by {g}", "broken down by {g}")


def aggregate_words(rng: Random, column: Column) -> tuple[str, str]:
    """An aggregate function and how the question says it."""
    name = rng.choice(tuple(AGGREGATES))
    return name, rng.choice(AGGREGATES[name]).format(c=column.spoken)


def plan_text(*parts: str) -> str:
    """A plan from its non-empty parts."""
    return "; ".join(part for part in parts if part)


def plan_where(where: tuple[tuple[Table, Condition], ...]) -> str:
    """The filter part of a plan."""
    return "filter " + " and ".join(c.sql.replace("{c}", c.column.name) for _, c in where) if where else ""


def scope_of(
    rng: Random, schema: Schema
) -> tuple[tuple[Table, ...], str, tuple[tuple[Table, Condition], ...], str] | None:
    """One table, or a join with a filter on either side: (tables, key, where, noun phrase)."""
    pairs = joinable(schema)
    if pairs and rng.random() < 0.5:
        child, parent, key = rng.choice(pairs)
        main, other = (child, parent) if rng.random() < 0.65 else (parent, child)
        far = random_condition(rng, schema, other)
        far = Condition(far.english, far.sql, far.column)
        link = rng.choice(
            ("of {o}", "that belong to {o}", "for {o}", "in {o}", "with {o}", "linked to {o}", "from {o}", "whose {s}")
        )
        if far.adjective or not far.english.startswith(("whose", "with", "where", "that", "having")):
            link = link.replace("whose {s}", "of {o}")
        if link == "whose {s}":
            text = f"whose {other.singular} is one {far.english}"
        else:
            text = link.format(o=f"{rng.choice((other.many, other.singular, 'the ' + other.singular))} {far.english}")
        near = conditions_on(rng, schema, main)[: 1 if rng.random() < 0.4 else 0]
        phrase = f"{noun_phrase(rng, main, near)} {text}"
        return (main, other), key, (*((main, c) for c in near), (other, far)), phrase
    table = rng.choice(schema.tables)
    conditions = conditions_on(rng, schema, table)
    return (table,), "", tuple((table, c) for c in conditions), noun_phrase(rng, table, conditions)
