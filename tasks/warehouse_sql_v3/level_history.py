"""L2, slowly changing dimensions of type 2: the version in force when something happened, the current one, changes."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

from .common import Ask, Question, aggregate, compare, count_out, equal, literal, measure, rows_out
from .instances import FIRST_FACT, FOREVER, LAST_FACT
from .plan import Cond, Env, Expr, Group, Join, Out, Plan, Window


def _covers(ask: Ask, alias: str, day_sql: str, day: Callable[[Env], Any], ends: str = "both") -> Cond:
    """That a version was in force on a day; slips move either end, or the `first` or `last` one alone."""
    star = ask.star
    start, end = star.history.one("from").name, star.history.one("to").name
    dot = f"{alias}." if alias else ""
    low, high = f"{dot}{start}", f"{dot}{end}"
    spare = f"COALESCE({high}, DATE '9999-12-31')"
    open_end, inclusive = star.open_end, star.inclusive
    if inclusive:
        sql = f"{day_sql} BETWEEN {low} AND {high if open_end else spare}"
        if not open_end and ask.rng.random() < 0.5:
            sql = f"{day_sql} >= {low} AND ({high} IS NULL OR {day_sql} <= {high})"
    elif open_end:
        sql = f"{day_sql} >= {low} AND {day_sql} < {high}"
    else:
        sql = f"{day_sql} >= {low} AND ({high} IS NULL OR {day_sql} < {high})"
        if ask.rng.random() < 0.4:
            sql = f"{day_sql} >= {low} AND {day_sql} < {spare}"

    def test(late: bool, early: bool, to_end: bool = True) -> Callable[[Env], bool | None]:
        def of(env: Env) -> bool | None:
            row, when = env[alias], day(env)
            if row is None or when is None:
                return None
            last = row[end] if row[end] is not None else (FOREVER if to_end else datetime.date.min)
            return (row[start] < when or (early and row[start] == when)) and (when < last or (late and when == last))

        return of

    slips = [] if ends == "last" else [test(inclusive, False)]
    slips += [] if ends == "first" else [test(not inclusive, True)]
    if not open_end and ends == "both":
        slips.append(test(inclusive, True, to_end=False))  # forgets that NULL means still in force
    return Cond(sql, test(inclusive, True), tuple(slips))


def _as_of(ask: Ask, telling: bool = False) -> Join:
    """The fact's join of the version in force on its date."""
    star = ask.star
    day = ask.col(star.fact, star.fact.one("date"))
    cond = _covers(ask, ask.a(star.history), day.sql, day.of)
    key = star.history.columns[0]
    return Join(star.history.name, ask.a(star.history), ask.col(star.fact, key), key.name, (cond,), False, telling)


def _is_current(ask: Ask, alias: str) -> Cond:
    name = ask.star.history.one("current").name
    sql = f"{alias}.{name}" if alias else name
    return Cond(sql + (" = TRUE" if ask.rng.random() < 0.3 else ""), lambda env: env[alias] and env[alias][name])


def _now(ask: Ask, telling: bool = False) -> Join:
    """The fact's join of the current version."""
    star = ask.star
    key, alias = star.history.columns[0], ask.a(star.history)
    more = (_is_current(ask, alias),)
    return Join(star.history.name, alias, ask.col(star.fact, key), key.name, more, False, telling)


def _then(ask: Ask) -> str:
    """'as it was on order_date'."""
    day = ask.star.fact.one("date").spoken
    return ask.say(f"as it was on {day}", f"in force on {day}", f"valid on {day}")


def asof_group(ask: Ask) -> Question:
    """An aggregate by what the member was at the time."""
    star = ask.star
    state = star.history.one("text")
    out, words = measure(ask)
    more, also = ask.maybe()
    plan = Plan(
        **ask.source(_as_of(ask, telling=True)),
        where=more,
        keys=(ask.col(star.history, state),),
        outs=(out,),
        by_all=ask.rng.random() < 0.3,
    )
    return Question(
        f"{words} of {star.fact.things}{also} by {state.spoken} {_then(ask)}; {ask.without(star.history)}", plan
    )


def asof_measure(ask: Ask) -> Question:
    """An aggregate of facts whose member was something at the time."""
    star = ask.star
    state = star.history.one("text")
    value = ask.value(state)
    out, words = measure(ask)
    if ask.rng.random() < 0.3:
        out, words = rows_out(), "number"
    more, also = ask.maybe()
    where = (equal(ask.col(star.history, state), value), *more)
    plan = Plan(**ask.source(_as_of(ask)), where=where, outs=(out,))
    way = f"{words} of {star.fact.things}{also} whose {star.history.singular} had {state.spoken} {value} "
    return Question(
        way + ask.say(f"on {star.fact.one('date').spoken}", f"at the time of {star.fact.one('date').spoken}"), plan
    )


def asof_list(ask: Ask) -> Question:
    """Facts beside the number that was in force: a price or a limit at the time."""
    star = ask.star
    history = star.history
    amount = next(c for c in history.columns if c.kind in ("int", "real"))
    day = star.fact.one("date")
    cond, words = ask.filter_clean()
    first = ask.day()
    within = compare(ask.col(star.fact, day), ">=", first)
    key, value = ask.col(star.fact, star.fact.columns[0]), ask.col(history, amount)
    plan = Plan(**ask.source(_as_of(ask)), where=(cond, within), cells=(key, value))
    return Question(
        f"{key_words(star.fact.key)} of {star.fact.things} {words} and with {day.spoken} on or after "
        f"{first}, each with the {amount.spoken} of its {history.singular} {_then(ask)}; {ask.without(history)}",
        plan,
    )


def key_words(key: str) -> str:
    """How a key is said."""
    return key.replace("_", " ")


def current_group(ask: Ask) -> Question:
    """An aggregate by what the member is now."""
    star = ask.star
    state = star.history.one("text")
    out, words = measure(ask)
    more, also = ask.maybe()
    plan = Plan(**ask.source(_now(ask, telling=True)), where=more, keys=(ask.col(star.history, state),), outs=(out,))
    return Question(
        f"{words} of {star.fact.things}{also} by the {star.history.singular}'s "
        f"{ask.say('current', 'present')} {state.spoken}; {ask.without(star.history)}",
        plan,
    )


def moved_since(ask: Ask) -> Question:
    """How many facts have a member that was something else then than now."""
    star = ask.star
    history, state = star.history, star.history.one("text")
    then, now = _as_of(ask), "cur"
    key = history.columns[0]
    again = Join(history.name, now, ask.col(star.fact, key), key.name, (_is_current(ask, now),))
    old = ask.col(history, state)
    differs = Cond(
        f"{old.sql} <> {now}.{state.name}",
        lambda env: old.of(env) != env[now][state.name],
        (lambda env: old.of(env) == env[now][state.name],),
    )
    more, also = ask.maybe()
    plan = Plan(**ask.source(then, again), where=(differs, *more), outs=(rows_out(),))
    return Question(
        f"how many {star.fact.things}{also} have a {history.singular} whose {state.spoken} on "
        f"{star.fact.one('date').spoken} is not its current {state.spoken}",
        plan,
    )


def state_on(ask: Ask) -> Question:
    """How many members were something on a day."""
    history = ask.star.history
    state, start = history.one("text"), history.one("from").name
    # a day on which the state asked for begins, or ends: then the borders of the interval show
    ends = ask.rng.choice(("first", "last"))
    versions = sorted(ask.hint.tables[history.name], key=lambda r: (r[history.key], r[start]))
    pairs = [(a, b) for a, b in itertools.pairwise(versions) if a[history.key] == b[history.key]]
    old, new = ask.rng.choice([(a, b) for a, b in pairs if a[state.name] != b[state.name]])
    day, value = new[start], (new if ends == "first" else old)[state.name]
    cond = _covers(ask, "", literal(day), lambda env: day, ends)
    where = (equal(ask.col(history, state, bare=True), value), cond)
    plan = Plan(history.name, where=where, outs=(rows_out(),))
    return Question(
        ask.say(
            f"how many {history.things} had {state.spoken} {value} on {day}",
            f"number of {history.things} whose {state.spoken} was {value} on {day}",
        ),
        plan,
    )


def by_state_on(ask: Ask) -> Question:
    """How many members were what on a day."""
    history = ask.star.history
    state, start = history.one("text"), history.one("from").name
    starts = [r[start] for r in ask.hint.tables[history.name] if FIRST_FACT <= r[start] <= LAST_FACT]
    day = ask.rng.choice(starts)
    keys = (ask.col(history, state, bare=True),)
    plan = Plan(history.name, where=(_covers(ask, "", literal(day), lambda env: day),), keys=keys, outs=(rows_out(),))
    return Question(f"number of {history.things} by {state.spoken} in force on {day}", plan)


def once_not_now(ask: Ask) -> Question:
    """How many members were something at any time but are not now."""
    history = ask.star.history
    key, state, current = history.key, history.one("text"), history.one("current").name
    value = ask.value(state)
    a, b = ask.a(history), "cur"
    had = equal(ask.col(history, state), value)

    def now_too(env: Env) -> bool:
        rows = env["*"].by(history.name, key)[env[a][key]]
        return any(r[current] and r[state.name] == value for r in rows)

    sql = (
        f"NOT EXISTS (SELECT 1 FROM {history.name} {b} WHERE {b}.{key} = "
        f"{a}.{key} AND {b}.{current} AND {b}.{state.name} = {literal(value)})"
    )
    lacks = Cond(sql, lambda env: not now_too(env), (lambda env: not env[a][current],))
    out = count_out(ask.col(history, history.columns[0]), distinct=True)
    # a member that was it twice must count once, but few are: the slip is not asked to show
    plan = Plan(history.name, a, where=(had, lacks), outs=(Out(out.sql, out.of),))
    return Question(f"how many {history.things} had {state.spoken} {value} at some time but do not have it now", plan)


def _previous(ask: Ask) -> Callable[[Env], Any]:
    """The version before, of the same member."""
    history = ask.star.history
    key, start = history.key, history.one("from").name

    def of(env: Env) -> Any:
        row = env[""]
        earlier = [r for r in env["*"].by(history.name, key)[row[key]] if r[start] < row[start]]
        return max(earlier, key=lambda r: r[start]) if earlier else None

    return of


def changes(ask: Ask) -> Question:
    """Changes from one state to another: LAG in QUALIFY."""
    history = ask.star.history
    key, state, start = history.key, history.one("text"), history.one("from").name
    old, new = ask.rng.sample(state.texts, 2)
    before = _previous(ask)

    def keep(first: str, second: str) -> Callable[[Group], Group]:
        return lambda found: [
            e for e in found if e[""][state.name] == second and (p := before(e)) and p[state.name] == first
        ]

    ordered = f"OVER (PARTITION BY {key} ORDER BY {start})"
    sql = f"{state.name} = {literal(new)} AND LAG({state.name}) {ordered} = {literal(old)}"
    window = Window(sql, keep(old, new), (keep(new, old), lambda f: [e for e in f if e[""][state.name] == new]))
    cells = tuple(ask.col(history, c, bare=True) for c in (history.columns[0], history.one("from")))
    plan = Plan(history.name, cells=cells, window=window)
    return Question(
        f"{key_words(key)} and first valid day of each version in which a "
        f"{history.singular} went straight from {state.spoken} {old} to {new}",
        plan,
    )


def first_version(ask: Ask) -> Question:
    """The first or the last version but one of each member: ROW_NUMBER in QUALIFY."""
    history = ask.star.history
    key, state, start = history.key, history.one("text"), history.one("from").name
    place = ask.rng.choice((1, 1, 2))
    late = ask.rng.random() < 0.4

    def rank(env: Env, backwards: bool) -> int:
        row = env[""]
        rows = env["*"].by(history.name, key)[row[key]]
        return 1 + sum((r[start] > row[start]) if backwards else (r[start] < row[start]) for r in rows)

    if late:
        place = 2
    sql = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {start}{' DESC' if late else ''}) = {place}"
    window = Window(
        sql,
        lambda found: [e for e in found if rank(e, late) == place],
        (lambda found: [e for e in found if rank(e, not late) == place],),
    )
    cells = (ask.col(history, history.columns[0], bare=True), ask.col(history, state, bare=True))
    plan = Plan(history.name, cells=cells, window=window)
    which = (
        "the version before the latest one" if late else ("the first version" if place == 1 else "the second version")
    )
    return Question(
        f"{key_words(key)} and {state.spoken} "
        f"of {which} of each {history.singular}" + (" that has one" if place > 1 else ""),
        plan,
    )


def many_versions(ask: Ask) -> Question:
    """Members with so many versions, or so many different states."""
    history = ask.star.history
    state, title = history.one("text"), history.columns[1]
    least = ask.rng.choice((2, 3))
    value = ask.col(history, state, bare=True)

    def states(group: Group) -> int:
        return len({value.of(e) for e in group})

    distinct = ask.rng.random() < 0.7
    counted = f"COUNT(DISTINCT {value.sql})" if distinct else "COUNT(*)"
    having = Out(
        f"{counted} >= {least}",
        lambda g: (states(g) if distinct else len(g)) >= least,
        (lambda g: (len(g) if distinct else states(g)) >= least, lambda g: (states(g) if distinct else len(g)) > least),
    )
    # a key and its name: the name alone could be that of two members
    name = ask.col(history, title, bare=True)
    key = ask.col(history, history.columns[0], bare=True)
    first = Out(f"MAX({name.sql})", lambda g: max(name.of(e) for e in g))
    plan = Plan(history.name, keys=(key,), outs=(first,), having=having)
    what = f"different {state.spoken} values over time" if distinct else "versions"
    return Question(
        f"{key_words(history.key)} and {title.spoken} of {history.things} with at least {least} {what}", plan
    )


def asof_filter_plain(ask: Ask) -> Question:
    """Both dimensions: a filter in the plain one, groups of the historised one at the time."""
    star = ask.star
    state, text = star.history.one("text"), star.plain.one("text")
    value = ask.value(text)
    amount = ask.rng.choice(star.fact.of("int", "real"))
    where = (equal(ask.col(star.plain, text), value),)
    outs = (aggregate("SUM", ask.col(star.fact, amount)),)
    keys: tuple[Expr, ...] = (ask.col(star.history, state),)
    plan = Plan(**ask.source(ask.to_plain(), _as_of(ask, telling=True)), where=where, keys=keys, outs=outs)
    return Question(
        f"total {amount.spoken} of {star.fact.things} with {text.spoken} "
        f"{value} by {state.spoken} {_then(ask)}; {ask.without(star.history)}",
        plan,
    )


SHAPES = {
    asof_group: 18,
    asof_measure: 16,
    asof_list: 8,
    current_group: 12,
    moved_since: 9,
    state_on: 9,
    by_state_on: 6,
    once_not_now: 7,
    changes: 7,
    first_version: 5,
    many_versions: 5,
    asof_filter_plain: 9,
}
