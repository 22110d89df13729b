"""L4, what is missing: NULL keys, keys of rows that are gone, members without facts, NULL cells, zero denominators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .common import Ask, Question, compare, count_out, fold, literal, measure, rows_out
from .plan import Cond, Env, Expr, Group, Join, Out, Plan
from .schemas import Table

NONE = ("none", "unknown", "missing")


def _dimension(ask: Ask) -> Table:
    star = ask.star
    return ask.rng.choice([t for t in (star.plain, star.plain, star.site) if t])


def _named(value: Expr, name: str) -> Expr:
    """COALESCE(value, 'none')."""
    return Expr(
        f"COALESCE({value.sql}, {literal(name)})",
        lambda env: name if (v := value.of(env)) is None else v,
    )


def group_with_none(ask: Ask) -> Question:
    """Groups of a dimension, and one more for facts without a member."""
    star, table = ask.star, _dimension(ask)
    text, name = table.one("text"), ask.say(*NONE)
    key = _named(ask.col(table, text), name)
    out, words = measure(ask) if ask.rng.random() < 0.6 else (rows_out(), "number")
    more, also = ask.maybe()
    joins = ask.source(ask.lookup(table, outer=True, telling=True))
    plan = Plan(**joins, where=more, keys=(key,), outs=(out,), by_all=ask.rng.random() < 0.5)
    return Question(
        f"{words} of {star.fact.things}{also} by {text.spoken}, with "
        f"{star.fact.things} without a known {table.singular} as '{name}'",
        plan,
    )


def _facts_of(ask: Ask, table: Table, more: tuple[Cond, ...], telling: bool = True) -> Join:
    """The dimension's outer join of its facts."""
    fact, key = ask.star.fact, table.columns[0]
    return Join(fact.name, ask.a(fact), ask.col(table, key), key.name, more, True, telling)


def members_with_zero(ask: Ask) -> Question:
    """Every member with the number of its facts, 0 included; a filter on facts belongs in ON."""
    star, table = ask.star, _dimension(ask)
    more, also = ask.maybe()
    title, key = table.columns[1], ask.col(star.fact, star.fact.columns[0])
    # a condition moved from ON to WHERE loses the zeros; dropped, it counts too much: both show by the join
    where_joins = ask.source(_facts_of(ask, table, more), table=table)
    plan = Plan(**where_joins, keys=(ask.col(table, title),), outs=(count_out(key),))
    return Question(
        f"{title.spoken} of every {table.singular} with its number of {star.fact.things}{also}, 0 where there are none",
        plan,
    )


def members_with_zero_total(ask: Ask) -> Question:
    """Every value of a dimension with a total, 0 where nothing is there."""
    star, table = ask.star, _dimension(ask)
    amount = ask.rng.choice(star.fact.of("int", "real"))
    title, value = table.columns[1], ask.col(star.fact, amount)
    total = fold("SUM", value.of)
    out = Out(f"COALESCE(SUM({value.sql}), 0)", lambda g: total(g) or 0, (total,))
    cond, words = ask.filter_clean()
    source = ask.source(_facts_of(ask, table, (cond,)), table=table)
    plan = Plan(**source, keys=(ask.col(table, title),), outs=(out,))
    return Question(
        f"{title.spoken} of every {table.singular} with the total {amount.spoken} "
        f"of its {star.fact.things} {words}, 0 where there is nothing to add",
        plan,
    )


def unmatched(ask: Ask) -> Question:
    """Facts without a member: no key, or the key of a row that is gone."""
    star, table = ask.star, _dimension(ask)
    key = table.key
    alias = ask.a(star.fact)

    def known(env: Env) -> bool:
        row = env[alias] if alias in env else env[""]
        return row[key] is not None and row[key] in env["*"].by(table.name, key)

    def key_of(env: Env) -> Any:
        return (env[alias] if alias in env else env[""])[key]

    part = ask.rng.choice(("both", "both", "gone", "null"))
    more, also = ask.maybe()
    if ask.rng.random() < 0.4:
        out, words = measure(ask)
    else:
        out, words = rows_out(), "number"
    join = ask.lookup(table, outer=True)
    gone = Cond(f"{ask.a(table)}.{key} IS NULL", lambda env: not known(env), (lambda env: key_of(env) is None,))
    if part == "both":
        plan = Plan(**ask.source(join), where=(gone, *more), outs=(out,))
        return Question(
            f"{words} of {star.fact.things}{also} without a known {table.singular}: "
            f"no {key.replace('_', ' ')}, or one that is not in {table.name}",
            plan,
        )
    has_key = Cond(f"{alias}.{key} IS NOT NULL", lambda env: key_of(env) is not None)
    if part == "gone":
        sql = ask.say("exists", "join")
        if sql == "join":
            plan = Plan(**ask.source(join), where=(has_key, Cond(gone.sql, gone.of), *more), outs=(out,))
        else:
            b = ask.a(table)
            inner = f"NOT EXISTS (SELECT 1 FROM {table.name} {b} WHERE {b}.{key} = {alias}.{key})"
            plan = Plan(
                star.fact.name, alias, where=(has_key, Cond(inner, lambda env: not known(env)), *more), outs=(out,)
            )
        return Question(
            f"{words} of {star.fact.things}{also} whose {key.replace('_', ' ')} is given but not in {table.name}", plan
        )
    empty = Cond(f"{alias}.{key} IS NULL", lambda env: key_of(env) is None, (lambda env: not known(env),))
    plan = Plan(star.fact.name, alias, where=(empty, *more), outs=(out,))
    return Question(f"{words} of {star.fact.things}{also} whose {key.replace('_', ' ')} is empty", plan)


def never_used(ask: Ask) -> Question:
    """Members that no fact (of a filter) refers to: NOT EXISTS, LEFT ANTI JOIN, NOT IN without the NULLs."""
    star, table = ask.star, _dimension(ask)
    fact, key, title = star.fact, table.key, table.columns[1]
    t, f = ask.a(table), ask.a(fact)
    cond, words = ask.filter_clean()
    some = ask.rng.random() < 0.6

    def used(env: Env, test: Callable[[Env], bool | None]) -> bool:
        rows = env["*"].by(fact.name, key).get(env[t][key], ())
        return any(test({f: row}) is True for row in rows) if some else bool(rows)

    extra = f" AND {cond.sql}" if some else ""
    way = ask.say("exists", "anti", "in")
    inner = f"SELECT {f}.{key} FROM {fact.name} {f} WHERE {f}.{key} IS NOT NULL{extra}"
    sql = {
        "exists": f"NOT EXISTS (SELECT 1 FROM {fact.name} {f} WHERE {f}.{key} = {t}.{key}{extra})",
        "in": f"{t}.{key} NOT IN ({inner})",
        "anti": "",
    }[way]
    slips = tuple(_not(used, s) for s in cond.slips) if some else ()
    lacks = Cond(sql, _not(used, cond.of), slips)
    plan = Plan(table.name, t, where=(lacks,), cells=(ask.col(table, title),))
    other = ""
    if way == "anti":
        other = (
            f"SELECT {t}.{title.name} FROM {table.name} {t} LEFT ANTI "
            f"JOIN {fact.name} {f} ON {f}.{key} = {t}.{key}{extra}"
        )
    what = f"{fact.things} {words}" if some else fact.things
    return Question(
        ask.say(
            f"{title.spoken} of {table.things} that have no {what}",
            f"{table.things} without any {what}, by their {title.spoken}",
        ),
        plan,
        other,
    )


def _not(used: Callable[..., bool], test: Callable[[Env], bool | None]) -> Callable[[Env], bool | None]:
    return lambda env: not used(env, test)


def average_with_zero(ask: Ask) -> Question:
    """An average in which a missing value counts as 0, or does not count."""
    fact = ask.star.fact
    amount, text = fact.one("real"), fact.one("text")
    value = ask.col(fact, amount, bare=True)
    known = fold("AVG", value.of)

    def zeros(group: Group) -> Any:
        found = [value.of(e) or 0 for e in group]
        return sum(found) / len(found) if found else None

    as_zero = ask.rng.random() < 0.65
    out = (
        Out(f"AVG(COALESCE({amount.name}, 0))", zeros, (known,))
        if as_zero
        else Out(f"AVG({amount.name})", known, (zeros,))
    )
    how = "where a missing one counts as 0" if as_zero else "over those that have one"
    if ask.rng.random() < 0.5:
        whole = Cond(f"{text.name} IS NOT NULL", lambda env: env[""][text.name] is not None)
        plan = Plan(fact.name, where=(whole,), keys=(ask.col(fact, text, bare=True),), outs=(out,))
        return Question(
            f"average {amount.spoken} of {fact.things} by {text.spoken}, "
            f"{how}; leave out {fact.things} without {text.spoken}",
            plan,
        )
    cond, words = ask.number(fact, fact.one("int"), bare=True)
    plan = Plan(fact.name, where=(cond,), outs=(out,))
    return Question(f"average {amount.spoken} of {fact.things} {words}, {how}", plan)


def recorded(ask: Ask) -> Question:
    """All facts of a group beside those with a value: COUNT(*) and COUNT(column)."""
    star = ask.star
    fact, text = star.fact, star.plain.one("text")
    amount = ask.rng.choice([c for c in fact.columns if c.nullable and c.kind in ("real", "text")])
    column = ask.col(fact, amount)
    missing = ask.rng.random() < 0.5
    counted = count_out(column)
    if missing:
        sql = ask.say(
            f"COUNT_IF({column.sql} IS NULL)",
            f"COUNT(*) FILTER (WHERE {column.sql} IS NULL)",
            f"COUNT(*) - COUNT({column.sql})",
        )
        counted = Out(sql, lambda g: sum(column.of(e) is None for e in g), (counted.of,))
    plan = Plan(**ask.source(ask.to_plain(telling=True)), keys=(ask.col(star.plain, text),), outs=(rows_out(), counted))
    what = f"how many of them have no {amount.spoken}" if missing else f"how many of them have a {amount.spoken}"
    return Question(f"by {text.spoken}, number of {fact.things} and {what}; {ask.without(star.plain)}", plan)


def not_value(ask: Ask) -> Question:
    """Facts that are not something, those without a value included or not."""
    fact = ask.star.fact
    text = fact.one("text")
    value, column = ask.value(text), ask.col(fact, text, bare=True)
    included = ask.rng.random() < 0.7

    def differs(with_null: bool) -> Callable[[Env], bool | None]:
        return lambda env: (with_null or None) if (v := column.of(env)) is None else v != value

    lit = literal(value)
    sql = (
        ask.say(
            f"({text.name} <> {lit} OR {text.name} IS NULL)",
            f"{text.name} IS DISTINCT FROM {lit}",
            f"NOT {text.name} <=> {lit}",
        )
        if included
        else f"{text.name} <> {lit}"
    )
    where = (Cond(sql, differs(included), (differs(not included),)),)
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(*where, *more), outs=(out,))
    rest = "those without one included" if included else "those without one left out"
    return Question(f"{words} of {fact.things}{also} whose {text.spoken} is not {value}, {rest}", plan)


def null_group(ask: Ask) -> Question:
    """Groups of a nullable column, NULL under a name."""
    fact = ask.star.fact
    text, name = fact.one("text"), ask.say(*NONE)
    column = ask.col(fact, text, bare=True)
    key = _named(column, name)
    key = Expr(key.sql, key.of, (column.of,))
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.6 else (rows_out(), "number")
    cond, also = ask.number(fact, fact.one("int"), bare=True)
    plan = Plan(fact.name, where=(cond,), keys=(key,), outs=(out,), by_all=ask.rng.random() < 0.4)
    return Question(f"{words} of {fact.things} {also} by {text.spoken}, with '{name}' for those without one", plan)


def safe_ratio(ask: Ask) -> Question:
    """A ratio whose denominator may be 0: TRY_DIVIDE or NULLIF."""
    star = ask.star
    fact, text = star.fact, star.plain.one("text")
    top, bottom = ask.col(fact, fact.one("real")), ask.col(fact, fact.one("int"))

    def ratio(env: Env) -> Any:
        a, b = top.of(env), bottom.of(env)
        return None if a is None or not b else a / b

    def as_zero(env: Env) -> Any:
        return ratio(env) or 0.0

    each = ask.rng.random() < 0.5
    names = f"{fact.one('real').spoken} per {fact.one('int').spoken}"
    joins = ask.source(ask.to_plain(telling=True))
    key = (ask.col(star.plain, text),)

    def of_sums(group: Group) -> Any:
        a, b = fold("SUM", top.of)(group), fold("SUM", bottom.of)(group)
        return None if a is None or not b else a / b

    means = fold("AVG", ratio)
    if each:
        sql = ask.say(f"AVG(TRY_DIVIDE({top.sql}, {bottom.sql}))", f"AVG({top.sql} / NULLIF({bottom.sql}, 0))")
        out = Out(sql, means, (of_sums, fold("AVG", as_zero)))
        words = (
            f"by {text.spoken}, average of each {fact.singular}'s "
            f"{names}, leaving out those where it cannot be computed"
        )
    else:
        sql = ask.say(
            f"TRY_DIVIDE(SUM({top.sql}), SUM({bottom.sql}))", f"SUM({top.sql}) / NULLIF(SUM({bottom.sql}), 0)"
        )
        out = Out(sql, of_sums, (means,))
        words = (
            f"by {text.spoken}, total {names.replace(' per ', ' divided by total ')} "
            f"of {fact.things}, NULL where it cannot be divided"
        )
    plan = Plan(**joins, keys=key, outs=(out,))
    return Question(f"{words}; {ask.without(star.plain)}", plan)


def number_unknown(ask: Ask) -> Question:
    """Members by a nullable number: at most so much or not known."""
    star = ask.star
    table = star.plain
    column = next(c for c in table.columns if c.kind in ("int", "real"))
    bound = ask.bound(table, column)
    value = ask.col(table, column, bare=True)
    test = compare(value, "<=", bound)
    cond = Cond(
        f"({test.sql} OR {column.name} IS NULL)",
        lambda env: True if value.of(env) is None else test.of(env),
        (test.of, *(_or_null(value, s) for s in test.slips)),
    )
    title = ask.col(table, table.columns[1], bare=True)
    plan = Plan(table.name, where=(cond,), cells=(title,))
    shown = test.sql.rsplit(" ", 1)[1]
    return Question(
        f"{table.columns[1].spoken} of {table.things} whose {column.spoken} is at most {shown} or not known", plan
    )


def _or_null(value: Expr, test: Callable[[Env], bool | None]) -> Callable[[Env], bool | None]:
    return lambda env: True if value.of(env) is None else test(env)


SHAPES = {
    group_with_none: 18,
    members_with_zero: 13,
    members_with_zero_total: 7,
    unmatched: 15,
    never_used: 13,
    average_with_zero: 9,
    recorded: 8,
    not_value: 10,
    null_group: 7,
    safe_ratio: 7,
    number_unknown: 5,
}
