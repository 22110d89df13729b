"""Grouped questions of the pretraining world: per group, HAVING, and the first group."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tao_bench.reference.world_query import (
    PER,
    Exchange,
    Query,
    aggregate_words,
    conditions_on,
    noun_phrase,
    plan_text,
    plan_where,
    spell,
)
from tao_bench.reference.world_schema import Column, Schema, Table, joinable, year_of


def _groupers(table: Table) -> list[Column]:
    return [c for c in table.columns if c.kind in ("text", "date", "flag")]


def group(rng: Random, schema: Schema) -> Exchange | None:
    """An aggregate per group, the group on the same table, on the joined one, or a year."""
    pairs = joinable(schema)
    if pairs and rng.random() < 0.4:
        main, other, key = rng.choice(pairs)
        tables: tuple[Table, ...] = (main, other)
    else:
        main = other = rng.choice(schema.tables)
        key, tables = "", (main,)
    groupers = _groupers(other)
    if not groupers:
        return None
    grouper = rng.choice(groupers)
    where = tuple((main, c) for c in conditions_on(rng, schema, main) if c.column is not grouper)[
        : rng.choice((0, 0, 1))
    ]
    measures, column = main.of("measure"), None
    if measures and rng.random() < 0.6:
        column = rng.choice(measures)
        name, words = aggregate_words(rng, column)
        value: Callable[[Callable[[Table, Column], str]], str] = lambda ref: f"{name}({ref(main, column)})"
    else:
        name, words = "COUNT", rng.choice(("number of {t}", "count of {t}", "how many {t}"))
        words, value = words.format(t=main.many), lambda ref: "COUNT(*)"
    by_year = grouper.kind == "date"

    def key_of(ref: Callable[[Table, Column], str]) -> str:
        return year_of(schema.dialect, ref(other, grouper)) if by_year else ref(other, grouper)

    spoken = (
        f"{grouper.spoken} year" if by_year and rng.random() < 0.5 else ("year of " if by_year else "") + grouper.spoken
    )
    if len(tables) > 1 and rng.random() < 0.6:
        spoken = f"{other.singular} {spoken}"
    per = rng.choice(PER).format(g=spoken)
    tail_words = (
        ""
        if not where
        else " " + rng.choice(("of ", "for ", "among ")) + noun_phrase(rng, main, tuple(c for _, c in where))
    )
    if name != "COUNT" and not where and rng.random() < 0.5:
        tail_words = f" of {main.many}"
    if name == "COUNT" and where:
        words = words.replace(main.many, noun_phrase(rng, main, tuple(c for _, c in where)))
        tail_words = ""
    ask = rng.choice(
        (
            "what is the {w}{t} {p}",
            "{w}{t} {p}",
            "show the {w}{t} {p}",
            "{p}, give the {w}{t}",
            "find the {w}{t} {p}",
            "{p}, what is the {w}{t}",
        )
    )
    if words.startswith("how many"):
        ask = rng.choice(("{w}{t} {p}", "{p}, {w}{t}", "{w}{t} are there {p}"))
    having, having_words = "", ""
    roll = rng.random()
    limit = 0
    order: Callable[[Callable[[Table, Column], str]], str] = lambda ref: ""
    select = lambda ref: f"{key_of(ref)}, {value(ref)}"
    if roll < 0.25:
        bound, op, compare = (
            rng.randint(1, 60),
            *rng.choice(((">", "more than"), (">", "over"), ("<", "fewer than"), (">=", "at least"))),
        )
        if name == "COUNT":
            ask = rng.choice(
                ("which {g} have {c} {b} {t}", "list the {g} with {c} {b} {t}", "{g} that have {c} {b} {t}")
            )
            question = ask.format(g=spoken, c=compare, b=bound, t=noun_phrase(rng, main, tuple(c for _, c in where)))
        else:
            ask = rng.choice(
                ("which {g} have a {w} {c} {b}", "list the {g} where the {w} is {c} {b}", "{g} with {w} {c} {b}")
            )
            question = ask.format(g=spoken, w=words, c=compare.replace("fewer", "less"), b=bound) + tail_words
        having, having_words = f" {op} {bound}", f"keep {name} {op} {bound}"
        select = key_of
    elif roll < 0.5:
        limit, most = 1, rng.random() < 0.75
        word = rng.choice(("most", "largest number of")) if most else rng.choice(("fewest", "smallest number of"))
        if name == "COUNT":
            ask = rng.choice(("which {g} has the {m} {t}", "{g} with the {m} {t}", "what {g} has the {m} {t}"))
            question = ask.format(g=spoken, m=word, t=noun_phrase(rng, main, tuple(c for _, c in where)))
        else:
            word = rng.choice(("highest", "largest", "greatest")) if most else rng.choice(("lowest", "smallest"))
            ask = rng.choice(("which {g} has the {m} {w}", "{g} with the {m} {w}", "what {g} has the {m} {w}"))
            question = ask.format(g=spoken, m=word, w=words) + tail_words
        order = lambda ref: f" ORDER BY {value(ref)}{' DESC' if most else ''}"
        select = key_of
    else:
        question = ask.format(w=words, t=tail_words, p=per)
    tail = lambda ref: f" GROUP BY {key_of(ref)}" + (f" HAVING {value(ref)}{having}" if having else "") + order(ref)
    sql = spell(rng, schema, Query(select, tables, key, where, tail, limit))
    return Exchange(
        question,
        sql,
        plan_text(
            "tables " + ", ".join(t.name for t in tables),
            key and f"key {key}",
            plan_where(where),
            f"group by {grouper.name}",
            f"{name} of {column.name if column else 'rows'}",
            having_words,
            "first group" if limit else "",
        ),
    )
