"""Conversations the reference model is pretrained on: random schemas and reports, in every exploring format.

A conversation holds one context (schema or report) and several exchanges behind it, so that
the context's tokens are paid once. The first turn is exactly a deployment prompt. The other
formats are what exploring uses later: plan then answer, and repair after an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

from tao_bench.reference import world_sql, world_table
from tao_bench.reference.words import WorldRandom
from tao_bench.reference.world_query import Exchange

Turn = tuple[str, str]
"""(role, content)"""

SQL_SHARE = 0.62
PLAN_SHARE = 0.12
REPAIR_SHARE = 0.05
MAX_EXCHANGES = 6


def finish_question(rng: Random, text: str) -> str:
    """Questions come with and without capitals and question marks."""
    text = re.sub(r"\s+", " ", text).strip()
    if rng.random() < 0.25:
        text = text[0].upper() + text[1:]
    return text + rng.choice(("?", "?", "?", "?", "", "."))


def _broken_sql(rng: Random, sql: str, names: list[str]) -> tuple[str, str] | None:
    """A faulty version of a query with the error an engine would give."""
    used = [n for n in names if re.search(rf"\b{n}\b", sql)]
    if not used:
        return None
    victim = rng.choice(used)
    roll = rng.random()
    if roll < 0.5 and len(victim) > 3:
        cut = rng.randrange(1, len(victim) - 1)
        wrong = (
            victim[:cut] + victim[cut + 1 :]
            if rng.random() < 0.5
            else victim[:cut] + rng.choice("aeiort") + victim[cut:]
        )
        return re.sub(rf"\b{victim}\b", wrong, sql), f"{wrong} not found"
    if roll < 0.8:
        wrong = rng.choice(names)
        if wrong == victim:
            return None
        return re.sub(rf"\b{victim}\b", wrong, sql, count=1), f"column {wrong} not found here"
    word = rng.choice(("FROM", "WHERE", "BY", ")", "SELECT"))
    if word not in sql:
        return None
    return sql.replace(word, "", 1).replace("  ", " "), f"syntax error near {sql.rsplit(maxsplit=1)[-1]}"


def _broken_expression(rng: Random, answer: str, names: list[str]) -> tuple[str, str] | None:
    cited = re.findall(r"\[([^\]]+) (\d{4})\]", answer)
    if not cited:
        return None
    name, year = rng.choice(cited)
    cut = rng.randrange(1, max(2, len(name) - 1))
    wrong = rng.choice((name[:cut] + name[cut + 1 :], name.split(" ")[-1].capitalize(), rng.choice(names)[:-1]))
    return (
        None
        if wrong == name
        else (answer.replace(f"[{name} {year}]", f"[{wrong} {year}]"), f'no line "{wrong} {year}"')
    )


def conversation(rng: Random) -> list[Turn]:
    """One context with up to `MAX_EXCHANGES` exchanges; cut to length by the caller at a turn boundary."""
    found: list[Exchange]
    spoil: Callable[[Random, str, list[str]], tuple[str, str] | None]
    if rng.random() < SQL_SHARE:
        schema, found = world_sql.exchanges(rng, MAX_EXCHANGES)
        head = "\n".join(("Schema:", *(t.line() for t in schema.tables)))
        names = [t.name for t in schema.tables] + [c.name for t in schema.tables for c in t.columns]
        spoil = _broken_sql
    else:
        report, found = world_table.exchanges(rng, MAX_EXCHANGES)
        head = "\n".join(
            (f"Report: {report.title}, in {report.unit}", " | ".join(("Line", *report.columns)), *report.lines())
        )
        names = [name for name, _ in report.rows]
        spoil = _broken_expression
    turns: list[Turn] = []
    for i, exchange in enumerate(found):
        question = f"Question: {finish_question(rng, exchange.question)}"
        content = f"{head}\n{question}" if i == 0 else question
        roll = rng.random()
        broken = spoil(rng, exchange.answer, names) if roll < REPAIR_SHARE else None
        if broken is not None:
            turns += [
                ("user", content),
                ("faulty", broken[0]),
                ("user", f"Error: {broken[1]}"),
                ("assistant", exchange.answer),
            ]
        elif roll < REPAIR_SHARE + PLAN_SHARE:
            turns += [
                ("user", f"{content}\nPlan first."),
                ("assistant", f"Plan: {exchange.plan}\nAnswer: {exchange.answer}"),
            ]
        else:
            turns += [("user", content), ("assistant", exchange.answer)]
    return turns


def conversations(seed: int, novelty: float | None = None) -> Iterator[list[Turn]]:
    """Endless stream of conversations of a seed; `novelty` as in `words.WorldRandom`."""
    rng = WorldRandom(seed)
    rng.novelty = novelty
    while True:
        turns = conversation(rng)
        if turns:
            yield turns
