"""Query shapes of level L3: subqueries, extremes of groups, shares, and three tables."""

from __future__ import annotations

from .common import (
    COUNT,
    Draw,
    Head,
    Question,
    Result,
    aggregate,
    asked,
    cells_of,
    compute,
    conditions_on,
    described,
    far_condition,
    groups,
    linked,
    passing,
    some_link,
    some_table,
    sound,
    source,
    spoken_far,
    tells,
    where,
    witness_row,
)
from .instances import Cell, Row
from .schemas import NUMBERS, Column, Link, Table
from .wording import mention, mention_many, noun


def _related(draw: Draw, lacking: bool) -> Question | None:
    """Parents in (or not in) the keys of child rows that pass a filter."""
    rng, link = draw.rng, some_link(draw)
    columns = link.parent.of("name", "name", "text")
    near = conditions_on(draw, link.child, witness_row(draw), most=1)
    counting = rng.random() < 0.4
    keys: Result = lambda rows: {row[link.key] for row in rows}
    counted: Result = lambda rows: len({row[link.key] for row in rows})
    if not columns or not sound(draw, (link.child,), near, counted if counting else keys):
        return None
    for instance in draw.checked:
        inside = {row[link.key] for row in passing(instance.rows((link.child,)), near)}
        parents = instance.rows((link.parent,))
        found = sum((row[link.key] in inside) != lacking for row in parents)
        if not 0 < found < len(parents) or found * 2 == len(parents):
            return None
    phrase = draw.say("lacks" if lacking else "has")
    phrase = phrase.format(t=described(draw, link.child, near), o=described(draw, link.child, near, many=False))
    phrase = f"{noun(rng, draw.level, link.parent)} {phrase}"
    if counting:
        head, text = "COUNT(*)", draw.say("count").format(t=phrase)
    else:
        column = rng.choice(columns)
        head, text = column.name, draw.say("list").format(c=mention_many(rng, draw.level, [column]), t=phrase)
    inner = f"SELECT {link.key} FROM {link.child.name}{where(near)}"
    sql = f"SELECT {head} FROM {link.parent.name} WHERE {link.key} {'NOT ' if lacking else ''}IN ({inner})"
    return Question(text, sql, (link.parent, link.child))


def has_related(draw: Draw) -> Question | None:
    """IN (SELECT ...)."""
    return _related(draw, lacking=False)


def lacks_related(draw: Draw) -> Question | None:
    """NOT IN (SELECT ...)."""
    return _related(draw, lacking=True)


def _mean(rows: list[Row], column: Column) -> float:
    return sum(float(row[column.name]) for row in rows) / len(rows)


def _sides(rows: list[Row], column: Column) -> tuple[list[Row], list[Row]]:
    """Rows above and below the mean of a column."""
    mean = _mean(rows, column)
    return [r for r in rows if float(r[column.name]) > mean], [r for r in rows if float(r[column.name]) < mean]


def beyond_average(draw: Draw) -> Question | None:
    """Rows above or below the average of all rows, sometimes filtered too."""
    table = some_table(draw, *NUMBERS)
    if table is None:
        return None
    rng = draw.rng
    column = rng.choice(table.of(*NUMBERS))
    extra = conditions_on(draw, table, witness_row(draw), without=(column,), most=1)
    if rng.random() < 0.4:
        extra = []
    shown = [c for c in table.of("name", "name", "text") if c not in [k.column for k in extra]]
    chosen = rng.choice(shown) if shown and rng.random() < 0.55 else None
    result: Result = cells_of(chosen) if chosen else len
    above, sides = rng.random() < 0.6, draw.rows((table,))
    for rows in sides:
        over, under = _sides(rows, column)
        beyond, rest = (over, under) if above else (under, over)
        if len(passing(beyond, extra)) < 2 or result(passing(beyond, extra)) == result(passing(rest, extra)):
            return None
    if not tells(_sides(sides[-1], column)[0 if above else 1], extra, result):
        return None
    name = mention(rng, draw.level, column)
    tail = draw.say("over_average" if above else "under_average").format(n=name)
    phrase = f"{described(draw, table, extra)}{' and ' if any(c.after for c in extra) else ' '}{tail}"
    if chosen is None:
        head, text = "COUNT(*)", draw.say("count").format(t=phrase)
    else:
        head, text = chosen.name, draw.say("list").format(c=mention_many(rng, draw.level, [chosen]), t=phrase)
    test = f"{column.name} {'>' if above else '<'} (SELECT AVG({column.name}) FROM {table.name})"
    clause = " AND ".join([test, *(c.sql for c in extra)])
    return Question(text, f"SELECT {head} FROM {table.name} WHERE {clause}", (table,))


def _leader(rows: list[Row], by: Column, head: Head, most: bool) -> Cell | None:
    """The group that leads, None if it does not do so clearly enough for any engine's arithmetic."""
    found = groups(rows, by, head)
    order = sorted(found, key=lambda key: found[key], reverse=most)
    return order[0] if len(order) > 1 and abs(found[order[0]] - found[order[1]]) > 1e-6 else None


def _leads_alone(draw: Draw, tables: tuple[Table, ...], by: Column, head: Head, most: bool) -> bool:
    """Whether one group leads in every checked instance, and in the judging one not also by what was not asked for."""
    found = draw.rows(tables)
    if any(_leader(rows, by, head, most) is None for rows in found):
        return False
    leader = _leader(found[-1], by, head, most)
    others = [COUNT] if head is not COUNT else []
    for other in ("SUM", "AVG"):
        others += [
            _plain(other, c) for c in tables[0].of(*NUMBERS) if f"({c.name})" in head.sql and other not in head.sql
        ]
    return all(_leader(found[-1], by, other, most) != leader for other in others)


def _plain(function: str, column: Column) -> Head:
    return Head(f"{function}({column.name})", "", lambda rows: compute(function, column, rows))


def largest_group(draw: Draw) -> Question | None:
    """The group with most (or fewest) rows, or with the highest (lowest) aggregate: ORDER BY ... LIMIT 1."""
    rng, most = draw.rng, draw.rng.random() < 0.7
    links: tuple[Link, ...] = ()
    if rng.random() < 0.5:
        link = some_link(draw)
        tables: tuple[Table, ...] = (link.child, link.parent)
        links = (link,)
        by = rng.choice(link.parent.of("name", "text"))
        spoken = spoken_far(draw, link, by)
    else:
        table = some_table(draw, "text")
        if table is None:
            return None
        tables, by = (table,), rng.choice(table.of("text"))
        spoken = mention(rng, draw.level, by)
    main = tables[0]
    numbers = main.of(*NUMBERS)
    if numbers and rng.random() < 0.5:
        head = aggregate(draw, rng.choice(numbers), ("SUM", "SUM", "AVG"))
        word = draw.say("most" if most else "least")
        text = draw.say("largest_measure").format(g=spoken, w=word, x=head.words, t=described(draw, main, []))
    else:
        head = COUNT
        text = draw.say("largest_count" if most else "smallest_count").format(g=spoken, t=described(draw, main, []))
    if not _leads_alone(draw, tables, by, head, most):
        return None
    order = f"GROUP BY {by.name} ORDER BY {head.sql}{' DESC' if most else ''} LIMIT 1"
    return Question(text, f"SELECT {by.name} {source(tables, links)} {order}", tables)


def share_of_rows(draw: Draw) -> Question | None:
    """COUNT_IF(...) / COUNT(*)."""
    table = some_table(draw, "text")
    if table is None:
        return None
    found = conditions_on(draw, table, witness_row(draw), least=1, most=1)
    if not found or not sound(draw, (table,), found, least=2):
        return None
    phrase = found[0].after or f"that are {found[0].before}"
    text = draw.say("share").format(t=noun(draw.rng, draw.level, table), f=phrase)
    return Question(text, f"SELECT COUNT_IF({found[0].sql}) / COUNT(*) FROM {table.name}", (table,))


def spread(draw: Draw) -> Question | None:
    """MAX(...) - MIN(...)."""
    table = some_table(draw, *NUMBERS)
    if table is None:
        return None
    column = draw.rng.choice(table.of(*NUMBERS))
    conditions = conditions_on(draw, table, witness_row(draw), without=(column,), most=1)
    result: Result = lambda rows: compute("MAX", column, rows) - compute("MIN", column, rows)
    if not sound(draw, (table,), conditions, result, 3):
        return None
    text = draw.say("spread").format(n=mention(draw.rng, draw.level, column), t=described(draw, table, conditions))
    head = f"MAX({column.name}) - MIN({column.name})"
    return Question(text, f"SELECT {head} FROM {table.name}{where(conditions)}", (table,))


def two_joins(draw: Draw) -> Question | None:
    """Count or aggregate over three tables, filtered at the far end, or at both ends of a star."""
    schema, rng = draw.warehouse.schema, draw.rng
    if len(schema.links) != 2:
        return None
    witness, (first, second) = witness_row(draw), schema.links
    if second.parent.name == first.child.name:
        first, second = second, first
    chain = first.parent.name == second.child.name
    tables = (first.child, first.parent, second.parent)
    far = far_condition(draw, second.parent, witness)
    if far is None:
        return None
    conditions, text = [far], described(draw, first.child, [])
    if chain:
        middle = noun(rng, draw.level, first.parent)
        text += f" {rng.choice((*first.verbs, 'of'))} {middle} {linked(draw, second, far)}"
    else:
        near = far_condition(draw, first.parent, witness)
        if near is None or "name" in (near.column.kind, far.column.kind):
            return None
        conditions = [near, far]
        text += f" {linked(draw, first, near)} and {linked(draw, second, far)}"
    numbers = first.child.of(*NUMBERS)
    head = aggregate(draw, rng.choice(numbers)) if numbers and rng.random() < 0.5 else COUNT
    if not sound(draw, tables, conditions, head.result, 2):
        return None
    text = asked(draw, head, text)
    return Question(text, f"SELECT {head.sql} {source(tables, (first, second))}{where(conditions)}", tables)


def group_beyond_average(draw: Draw) -> Question | None:
    """HAVING AVG(...) > (SELECT AVG(...) ...): groups that beat the whole."""
    table = some_table(draw, *NUMBERS)
    if table is None or not table.of("text"):
        return None
    column, by = draw.rng.choice(table.of(*NUMBERS)), draw.rng.choice(table.of("text"))
    for rows in draw.rows((table,)):
        mean = _mean(rows, column)
        over = [value > mean for value in groups(rows, by, _plain("AVG", column)).values()]
        if all(over) or not any(over):
            return None
    text = draw.say("group_average").format(
        g=mention_many(draw.rng, draw.level, [by]),
        n=mention(draw.rng, draw.level, column),
        t=described(draw, table, []),
    )
    tail = f"GROUP BY {by.name} HAVING AVG({column.name}) > (SELECT AVG({column.name}) FROM {table.name})"
    return Question(text, f"SELECT {by.name} FROM {table.name} {tail}", (table,))
