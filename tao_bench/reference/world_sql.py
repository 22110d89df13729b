"""Questions and SQL of the pretraining world: random schemas, many wordings, four dialects.

One function a query shape; `SHAPES` reads as the list of what the model learns. Equivalent
spellings (USING, ON with aliases, full names, subquery or join) are drawn at random, as
people write them, so the model's probability is spread over several right answers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tao_bench.reference.world_groups import group
from tao_bench.reference.world_query import (
    AGGREGATES,
    ASK,
    COUNT,
    LIST,
    Exchange,
    Query,
    aggregate_words,
    conditions_on,
    noun_phrase,
    plan_text,
    plan_where,
    scope_of,
    spell,
)
from tao_bench.reference.world_schema import (
    Column,
    Schema,
    Table,
    joinable,
    random_condition,
    random_schema,
)


def count(rng: Random, schema: Schema) -> Exchange | None:
    """How many rows, one table or a join."""
    scope = scope_of(rng, schema)
    if scope is None:
        return None
    tables, key, where, phrase = scope
    sql = spell(rng, schema, Query(lambda ref: "COUNT(*)", tables, key, where))
    return Exchange(
        rng.choice(COUNT).format(t=phrase),
        sql,
        plan_text("tables " + ", ".join(t.name for t in tables), key and f"key {key}", plan_where(where), "count rows"),
    )


def aggregate(rng: Random, schema: Schema) -> Exchange | None:
    """SUM, AVG, MAX or MIN of a measure."""
    scope = scope_of(rng, schema)
    if scope is None or not scope[0][0].of("measure"):
        return None
    tables, key, where, phrase = scope
    column = rng.choice(tables[0].of("measure"))
    name, words = aggregate_words(rng, column)
    sql = spell(rng, schema, Query(lambda ref: f"{name}({ref(tables[0], column)})", tables, key, where))
    return Exchange(
        rng.choice(ASK).format(x=words, t=phrase),
        sql,
        plan_text(
            "tables " + ", ".join(t.name for t in tables),
            key and f"key {key}",
            plan_where(where),
            f"{name} of {column.name}",
        ),
    )


def listing(rng: Random, schema: Schema) -> Exchange | None:
    """One or two columns of the rows that pass, sometimes distinct."""
    scope = scope_of(rng, schema)
    if scope is None or not scope[2]:
        return None
    tables, key, where, phrase = scope
    free = [
        c
        for c in tables[0].columns
        if c.kind in ("text", "measure", "date") and c.name not in {w.column.name for _, w in where}
    ]
    if not free:
        return None
    chosen = rng.sample(free, min(len(free), rng.choice((1, 1, 1, 2))))
    distinct = rng.random() < 0.2
    words = " and ".join(c.spoken for c in chosen)
    if distinct:
        words = rng.choice(("different {w}", "distinct {w}", "unique {w}")).format(w=words)
    head = "DISTINCT " if distinct else ""
    sql = spell(rng, schema, Query(lambda ref: head + ", ".join(ref(tables[0], c) for c in chosen), tables, key, where))
    return Exchange(
        rng.choice(LIST).format(c=words, t=phrase),
        sql,
        plan_text(
            "tables " + ", ".join(t.name for t in tables),
            key and f"key {key}",
            plan_where(where),
            f"return {head}{', '.join(c.name for c in chosen)}",
        ),
    )


def count_distinct(rng: Random, schema: Schema) -> Exchange | None:
    """How many different values."""
    table = rng.choice(schema.tables)
    column = rng.choice([c for c in table.columns if c.kind != "key"])
    conditions = tuple((table, c) for c in conditions_on(rng, schema, table)[:1] if c.column is not column)
    phrase = noun_phrase(rng, table, tuple(c for _, c in conditions))
    ask = rng.choice(
        (
            "how many different {c} are there among {t}",
            "number of distinct {c} of {t}",
            "how many unique {c} do {t} have",
            "count the different {c} of {t}",
            "how many distinct {c} appear in {t}",
        )
    )
    sql = spell(rng, schema, Query(lambda ref: f"COUNT(DISTINCT {ref(table, column)})", (table,), "", conditions))
    return Exchange(
        ask.format(c=column.spoken, t=phrase),
        sql,
        plan_text(f"tables {table.name}", plan_where(conditions), f"count distinct {column.name}"),
    )


def top(rng: Random, schema: Schema) -> Exchange | None:
    """The first k rows by a measure or date; for one row sometimes through a subquery."""
    table = rng.choice(schema.tables)
    keys, shown = [c for c in table.columns if c.kind in ("measure", "date")], table.of("text")
    if not keys or not shown:
        return None
    key, column = rng.choice(keys), rng.choice(shown)
    conditions = tuple((table, c) for c in conditions_on(rng, schema, table)[:1] if c.column not in (key, column))
    phrase = noun_phrase(rng, table, tuple(c for _, c in conditions))
    k, most = rng.choice((1, 1, 2, 3, 4, 5, 7, 10)), rng.random() < 0.65
    if key.kind == "date":
        word = rng.choice(("latest", "most recent", "newest")) if most else rng.choice(("earliest", "oldest", "first"))
    else:
        word = rng.choice(("highest", "largest", "greatest", "biggest")) if most else rng.choice(("lowest", "smallest"))
    if k == 1:
        ask = rng.choice(
            (
                "what is the {c} of the {o} with the {w} {m}",
                "which {o} has the {w} {m}, give its {c}",
                "{c} of the {o} that has the {w} {m}",
                "give the {c} of the {o} with the {w} {m}",
            )
        )
        phrase = noun_phrase(rng, table, tuple(c for _, c in conditions), plural=False)
    else:
        ask = rng.choice(
            (
                "list the {c} of the {k} {o} with the {w} {m}",
                "what are the {k} {o} with the {w} {m} by {c}",
                "{c} of the top {k} {o} by {w} {m}",
                "show the {c} for the {k} {o} with {w} {m}",
            )
        )
    question = ask.format(c=column.spoken, o=phrase, w=word, m=key.spoken, k=k)
    if k == 1 and not conditions and rng.random() < 0.35:
        extreme = f"SELECT {'MAX' if most else 'MIN'}({key.name}) FROM {table.name}"
        sql = f"SELECT {column.name} FROM {table.name} WHERE {key.name} = ({extreme})"
    else:
        sql = spell(
            rng,
            schema,
            Query(
                lambda ref: column.name,
                (table,),
                "",
                conditions,
                lambda ref: f" ORDER BY {key.name}{' DESC' if most else ''}",
                k,
            ),
        )
    return Exchange(
        question,
        sql,
        plan_text(
            f"tables {table.name}",
            plan_where(conditions),
            f"order by {key.name} {'down' if most else 'up'}",
            f"first {k}",
            f"return {column.name}",
        ),
    )


def _shown(rng: Random, table: Table) -> Column | None:
    texts = table.of("text")
    return rng.choice(texts) if texts else None


def membership(rng: Random, schema: Schema) -> Exchange | None:
    """Rows that have, or lack, a related row: IN / NOT IN with a subquery, or EXISTS."""
    pairs = joinable(schema)
    if not pairs:
        return None
    child, parent, key = rng.choice(pairs)
    column = _shown(rng, parent)
    if column is None:
        return None
    lacking = rng.random() < 0.5
    conditions = conditions_on(rng, schema, child)[:1]
    inner = f"SELECT {key} FROM {child.name}"
    if conditions:
        inner += " WHERE " + conditions[0].sql.replace("{c}", conditions[0].column.name)
    phrase = noun_phrase(rng, child, conditions)
    word = (
        rng.choice(("without any {t}", "that have no {t}", "with no {t}", "that do not have {t}", "lacking {t}"))
        if lacking
        else (rng.choice(("that have {t}", "with at least one {t}", "having some {t}", "with any {t}")))
    )
    counting = rng.random() < 0.35
    if counting:
        question = rng.choice(COUNT).format(t=f"{parent.many} {word.format(t=phrase)}")
    else:
        question = rng.choice(LIST).format(c=column.spoken, t=f"{parent.many} {word.format(t=phrase)}")
    head = "COUNT(*)" if counting else column.name
    sql = f"SELECT {head} FROM {parent.name} WHERE {key} {'NOT ' if lacking else ''}IN ({inner})"
    return Exchange(
        question,
        sql,
        plan_text(
            f"tables {parent.name}, {child.name}",
            f"key {key}",
            f"{'absent' if lacking else 'present'} in {child.name}",
            plan_where(tuple((child, c) for c in conditions)),
            f"return {head}",
        ),
    )


def against_average(rng: Random, schema: Schema) -> Exchange | None:
    """Rows beyond the mean (or equal to the extreme) of a measure."""
    table = rng.choice(schema.tables)
    measures, column = table.of("measure"), _shown(rng, table)
    if not measures or column is None:
        return None
    measure = rng.choice(measures)
    above = rng.random() < 0.6
    word = (
        rng.choice(("above", "higher than", "greater than", "over", "larger than"))
        if above
        else (rng.choice(("below", "lower than", "less than", "under", "smaller than")))
    )
    what = rng.choice(("the average", "average", "the mean", "the average {m}", "the overall average"))
    tail = f"{rng.choice(('with', 'whose', 'with a'))} {measure.spoken} {word} {what.format(m=measure.spoken)}"
    tail = tail.replace(f"whose {measure.spoken} ", f"whose {measure.spoken} is ")
    conditions = tuple(
        c for c in conditions_on(rng, schema, table)[:1] if c.column is not measure and rng.random() < 0.5
    )
    counting = rng.random() < 0.4
    phrase = f"{noun_phrase(rng, table, conditions)} {tail}"
    question = rng.choice(COUNT).format(t=phrase) if counting else rng.choice(LIST).format(c=column.spoken, t=phrase)
    extra = "".join(f" AND {c.sql.replace('{c}', c.column.name)}" for c in conditions)
    head, op = "COUNT(*)" if counting else column.name, ">" if above else "<"
    mean = f"SELECT AVG({measure.name}) FROM {table.name}"
    sql = f"SELECT {head} FROM {table.name} WHERE {measure.name} {op} ({mean}){extra}"
    return Exchange(
        question,
        sql,
        plan_text(
            f"tables {table.name}",
            f"{measure.name} {op} its AVG",
            plan_where(tuple((table, c) for c in conditions)),
            f"return {head}",
        ),
    )


def spread(rng: Random, schema: Schema) -> Exchange | None:
    """Difference of the extremes, share of the rows that pass, or two aggregates at once."""
    table = rng.choice(schema.tables)
    measures = table.of("measure")
    if not measures:
        return None
    measure, roll = rng.choice(measures), rng.random()
    conditions = conditions_on(rng, schema, table)[:1]
    where = f" WHERE {conditions[0].sql.replace('{c}', conditions[0].column.name)}" if conditions else ""
    phrase = noun_phrase(rng, table, conditions)
    if roll < 0.4:
        ask = rng.choice(
            (
                "difference between the highest and lowest {m} of {t}",
                "what is the range of {m} of {t}",
                "gap between the largest and smallest {m} among {t}",
            )
        )
        sql = f"SELECT MAX({measure.name}) - MIN({measure.name}) FROM {table.name}{where}"
        return Exchange(
            ask.format(m=measure.spoken, t=phrase),
            sql,
            plan_text(f"tables {table.name}", f"MAX minus MIN of {measure.name}"),
        )
    if roll < 0.7:
        a, b = rng.sample(tuple(AGGREGATES), 2)
        ask = rng.choice(("what are the {a} and {b} of {t}", "show the {a} and the {b} for {t}", "{a} and {b} of {t}"))
        question = ask.format(
            a=rng.choice(AGGREGATES[a]).format(c=measure.spoken),
            b=rng.choice(AGGREGATES[b]).format(c=measure.spoken),
            t=phrase,
        )
        sql = f"SELECT {a}({measure.name}), {b}({measure.name}) FROM {table.name}{where}"
        return Exchange(question, sql, plan_text(f"tables {table.name}", f"{a} and {b} of {measure.name}"))
    if not conditions:
        return None
    test = conditions[0].sql.replace("{c}", conditions[0].column.name)
    after = conditions[0].english if not conditions[0].adjective else f"that are {conditions[0].english}"
    ask = rng.choice(("what share of {t} are those {c}", "fraction of {t} {c}", "what proportion of {t} are ones {c}"))
    spelled = {
        "databricks": f"COUNT_IF({test}) / COUNT(*)",
        "postgres": f"COUNT(*) FILTER (WHERE {test}) * 1.0 / COUNT(*)",
    }
    sql = f"SELECT {spelled.get(schema.dialect, f'AVG(CASE WHEN {test} THEN 1.0 ELSE 0 END)')} FROM {table.name}"
    if rng.random() < 0.3:
        sql = f"SELECT AVG(CASE WHEN {test} THEN 1.0 ELSE 0 END) FROM {table.name}"
    return Exchange(ask.format(t=table.many, c=after), sql, plan_text(f"tables {table.name}", f"share of {test}"))


def three_tables(rng: Random, schema: Schema) -> Exchange | None:
    """A filter two joins away."""
    pairs = joinable(schema)
    if len(pairs) < 2:
        return None
    (c1, p1, k1), (c2, p2, k2) = pairs[0], pairs[1]
    ends = [t for t in (c1, p1, c2, p2) if sum(t is u for u in (c1, p1, c2, p2)) == 1]
    if len(ends) != 2:
        return None
    rng.shuffle(ends)
    start, end = ends
    middle = next(t for t in (c1, p1) if t in (c2, p2))
    first, second = (k1, k2) if start in (c1, p1) else (k2, k1)
    condition = random_condition(rng, schema, end)
    if schema.join_style == "using":
        source = f"{start.name} JOIN {middle.name} USING ({first}) JOIN {end.name} USING ({second})"
        names = [c.name for t in (start, middle, end) for c in t.columns]
        mark = ("", "", "")
    else:
        source = (
            f"{start.name} a JOIN {middle.name} b ON a.{first} = b.{first} JOIN {end.name} c ON b.{second} = c.{second}"
        )
        names, mark = [], ("a.", "b.", "c.")
    measures = start.of("measure")
    if measures and rng.random() < 0.5:
        column = rng.choice(measures)
        name, words = aggregate_words(rng, column)
        head = f"{name}({start.name + '.' if names.count(column.name) > 1 else mark[0]}{column.name})"
        ask = rng.choice(ASK).format(x=words, t="{t}")
    else:
        head, ask = "COUNT(*)", rng.choice(COUNT)
    filtered = f"{end.name + '.' if names.count(condition.column.name) > 1 else mark[2]}{condition.column.name}"
    link = rng.choice(("of {o}", "linked to {o}", "that belong to {o}", "for {o}", "in {o}", "from {o}"))
    phrase = f"{start.many} {link.format(o=f'{end.many} {condition.english}')}"
    sql = f"SELECT {head} FROM {source} WHERE {condition.sql.replace('{c}', filtered)}"
    return Exchange(
        ask.format(t=phrase),
        sql,
        plan_text(
            f"tables {start.name}, {middle.name}, {end.name}",
            f"keys {first}, {second}",
            plan_where(((end, condition),)),
            f"return {head}",
        ),
    )


def everything(rng: Random, schema: Schema) -> Exchange | None:
    """All columns of a table by name: copying at its plainest."""
    table = rng.choice(schema.tables)
    conditions = conditions_on(rng, schema, table)[:1]
    ask = rng.choice(
        ("list all columns of {t}", "show everything about {t}", "give every column of {t}", "all details of {t}")
    )
    names = ", ".join(column.name for column in table.columns)
    sql = spell(rng, schema, Query(lambda ref: names, (table,), "", tuple((table, c) for c in conditions)))
    return Exchange(
        ask.format(t=noun_phrase(rng, table, conditions)), sql, plan_text(f"tables {table.name}", "all columns")
    )


SHAPES: tuple[tuple[Callable[[Random, Schema], Exchange | None], int], ...] = (
    (count, 17),
    (aggregate, 17),
    (listing, 15),
    (count_distinct, 4),
    (group, 20),
    (top, 10),
    (membership, 9),
    (against_average, 8),
    (spread, 7),
    (three_tables, 7),
    (everything, 6),
)


def exchanges(rng: Random, n: int) -> tuple[Schema, list[Exchange]]:
    """A random schema and up to `n` questions about it."""
    schema = random_schema(rng)
    shapes, weights = zip(*SHAPES, strict=True)
    found: list[Exchange] = []
    for _ in range(n * 2):
        exchange = rng.choices(shapes, weights)[0](rng, schema)
        if exchange is not None:
            found.append(exchange)
        if len(found) == n:
            break
    return schema, found
