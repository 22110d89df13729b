"""Query shapes of level L1: one table."""

from __future__ import annotations

from collections.abc import Sequence

from . import knobs
from .common import (
    COUNT,
    Draw,
    Question,
    aggregate,
    asked,
    cells_of,
    conditions_on,
    described,
    group_question,
    passing,
    repeats,
    some_table,
    sound,
    source,
    where,
    witness_row,
)
from .filters import Condition
from .instances import Row
from .schemas import NUMBERS, Column, Table
from .wording import mention, mention_many


def count_rows(draw: Draw) -> Question | None:
    """SELECT COUNT(*) with one or two filters (seldom none)."""
    table = draw.rng.choice(draw.warehouse.schema.tables)
    conditions = conditions_on(draw, table, witness_row(draw), least=draw.rng.random() < 0.9)
    if not sound(draw, (table,), conditions, least=2):
        return None
    text = asked(draw, COUNT, described(draw, table, conditions))
    return Question(text, f"SELECT COUNT(*) {source((table,), ())}{where(conditions)}", (table,))


def measure(draw: Draw) -> Question | None:
    """SUM, AVG, MIN or MAX of a number, with filters."""
    table = some_table(draw, *NUMBERS)
    if table is None:
        return None
    column = draw.rng.choice(table.of(*NUMBERS))
    conditions = conditions_on(draw, table, witness_row(draw), without=(column,))
    head = aggregate(draw, column)
    if not sound(draw, (table,), conditions, head.result, 3):
        return None
    text = asked(draw, head, described(draw, table, conditions))
    return Question(text, f"SELECT {head.sql} {source((table,), ())}{where(conditions)}", (table,))


def list_values(draw: Draw) -> Question | None:
    """One or two columns of the rows that pass."""
    table = draw.rng.choice(draw.warehouse.schema.tables)
    conditions = conditions_on(draw, table, witness_row(draw), least=1)
    used = {c.column.name for c in conditions}
    free = [c for c in table.of("name", "text", "date", *NUMBERS) if c.name not in used]
    if not conditions or not free:
        return None
    columns = draw.rng.sample(free, min(len(free), draw.rng.choice((1, 1, 1, 2))))
    if not sound(draw, (table,), conditions, cells_of(*columns), 2):
        return None
    words = mention_many(draw.rng, draw.level, columns)
    text = draw.say("list").format(c=words, t=described(draw, table, conditions))
    head = ", ".join(c.name for c in columns)
    return Question(text, f"SELECT {head} {source((table,), ())}{where(conditions)}", (table,))


def list_distinct(draw: Draw) -> Question | None:
    """SELECT DISTINCT of a column that repeats."""
    table = some_table(draw, "text")
    if table is None:
        return None
    column = draw.rng.choice(table.of("text"))
    conditions = conditions_on(draw, table, witness_row(draw), without=(column,), most=1)
    if not sound(draw, (table,), conditions, lambda rows: {row[column.name] for row in rows}, 2):
        return None
    if not repeats(draw, (table,), column, conditions):
        return None
    words = mention_many(draw.rng, draw.level, [column])
    text = draw.say("list_distinct").format(c=words, t=described(draw, table, conditions))
    return Question(text, f"SELECT DISTINCT {column.name} {source((table,), ())}{where(conditions)}", (table,))


def count_distinct(draw: Draw) -> Question | None:
    """COUNT(DISTINCT ...) of a text column or of a foreign key's owner."""
    table = some_table(draw, "text")
    if table is None:
        return None
    column = draw.rng.choice(table.of("text"))
    conditions = conditions_on(draw, table, witness_row(draw), without=(column,), most=1)
    if not sound(draw, (table,), conditions, lambda rows: len({row[column.name] for row in rows}), 3):
        return None
    words = mention_many(draw.rng, draw.level, [column])
    text = draw.say("count_distinct").format(c=words, t=described(draw, table, conditions))
    sql = f"SELECT COUNT(DISTINCT {column.name}) {source((table,), ())}{where(conditions)}"
    return Question(text, sql, (table,))


def group_rows(draw: Draw) -> Question | None:
    """A count or an aggregate per value of a text column."""
    table = some_table(draw, "text")
    if table is None:
        return None
    by = draw.rng.choice(table.of("text"))
    spoken = mention(draw.rng, draw.level, by)
    return group_question(draw, (table,), (), by=by, spoken=spoken, witness=witness_row(draw))


def first(rows: list[Row], key: Column, k: int, most: bool) -> list[Row]:
    """ORDER BY ... LIMIT k."""
    return sorted(rows, key=lambda row: row[key.name], reverse=most)[:k]


def ranked(draw: Draw, table: Table, key: Column, *, most: bool, k: int, conditions: Sequence[Condition]) -> bool:
    """Whether the first k rows are cut by no tie, and some row is left out, in every checked instance."""
    for rows in draw.rows((table,)):
        cells = [row[key.name] for row in first(passing(rows, conditions), key, k + 1, most)]
        if len(cells) <= k or cells[k - 1] == cells[k]:
            return False
    return True


def top_rows(draw: Draw) -> Question | None:
    """ORDER BY a number or date, LIMIT k."""
    table = some_table(draw, *NUMBERS)
    if table is None or not table.of("name", "text"):
        return None
    rng = draw.rng
    key = rng.choice(table.of("date", *NUMBERS))
    column = rng.choice(table.of("name", "name", "text"))
    conditions = conditions_on(draw, table, witness_row(draw), without=(key, column), most=1)
    if rng.random() >= knobs.GROUP_FILTER:
        conditions = []
    k, most, shown = rng.choice(knobs.TOP_K), rng.random() < 0.65, cells_of(column)
    if not sound(draw, (table,), conditions, lambda rows: shown(first(rows, key, k, most))):
        return None
    if not ranked(draw, table, key, most=most, k=k, conditions=conditions):
        return None
    judging = passing(draw.rows((table,))[-1], conditions)
    if shown(first(judging, key, k, most)) == shown(first(judging, key, k, not most)):
        return None
    ends = ("latest", "earliest") if key.kind == "date" else ("most", "least")
    word = draw.say(ends[0] if most else ends[1])
    ask = draw.say("top_one" if k == 1 else "top_many")
    text = ask.format(
        c=mention(rng, draw.level, column), k=k, w=word, n=mention(rng, draw.level, key),
        **{"o" if k == 1 else "t": described(draw, table, conditions, many=k != 1)},
    )  # fmt: skip
    order = f"ORDER BY {key.name}{' DESC' if most else ''} LIMIT {k}"
    return Question(text, f"SELECT {column.name} {source((table,), ())}{where(conditions)} {order}", (table,))
