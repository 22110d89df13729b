"""Query shapes of level L1: one table."""

from __future__ import annotations

from collections.abc import Sequence

from . import knobs
from .common import (
    Draw,
    Question,
    aggregate,
    conditions_on,
    described,
    group_question,
    passing,
    some_table,
    sound,
    source,
    where,
    witness_row,
)
from .filters import Condition
from .schemas import NUMBERS, Column, Table
from .wording import mention, mention_many


def count_rows(draw: Draw) -> Question | None:
    """SELECT COUNT(*) with one or two filters (seldom none)."""
    table = draw.rng.choice(draw.warehouse.schema.tables)
    conditions = conditions_on(draw, table, witness_row(draw), least=draw.rng.random() < 0.9)
    if not sound(draw, (table,), conditions, 2):
        return None
    text = draw.say("count").format(t=described(draw, table, conditions))
    return Question(text, f"SELECT COUNT(*) {source((table,), ())}{where(conditions)}", (table,))


def measure(draw: Draw) -> Question | None:
    """SUM, AVG, MIN or MAX of a number, with filters."""
    table = some_table(draw, *NUMBERS)
    if table is None:
        return None
    column = draw.rng.choice(table.of(*NUMBERS))
    conditions = conditions_on(draw, table, witness_row(draw), without=(column,))
    if not sound(draw, (table,), conditions, 3):
        return None
    function, words = aggregate(draw, column)
    text = draw.say("measure").format(x=words, t=described(draw, table, conditions))
    return Question(text, f"SELECT {function}({column.name}) {source((table,), ())}{where(conditions)}", (table,))


def list_values(draw: Draw) -> Question | None:
    """One or two columns of the rows that pass."""
    table = draw.rng.choice(draw.warehouse.schema.tables)
    conditions = conditions_on(draw, table, witness_row(draw), least=1)
    used = {c.column.name for c in conditions}
    free = [c for c in table.of("name", "text", "date", *NUMBERS) if c.name not in used]
    if not conditions or not free or not sound(draw, (table,), conditions, 2):
        return None
    columns = draw.rng.sample(free, min(len(free), draw.rng.choice((1, 1, 1, 2))))
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
    if not sound(draw, (table,), conditions, 2):
        return None
    for rows in draw.rows((table,)):
        cells = [row[column.name] for row in passing(rows, conditions)]
        if len(set(cells)) == len(cells):
            return None  # DISTINCT would not matter
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
    if not sound(draw, (table,), conditions, 3):
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
    conditions = conditions_on(draw, table, witness_row(draw), without=(by,), most=1)
    if draw.rng.random() < 0.6:
        conditions = []
    if not sound(draw, (table,), conditions, 4):
        return None
    return group_question(draw, (table,), (), by=by, spoken=mention(draw.rng, draw.level, by), near=conditions)


def ranked(draw: Draw, table: Table, key: Column, *, most: bool, k: int, conditions: Sequence[Condition]) -> bool:
    """Whether the first k rows are cut by no tie, and some row is left out, in every checked instance."""
    for rows in draw.rows((table,)):
        cells = sorted((row[key.name] for row in passing(rows, conditions)), reverse=most)
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
    if rng.random() < 0.5:
        conditions = []
    k, most = rng.choice(knobs.TOP_K), rng.random() < 0.65
    if not sound(draw, (table,), conditions) or not ranked(draw, table, key, most=most, k=k, conditions=conditions):
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
