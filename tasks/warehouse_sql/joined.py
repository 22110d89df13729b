"""Query shapes of level L2: joins of two tables, HAVING, dates."""

from __future__ import annotations

from dataclasses import dataclass

from .common import (
    COUNT,
    Draw,
    Question,
    aggregate,
    asked,
    cells_of,
    conditions_on,
    described,
    far_condition,
    group_question,
    grouped_words,
    groups,
    linked,
    repeats,
    some_link,
    some_table,
    sound,
    source,
    spoken_far,
    where,
    witness_row,
)
from .filters import Condition, draw_condition
from .instances import round_number
from .schemas import NUMBERS, Link, Table
from .wording import mention, mention_many, noun


@dataclass(frozen=True, slots=True)
class Scope:
    """Child rows filtered by their parent: what join questions are about."""

    link: Link
    tables: tuple[Table, ...]
    conditions: list[Condition]
    text: str


def _scope(draw: Draw) -> Scope | None:
    link, witness = some_link(draw), witness_row(draw)
    far = far_condition(draw, link.parent, witness)
    if far is None:
        return None
    near = conditions_on(draw, link.child, witness, most=1)
    if far.column.kind == "name":
        near = []  # a name leaves few rows: a second filter would leave none
    tables = (link.child, link.parent)
    return Scope(link, tables, [*near, far], f"{described(draw, link.child, near)} {linked(draw, link, far)}")


def join_count(draw: Draw) -> Question | None:
    """How many child rows have such a parent."""
    scope = _scope(draw)
    if scope is None or not sound(draw, scope.tables, scope.conditions, least=2):
        return None
    sql = f"SELECT COUNT(*) {source(scope.tables, (scope.link,))}{where(scope.conditions)}"
    return Question(asked(draw, COUNT, scope.text), sql, scope.tables)


def join_measure(draw: Draw) -> Question | None:
    """An aggregate over child rows that have such a parent."""
    scope = _scope(draw)
    if scope is None:
        return None
    numbers = [c for c in scope.link.child.of(*NUMBERS) if c not in [k.column for k in scope.conditions]]
    if not numbers:
        return None
    head = aggregate(draw, draw.rng.choice(numbers))
    if not sound(draw, scope.tables, scope.conditions, head.result, 2):
        return None
    sql = f"SELECT {head.sql} {source(scope.tables, (scope.link,))}{where(scope.conditions)}"
    return Question(asked(draw, head, scope.text), sql, scope.tables)


def join_list(draw: Draw) -> Question | None:
    """A column of child rows that have such a parent."""
    scope = _scope(draw)
    if scope is None:
        return None
    used = {c.column.name for c in scope.conditions}
    free = [c for c in scope.link.child.of("name", "text", "date", *NUMBERS) if c.name not in used]
    if not free:
        return None
    column = draw.rng.choice(free)
    if not sound(draw, scope.tables, scope.conditions, cells_of(column)):
        return None
    words = mention_many(draw.rng, draw.level, [column])
    sql = f"SELECT {column.name} {source(scope.tables, (scope.link,))}{where(scope.conditions)}"
    return Question(draw.say("list").format(c=words, t=scope.text), sql, scope.tables)


def join_distinct(draw: Draw) -> Question | None:
    """Different parents (by name or attribute) that have such child rows."""
    link = some_link(draw)
    near = conditions_on(draw, link.child, witness_row(draw), least=1, most=1)
    columns = link.parent.of("name", "name", "text")
    tables = (link.parent, link.child)
    if not near or not columns:
        return None
    column = draw.rng.choice(columns)
    if not sound(draw, tables, near, lambda rows: {row[column.name] for row in rows}, 3):
        return None
    if not repeats(draw, tables, column, near):
        return None
    phrase = f"{noun(draw.rng, draw.level, link.parent)} that have {described(draw, link.child, near)}"
    words = mention_many(draw.rng, draw.level, [column])
    sql = f"SELECT DISTINCT {column.name} {source(tables, (link,))}{where(near)}"
    return Question(draw.say("list_distinct").format(c=words, t=phrase), sql, tables)


def dated_rows(draw: Draw) -> Question | None:
    """Count or aggregate with a date filter, on one table or joined with a far filter."""
    table = some_table(draw, "date")
    if table is None:
        return None
    rng, witness = draw.rng, witness_row(draw)
    anchors = draw.warehouse.anchors
    dated = draw_condition(rng, draw.level, table, anchors=anchors, witness=witness, without=set(), kinds={"date": 1})
    if dated is None:
        return None
    tables: tuple[Table, ...] = (table,)
    links = tuple(k for k in draw.warehouse.schema.links if k.child.name == table.name)
    conditions, text = [dated], ""
    joins: tuple[Link, ...] = ()
    if links and rng.random() < 0.4:
        link = rng.choice(links)
        far = far_condition(draw, link.parent, witness)
        if far is None or far.column.kind == "name":
            return None
        tables, joins, conditions = (table, link.parent), (link,), [dated, far]
        text = f"{described(draw, table, [dated])} {linked(draw, link, far)}"
    numbers = table.of(*NUMBERS)
    head = aggregate(draw, rng.choice(numbers)) if numbers and rng.random() < 0.5 else COUNT
    if not sound(draw, tables, conditions, head.result, 2):
        return None
    text = asked(draw, head, text or described(draw, table, conditions))
    return Question(text, f"SELECT {head.sql} {source(tables, joins)}{where(conditions)}", tables)


def join_group(draw: Draw) -> Question | None:
    """An aggregate of child rows per attribute of their parent."""
    link = some_link(draw)
    columns = link.parent.of("text", "text", "name")
    by = draw.rng.choice(columns)
    tables, spoken = (link.child, link.parent), spoken_far(draw, link, by)
    return group_question(draw, tables, (link,), by=by, spoken=spoken, witness=witness_row(draw))


def group_having(draw: Draw) -> Question | None:
    """Groups whose count or aggregate passes a bound; some do and some do not, in every instance."""
    rng = draw.rng
    if rng.random() < 0.55:
        link = some_link(draw)
        tables: tuple[Table, ...] = (link.child, link.parent)
        links: tuple[Link, ...] = (link,)
        by = rng.choice(link.parent.of("name", "text"))
        spoken = spoken_far(draw, link, by)
    else:
        table = some_table(draw, "text")
        if table is None:
            return None
        tables, links = (table,), ()
        by = rng.choice(table.of("text"))
        spoken = mention(rng, draw.level, by)
    main, above = tables[0], rng.random() < 0.7
    numbers = main.of(*NUMBERS)
    if numbers and by.kind == "text" and rng.random() < 0.4:
        head = aggregate(draw, rng.choice(numbers), ("SUM", "AVG"))
    else:
        head = COUNT
    found = [set(groups(rows, by, head).values()) for rows in draw.rows(tables)]
    low, high = max(min(values) for values in found), min(max(values) for values in found)
    bounds = [round_number(low + (high - low) * f) for f in (0.25, 0.4, 0.5, 0.6, 0.75)]
    if head is COUNT:
        bounds = sorted(map(int, found[-1]))  # a group right at the bound tells > from >=
    bounds = [b for b in bounds if low < b < high]
    if not bounds:
        return None
    bound, noun_phrase = rng.choice(bounds), described(draw, main, [])
    if head is COUNT:
        text = draw.say("having_count").format(
            g=spoken, b=draw.say("more_count" if above else "fewer_count"), k=bound, t=noun_phrase
        )
    else:
        text = draw.say("having_measure").format(
            g=spoken, x=head.words, b=draw.say("more_measure" if above else "fewer_measure"), k=bound, t=noun_phrase
        )
    tail = f"GROUP BY {by.name} HAVING {head.sql} {'>' if above else '<'} {bound}"
    return Question(text, f"SELECT {by.name} {source(tables, links)} {tail}", tables)


def group_year(draw: Draw) -> Question | None:
    """A count or an aggregate per year."""
    table = some_table(draw, "date")
    if table is None:
        return None
    rng, date, numbers = draw.rng, draw.rng.choice(table.of("date")), table.of(*NUMBERS)
    head = aggregate(draw, rng.choice(numbers)) if numbers and rng.random() < 0.55 else COUNT
    words = grouped_words(draw, head, described(draw, table, []))
    spoken = rng.choice(("year of {n}", "{n} year")).format(n=mention(rng, draw.level, date))
    text = draw.say("group").format(x=words, p=draw.say("per").format(g=spoken))
    year = f"YEAR({date.name})"
    return Question(text, f"SELECT {year}, {head.sql} FROM {table.name} GROUP BY {year}", (table,))
