"""Query shapes of level L3: subqueries, extremes of groups, shares, and three tables."""

from __future__ import annotations

from .common import (
    Draw,
    Question,
    aggregate,
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
    where,
    witness_row,
)
from .instances import Row
from .schemas import NUMBERS, Column, Link, Table
from .wording import mention, mention_many, noun


def _related(draw: Draw, lacking: bool) -> Question | None:
    """Parents in (or not in) the keys of child rows that pass a filter."""
    rng, link = draw.rng, some_link(draw)
    columns = link.parent.of("name", "name", "text")
    near = conditions_on(draw, link.child, witness_row(draw), most=1)
    if not columns or not sound(draw, (link.child,), near):
        return None
    for instance in draw.checked:
        inside = {row[link.key] for row in passing(instance.rows((link.child,)), near)}
        parents = instance.rows((link.parent,))
        found = sum((row[link.key] in inside) != lacking for row in parents)
        if not 0 < found < len(parents):
            return None
    phrase = draw.say("lacks" if lacking else "has")
    phrase = phrase.format(t=described(draw, link.child, near), o=described(draw, link.child, near, many=False))
    phrase = f"{noun(rng, draw.level, link.parent)} {phrase}"
    if rng.random() < 0.4:
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
    above = rng.random() < 0.6
    for rows in draw.rows((table,)):
        mean = _mean(rows, column)
        beyond = [r for r in rows if (float(r[column.name]) > mean) == above]
        left = passing(beyond, extra)
        if len(left) < 2 or (extra and len(left) == len(beyond)):
            return None
    name = mention(rng, draw.level, column)
    tail = draw.say("over_average" if above else "under_average").format(n=name)
    phrase = f"{described(draw, table, extra)}{' and ' if any(c.after for c in extra) else ' '}{tail}"
    shown = [c for c in table.of("name", "name", "text") if c not in [k.column for k in extra]]
    if not shown or rng.random() < 0.45:
        head, text = "COUNT(*)", draw.say("count").format(t=phrase)
    else:
        chosen = rng.choice(shown)
        head, text = chosen.name, draw.say("list").format(c=mention_many(rng, draw.level, [chosen]), t=phrase)
    test = f"{column.name} {'>' if above else '<'} (SELECT AVG({column.name}) FROM {table.name})"
    clause = " AND ".join([test, *(c.sql for c in extra)])
    return Question(text, f"SELECT {head} FROM {table.name} WHERE {clause}", (table,))


def _unique_extreme(
    draw: Draw, tables: tuple[Table, ...], by: Column, *, function: str, column: Column, most: bool
) -> bool:
    """Whether one group leads in every checked instance, clearly enough for any engine's arithmetic."""
    for rows in draw.rows(tables):
        values = sorted(groups(rows, by, function, column).values(), reverse=most)
        if len(values) < 2 or abs(values[0] - values[1]) < 1e-6:
            return False
    return True


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
        column = rng.choice(numbers)
        function = "AVG" if column.kind == "score" or rng.random() < 0.4 else "SUM"
        expression = f"{function}({column.name})"
        words = draw.say(function).format(c=mention(rng, draw.level, column))
        word = draw.say("most" if most else "least")
        text = draw.say("largest_measure").format(g=spoken, w=word, x=words, t=described(draw, main, []))
    else:
        function, column, expression = "COUNT", main.columns[0], "COUNT(*)"
        text = draw.say("largest_count" if most else "smallest_count").format(g=spoken, t=described(draw, main, []))
    if not _unique_extreme(draw, tables, by, function=function, column=column, most=most):
        return None
    order = f"GROUP BY {by.name} ORDER BY {expression}{' DESC' if most else ''} LIMIT 1"
    return Question(text, f"SELECT {by.name} {source(tables, links)} {order}", tables)


def share_of_rows(draw: Draw) -> Question | None:
    """COUNT_IF(...) / COUNT(*)."""
    table = some_table(draw, "text")
    if table is None:
        return None
    found = conditions_on(draw, table, witness_row(draw), least=1, most=1)
    if not found or not sound(draw, (table,), found, 2):
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
    if not sound(draw, (table,), conditions, 3):
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
    counting = not numbers or rng.random() < 0.5
    if not sound(draw, tables, conditions, 1 if counting else 2):
        return None
    if counting:
        head, text = "COUNT(*)", draw.say("count").format(t=text)
    else:
        column = rng.choice(numbers)
        function, words = aggregate(draw, column)
        head, text = f"{function}({column.name})", draw.say("measure").format(x=words, t=text)
    return Question(text, f"SELECT {head} {source(tables, (first, second))}{where(conditions)}", tables)


def group_beyond_average(draw: Draw) -> Question | None:
    """HAVING AVG(...) > (SELECT AVG(...) ...): groups that beat the whole."""
    table = some_table(draw, *NUMBERS)
    if table is None or not table.of("text"):
        return None
    column, by = draw.rng.choice(table.of(*NUMBERS)), draw.rng.choice(table.of("text"))
    for rows in draw.rows((table,)):
        mean = _mean(rows, column)
        over = [value > mean for value in groups(rows, by, "AVG", column).values()]
        if all(over) or not any(over):
            return None
    text = draw.say("group_average").format(
        g=mention_many(draw.rng, draw.level, [by]),
        n=mention(draw.rng, draw.level, column),
        t=described(draw, table, []),
    )
    tail = f"GROUP BY {by.name} HAVING AVG({column.name}) > (SELECT AVG({column.name}) FROM {table.name})"
    return Question(text, f"SELECT {by.name} FROM {table.name} {tail}", (table,))
