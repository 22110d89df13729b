"""L1, stars: up to four joins, a bridge whose rows would count a fact twice, groups, shares, the best of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .common import Ask, Question, aggregate, compare, count_out, equal, fold, literal, measure, number, rows_out
from .plan import Cond, Env, Expr, Group, Join, Out, Plan, Window
from .schemas import Column, Table

Place = tuple[Table, Column, tuple[Join, ...]]


def _far(ask: Ask) -> Place:
    """A text column away from the plain dimension (region or site), with the joins that lead there from it."""
    star = ask.star
    places: list[Place] = []
    if star.region:
        places.append((star.region, star.region.one("text"), (ask.lookup_region(),)))
    if star.site:
        places.append((star.site, star.site.one("text"), (ask.lookup(star.site),)))
    if star.tag and star.bridge:
        places.append((star.tag, star.tag.one("text"), _over_bridge(ask)))
    return ask.rng.choice(places)


def _over_bridge(ask: Ask) -> tuple[Join, Join]:
    star = ask.star
    assert star.bridge and star.tag
    key, tag_key = star.bridge.columns
    first = Join(star.bridge.name, ask.a(star.bridge), ask.col(star.fact, star.fact.columns[0]), key.name)
    second = Join(star.tag.name, ask.a(star.tag), ask.col(star.bridge, tag_key), star.tag.key)
    return first, second


def far_measure(ask: Ask) -> Question:
    """An aggregate of facts filtered in two dimensions."""
    star = ask.star
    table, column, joins = _far(ask)
    text = star.plain.one("text")
    value, far_value = ask.value(text), ask.value(column)
    out, words = measure(ask)
    more, also = ask.maybe()
    where = (equal(ask.col(star.plain, text), value), equal(ask.col(table, column), far_value), *more)
    plan = Plan(**ask.source(ask.to_plain(), *joins), where=where, outs=(out,))
    way = ask.say(
        f"what is the {words} of {star.fact.things} with {text.spoken} {value} and {column.spoken} {far_value}",
        f"{words} of {star.fact.things} whose {text.spoken} is {value} and whose {column.spoken} is {far_value}",
    )
    return Question(way + (f", only those{also}" if also else ""), plan)


def far_group(ask: Ask) -> Question:
    """An aggregate by a column of one dimension, filtered in another."""
    star = ask.star
    table, column, joins = _far(ask)
    text = star.plain.one("text")
    out, words = measure(ask, names=("SUM", "SUM", "AVG", "MAX", "MIN"))
    left_out = f"; {ask.without(table)}"
    if table is star.site:
        joins = (ask.lookup(star.site, telling=True),)
    if table is star.tag:
        joins = (Join(*_fields(joins[0]), telling=True), joins[1])
        left_out = f"; count a {star.fact.singular} under each {table.singular} it has, leave out untagged ones"
    value = ask.value(text)
    plan = Plan(
        **ask.source(ask.to_plain(), *joins),
        where=(equal(ask.col(star.plain, text), value),),
        keys=(ask.col(table, column),),
        outs=(out,),
        by_all=ask.rng.random() < 0.4,
    )
    way = ask.say(
        f"{words} of {star.fact.things} by {column.spoken}",
        f"for each {column.spoken}, the {words} of {star.fact.things}",
    )
    return Question(
        f"{way}, only those with {text.spoken} {value}" + (left_out if table is not star.region else ""), plan
    )


def _fields(join: Join) -> tuple[Any, ...]:
    return (join.table, join.alias, join.left, join.column, join.more, join.outer)


def two_keys(ask: Ask) -> Question | None:
    """A count and a total by columns of two dimensions."""
    star = ask.star
    table, column, joins = _far(ask)
    if table is star.tag:
        return None
    text = star.plain.one("text")
    amount = ask.rng.choice(star.fact.of("int", "real"))
    more, also = ask.maybe()
    named = (star.plain,) if table is star.region else (star.plain, table)
    plan = Plan(
        **ask.source(ask.to_plain(telling=True), *joins),
        where=more,
        keys=(ask.col(star.plain, text), ask.col(table, column)),
        outs=(rows_out(), aggregate("SUM", ask.col(star.fact, amount))),
        by_all=ask.rng.random() < 0.6,
    )
    way = ask.say(
        f"number of {star.fact.things}{also} and their total {amount.spoken} by {text.spoken} and {column.spoken}",
        f"for each {text.spoken} and {column.spoken}, how many {star.fact.things}{also} and what total {amount.spoken}",
    )
    return Question(f"{way}; {ask.without(*named)}", plan)


def _has_tag(ask: Ask, values: tuple[str, ...], *, double: bool = False) -> tuple[str, Any]:
    """(subquery, test) of facts that carry one of some tags."""
    star = ask.star
    assert star.bridge and star.tag
    name, key = star.tag.one("text").name, star.fact.key
    b, t = ask.a(star.bridge), ask.a(star.tag)
    test = f"= {literal(values[0])}" if len(values) == 1 else f"IN ({', '.join(map(literal, values))})"
    sql = (
        f"SELECT {b}.{key} FROM {star.bridge.name} {b} JOIN {star.tag.name} {t} "
        f"ON {b}.{star.tag.key} = {t}.{star.tag.key} WHERE {t}.{name} {test}"
    )

    def hits(env: Env, alias: str = "") -> int:
        rows = env["*"]
        pairs = rows.by(star.bridge.name, key).get(env[alias][key], ())  # type: ignore[union-attr]
        tags = rows.by(star.tag.name, star.tag.key)  # type: ignore[union-attr]
        return sum(tags[pair[star.tag.key]][0][name] in values for pair in pairs)  # type: ignore[union-attr]

    return sql, hits


def tagged_once(ask: Ask) -> Question | None:
    """A total of facts that have one of two tags: a join would count those that have both twice."""
    star = ask.star
    if star.tag is None:
        return None
    values = tuple(ask.rng.sample(star.tag.one("text").texts, 2))
    amount = ask.rng.choice(star.fact.of("int", "real"))
    sql, hits = _has_tag(ask, values)
    column = ask.col(star.fact, amount, bare=True)

    def once(env: Env) -> Any:
        return column.of(env)

    def of(group: Group) -> Any:
        return fold("SUM", once)([e for e in group if hits(e)])

    def twice(group: Group) -> Any:
        return fold("SUM", once)([e for e in group for _ in range(hits(e))])

    def one(value: str) -> Callable[[Group], Any]:
        _, only = _has_tag(ask, (value,))
        return lambda group: fold("SUM", once)([e for e in group if only(e)])

    more, also = ask.maybe(bare=True)
    out = Out(f"SUM({amount.name})", of, (twice, one(values[0]), one(values[1])))
    plan = Plan(star.fact.name, where=more, outs=(out,))
    where = " AND ".join([f"{star.fact.key} IN ({sql})", *(c.sql for c in more)])
    tag = star.tag.singular
    way = ask.say(
        f"total {amount.spoken} of {star.fact.things}{also} that have the {tag} "
        f"{values[0]} or {values[1]}, each {star.fact.singular} counted once",
        f"what is the total {amount.spoken} over {star.fact.things}{also} "
        f"with {tag} {values[0]} or {values[1]} (one with both counts once)",
    )
    return Question(way, plan, f"SELECT SUM({amount.name}) FROM {star.fact.name} WHERE {where}")


def tagged_both(ask: Ask) -> Question | None:
    """How many facts have two tags, or have one and lack the other."""
    star = ask.star
    if star.tag is None:
        return None
    first, second = ask.rng.sample(star.tag.one("text").texts, 2)
    sql, has = _has_tag(ask, (first,))
    other_sql, has_other = _has_tag(ask, (second,))
    key, both = star.fact.key, ask.rng.random() < 0.5
    conds = (
        Cond(f"{key} IN ({sql})", lambda env: bool(has(env))),
        Cond(f"{key} {'' if both else 'NOT '}IN ({other_sql})", lambda env: bool(has_other(env)) is both),
    )
    plan = Plan(star.fact.name, where=conds, outs=(rows_out(),))
    tag, things = star.tag.singular, star.fact.things
    how = f"both {tag} {first} and {tag} {second}" if both else f"{tag} {first} but not {tag} {second}"
    return Question(ask.say(f"how many {things} have {how}", f"number of {things} with {how}"), plan)


def by_tag(ask: Ask) -> Question | None:
    """A count of facts by tag, in the order of the counts, cut where no tie is cut."""
    star = ask.star
    if star.tag is None:
        return None
    name = ask.col(star.tag, star.tag.one("text"))
    limit = ask.rng.choice((1, 2, 3))
    more, also = ask.maybe()
    plan = Plan(
        **ask.source(*_over_bridge(ask)), where=more, keys=(name,), outs=(rows_out(),), order=((1, True),), limit=limit
    )
    top = f"the {limit} {star.tag.things}" if limit > 1 else f"the {star.tag.singular}"
    return Question(f"{top} on most {star.fact.things}{also}, with the number of {star.fact.things}", plan)


def best_of_each(ask: Ask) -> Question:
    """The facts with the highest measure of each group, ties kept: QUALIFY RANK."""
    star = ask.star
    text, amount = star.plain.one("text"), star.fact.one("int")
    group, value = ask.col(star.plain, text), ask.col(star.fact, amount)
    key = ask.col(star.fact, star.fact.columns[0])
    down = ask.rng.random() < 0.7

    def keep(by_group: bool, high: bool) -> Callable[[Group], Group]:
        def kept(found: Group) -> Group:
            best: dict[Any, Any] = {}
            for env in found:
                place = group.of(env) if by_group else 0
                best[place] = (max if high else min)(best.get(place, value.of(env)), value.of(env))
            return [e for e in found if value.of(e) == best[group.of(e) if by_group else 0]]

        return kept

    sql = f"RANK() OVER (PARTITION BY {group.sql} ORDER BY {value.sql}{' DESC' if down else ''}) = 1"
    window = Window(sql, keep(True, down), (keep(False, down), keep(True, not down)))
    more, also = ask.maybe()
    joins = ask.source(ask.to_plain(telling=True))
    plan = Plan(**joins, where=more, cells=(group, key, value), window=window)
    most = "highest" if down else "lowest"
    return Question(
        f"for each {text.spoken}, the {key_words(star.fact)} and {amount.spoken} "
        f"of the {star.fact.singular}{also} with the {most} {amount.spoken}, "
        f"all of them where several tie; {ask.without(star.plain)}",
        plan,
    )


def key_words(table: Table) -> str:
    """How the key is said: 'order id'."""
    return table.key.replace("_", " ")


def leader(ask: Ask) -> Question | None:
    """The member with the highest number by group: MAX_BY."""
    star = ask.star
    name, amount, text = (
        star.plain.columns[1],
        star.plain.one("int") if star.plain.of("int") else star.plain.one("real"),
        star.plain.one("text"),
    )
    region = star.region
    joins = (ask.lookup_region(),) if region and ask.rng.random() < 0.7 else ()
    group = ask.col(region, region.one("text")) if joins and region else ask.col(star.plain, text, bare=True)
    column = region.one("text") if joins and region else text
    value, title = ask.col(star.plain, amount, bare=not joins), ask.col(star.plain, name, bare=not joins)
    high = ask.rng.random() < 0.7

    def pick(most: bool) -> Callable[[Group], Any]:
        def of(found: Group) -> Any:
            known = [e for e in found if value.of(e) is not None]
            if not known:
                return None
            best = (max if most else min)(value.of(e) for e in known)
            names = sorted({title.of(e) for e in known if value.of(e) == best})
            return names[0] if len(names) == 1 else TIED

        return of

    call = "MAX_BY" if high else "MIN_BY"
    out = Out(f"{call}({title.sql}, {value.sql})", pick(high), (pick(not high),))
    plan = Plan(star.plain.name, ask.a(star.plain) if joins else "", joins, keys=(group,), outs=(out,))
    most = "highest" if high else "lowest"
    return Question(
        f"for each {column.spoken}, the {name.spoken} of the {star.plain.singular} with the {most} {amount.spoken}",
        plan,
    )


TIED = "several tie"
"""Stands for a MAX_BY that more than one row could answer; such a question is not asked."""


def share(ask: Ask) -> Question:
    """The share of facts with a property by group: FILTER or COUNT_IF, and TRY_DIVIDE."""
    star = ask.star
    text = star.plain.one("text")
    cond, words = ask.filter_clean()
    part = f"COUNT(*) FILTER (WHERE {cond.sql})" if ask.rng.random() < 0.5 else f"COUNT_IF({cond.sql})"

    def ratio(test: Callable[[Env], bool | None]) -> Callable[[Group], Any]:
        return lambda group: sum(test(env) is True for env in group) / len(group)

    slips = [ratio(s) for s in cond.slips]
    out = Out(f"TRY_DIVIDE({part}, COUNT(*))", ratio(cond.of), tuple(slips))
    plan = Plan(**ask.source(ask.to_plain(telling=True)), keys=(ask.col(star.plain, text),), outs=(out,))
    return Question(
        f"by {text.spoken}, the share (0 to 1) of all {star.fact.things} "
        f"that are {star.fact.things} {words}; {ask.without(star.plain)}",
        plan,
    )


def busy_members(ask: Ask) -> Question:
    """Members with more than so many facts, or more than so much: HAVING."""
    star = ask.star
    name = star.plain.columns[1]
    more, also = ask.maybe()
    counts = sorted({len(rows) for rows in ask.hint.by(star.fact.name, star.plain.key).values()})
    least = ask.rng.choice(counts[len(counts) // 3 : -1] or counts)
    test: Expr = Expr("COUNT(*)", lambda env: env["n"])
    cond = compare(test, ">", least)

    def lift(f: Callable[[Env], bool | None]) -> Callable[[Group], Any]:
        return lambda group: f({"n": len(group)})

    having = Out(cond.sql, lift(cond.of), tuple(lift(s) for s in cond.slips))
    outs = (rows_out(),)
    plan = Plan(**ask.source(ask.to_plain()), where=more, keys=(ask.col(star.plain, name),), outs=outs, having=having)
    return Question(
        f"{name.spoken} and number of {star.fact.things} of every "
        f"{star.plain.singular} with more than {number(least)} {star.fact.things}{also}",
        plan,
    )


def distinct_members(ask: Ask) -> Question:
    """How many different members the facts of a filter have."""
    star = ask.star
    table, column, joins = _far(ask)
    value = ask.value(column)
    more, also = ask.maybe()
    key = ask.col(star.fact, star.plain.columns[0])
    where = (equal(ask.col(table, column), value), *more)
    joins = (ask.to_plain(), *joins) if table is star.region else joins
    plan = Plan(**ask.source(*joins), where=where, outs=(count_out(key, distinct=True),))
    way = (
        f"how many different {star.plain.key.replace('_', ' ')} values "
        f"occur in {star.fact.things}{also} with {column.spoken} {value}"
    )
    return Question(way, plan)


def tag_list(ask: Ask) -> Question | None:
    """The tags of each fact of a filter as one text: COLLECT_SET, SORT_ARRAY, ARRAY_JOIN."""
    star = ask.star
    if star.tag is None:
        return None
    name, key = ask.col(star.tag, star.tag.one("text")), ask.col(star.fact, star.fact.columns[0])
    cond, words = ask.filter_clean()
    sql = f"ARRAY_JOIN(SORT_ARRAY(COLLECT_SET({name.sql})), ', ')"
    out = Out(sql, lambda g: ", ".join(sorted({name.of(e) for e in g})))
    plan = Plan(**ask.source(*_over_bridge(ask)), where=(cond,), keys=(key,), outs=(out,))
    text = (
        f"for each of the {star.fact.things} {words}, its {key_words(star.fact)} and its {star.tag.things} in "
        f"alphabetical order as one text, with a comma and a blank between; leave out those without any"
    )
    return Question(text, plan)


def middle(ask: Ask) -> Question:
    """The median of a measure by group."""
    star = ask.star
    text, amount = star.plain.one("text"), ask.rng.choice(star.fact.of("int", "real"))
    value = ask.col(star.fact, amount)

    def median(group: Group) -> Any:
        found = sorted(v for e in group if (v := value.of(e)) is not None)
        half = len(found) // 2
        return None if not found else (found[half] + found[-half - 1]) / 2

    sql = ask.say(f"MEDIAN({value.sql})", f"PERCENTILE({value.sql}, 0.5)")
    out = Out(sql, median, (fold("AVG", value.of),))
    more, also = ask.maybe()
    plan = Plan(**ask.source(ask.to_plain(telling=True)), where=more, keys=(ask.col(star.plain, text),), outs=(out,))
    way = f"median {amount.spoken} (the mean of the middle two where the number is even) of {star.fact.things}{also}"
    return Question(f"{way} by {text.spoken}; {ask.without(star.plain)}", plan)


SHAPES = {
    far_measure: 14,
    far_group: 20,
    two_keys: 14,
    tagged_once: 14,
    tagged_both: 8,
    by_tag: 7,
    best_of_each: 12,
    leader: 8,
    share: 10,
    busy_members: 8,
    distinct_members: 5,
    tag_list: 6,
    middle: 6,
}
