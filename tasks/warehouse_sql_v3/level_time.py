"""L5, dates and time zones: local days of UTC times, fiscal quarters, month ends, date arithmetic, gaps."""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from .common import Ask, Question, compare, fold, literal, mapped, measure, number, rows_out
from .plan import Cond, Env, Expr, Group, Out, Plan
from .schemas import ZONES

_FISCAL_STARTS = {"April": 4, "July": 7, "October": 10, "February": 2}
_UTC = datetime.UTC


def local(time: datetime.datetime, zone: str) -> datetime.datetime:
    """A UTC time as a clock in a zone shows it."""
    return time.replace(tzinfo=_UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _local_of(ask: Ask, bare: bool) -> tuple[Expr, Expr, str]:
    """(local time, the stored UTC time, how the zone is said)."""
    fact = ask.star.fact
    zone = ask.rng.choice(ZONES)
    stored = ask.col(fact, fact.one("stamp"), bare)
    there = mapped(f"FROM_UTC_TIMESTAMP({stored.sql}, '{zone}')", stored, lambda v: local(v, zone))
    return there, stored, f"{zone} time"


def _part(ask: Ask, sqls: tuple[str, ...], there: Expr, stored: Expr, part: Callable[[Any], Any]) -> Expr:
    """A part of the local time; its slip is the part of the UTC time."""
    sql = ask.say(*sqls).format(x=there.sql)
    right = mapped(sql, there, part)
    return Expr(sql, right.of, (mapped("", stored, part).of,))


_DAY = ("CAST({x} AS DATE)", "DATE({x})", "TO_DATE({x})", "{x}::DATE")


def local_day(ask: Ask) -> Question:
    """An aggregate of one local day, or of local days from one to another."""
    fact = ask.star.fact
    there, stored, zone = _local_of(ask, bare=True)
    day = _part(ask, _DAY, there, stored, lambda v: v.date())
    stamp = fact.one("stamp")
    days = sorted({day.of({"": row}) for row in ask.hint.tables[fact.name]})
    first = ask.rng.choice(days[3:-30])
    last = first + datetime.timedelta(days=ask.rng.choice((6, 13, 20, 29, 60)))
    last = min((d for d in days if d >= last), default=last)
    span = Cond(
        f"{day.sql} BETWEEN {literal(first)} AND {literal(last)}",
        lambda env: first <= day.of(env) <= last,
        (lambda env: first <= day.slips[0](env) <= last,),
    )
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.4 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(span, *more), outs=(out,))
    return Question(
        f"{words} of {fact.things}{also} with {stamp.spoken} from {first} to {last}, both days included, in {zone}",
        plan,
    )


def local_month(ask: Ask) -> Question:
    """Groups by local month of a year."""
    fact = ask.star.fact
    there, stored, zone = _local_of(ask, bare=True)
    month = _part(ask, ("DATE_FORMAT({x}, 'yyyy-MM')",), there, stored, lambda v: v.strftime("%Y-%m"))
    year = _part(ask, ("YEAR({x})",), there, stored, lambda v: v.year)
    wanted = ask.rng.choice((2021, 2022, 2023))
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    cond = Cond(f"{year.sql} = {wanted}", lambda env: year.of(env) == wanted)
    plan = Plan(fact.name, where=(cond,), keys=(month,), outs=(out,), by_all=ask.rng.random() < 0.5)
    return Question(
        f"{words} of {fact.things} by month (yyyy-MM) of "
        f"{fact.one('stamp').spoken} in {wanted}, months and year in {zone}",
        plan,
    )


def local_hours(ask: Ask) -> Question:
    """Facts between two hours of the local day."""
    fact = ask.star.fact
    there, stored, zone = _local_of(ask, bare=True)
    hour = _part(ask, ("HOUR({x})",), there, stored, lambda v: v.hour)
    first, last = ask.rng.choice(((8, 12), (9, 17), (1, 6), (18, 23), (6, 9), (12, 15)))
    cond = Cond(
        f"{hour.sql} >= {first} AND {hour.sql} < {last}",
        lambda env: first <= hour.of(env) < last,
        (lambda env: first <= hour.slips[0](env) < last, lambda env: first <= hour.of(env) <= last),
    )
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.4 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(cond, *more), outs=(out,))
    return Question(
        f"{words} of {fact.things}{also} with {fact.one('stamp').spoken} "
        f"from {first}:00 up to but not including {last}:00 in {zone}",
        plan,
    )


def local_weekend(ask: Ask) -> Question:
    """Facts on Saturday and Sunday, or by day of the week, of the local clock."""
    fact = ask.star.fact
    there, stored, zone = _local_of(ask, bare=True)
    more, also = ask.maybe(bare=True)
    if ask.rng.random() < 0.5:
        name = _part(ask, ("DATE_FORMAT({x}, 'EEEE')",), there, stored, lambda v: calendar.day_name[v.weekday()])
        plan = Plan(fact.name, where=more, keys=(name,), outs=(rows_out(),), by_all=ask.rng.random() < 0.5)
        return Question(
            f"number of {fact.things}{also} by day of the week of "
            f"{fact.one('stamp').spoken} (Monday, Tuesday and so on) in {zone}",
            plan,
        )
    day = _part(ask, ("DAYOFWEEK({x})",), there, stored, lambda v: v.isoweekday() % 7 + 1)
    cond = Cond(
        f"{day.sql} IN (1, 7)",
        lambda env: day.of(env) in (1, 7),
        (lambda env: day.slips[0](env) in (1, 7), lambda env: day.of(env) in (6, 7), lambda env: day.of(env) in (0, 6)),
    )
    plan = Plan(fact.name, where=(cond, *more), outs=(rows_out(),))
    return Question(
        f"how many {fact.things}{also} have their {fact.one('stamp').spoken} on a Saturday or Sunday in {zone}", plan
    )


def site_clock(ask: Ask) -> Question | None:
    """The local day or hour of each site's own time zone, a column."""
    star = ask.star
    site = star.site
    if site is None:
        return None
    fact = star.fact
    stored, zone = ask.col(fact, fact.one("stamp")), ask.col(site, site.one("zone"))
    there = Expr(
        f"FROM_UTC_TIMESTAMP({stored.sql}, {zone.sql})",
        lambda env: None if zone.of(env) is None else local(stored.of(env), zone.of(env)),
    )
    text = site.one("text")
    by_hour = ask.rng.random() < 0.5
    hour = _part(ask, ("HOUR({x})",), there, stored, lambda v: v.hour)
    limit = ask.rng.choice((6, 8, 10, 12, 18))
    if by_hour:
        cond = compare(hour, "<", limit)
        plan = Plan(**ask.source(ask.lookup(site)), where=(cond,), keys=(ask.col(site, text),), outs=(rows_out(),))
        return Question(
            f"number of {fact.things} by {text.spoken} with {fact.one('stamp').spoken} "
            f"before {limit}:00 by the clock of their {site.singular}; {ask.without(site)}",
            plan,
        )
    day = _part(ask, _DAY, there, stored, lambda v: v.date())
    own = ask.col(fact, fact.one("date"))
    cond = Cond(
        f"{day.sql} > {own.sql}",
        lambda env: None if day.of(env) is None else day.of(env) > own.of(env),
        (
            lambda env: day.slips[0](env) > own.of(env),
            lambda env: day.of(env) is not None and day.of(env) >= own.of(env),
        ),
    )
    plan = Plan(**ask.source(ask.lookup(site)), where=(cond,), outs=(rows_out(),))
    return Question(
        f"how many {fact.things} have their {fact.one('stamp').spoken}, by the clock "
        f"of their {site.singular}, on a later day than their {fact.one('date').spoken}",
        plan,
    )


def fiscal_quarter(ask: Ask) -> Question:
    """An aggregate by quarter of a fiscal year that is named by the year in which it ends."""
    fact = ask.star.fact
    day = ask.col(fact, fact.one("date"), bare=True)
    name = ask.rng.choice(sorted(_FISCAL_STARTS))
    start = _FISCAL_STARTS[name]
    shift = 13 - start
    year = ask.rng.choice((2022, 2023))
    moved = f"ADD_MONTHS({day.sql}, {shift})"

    def months(env: Env) -> int:
        d = day.of(env)
        return int(d.year * 12 + d.month - 1 + shift)

    quarter = Expr(f"QUARTER({moved})", lambda e: months(e) % 12 // 3 + 1, (lambda e: (day.of(e).month - 1) // 3 + 1,))
    within = Cond(
        f"YEAR({moved}) = {year}",
        lambda env: months(env) // 12 == year,
        (lambda env: day.of(env).year == year, lambda env: months(env) // 12 == year + 1),
    )
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.6 else (rows_out(), "number")
    plan = Plan(fact.name, where=(within,), keys=(quarter,), outs=(out,))
    return Question(
        f"{words} of {fact.things} by fiscal quarter (1 to 4) of {day.sql} in fiscal "
        f"year {year}; fiscal years start on 1 {name} and bear the year in which they end",
        plan,
    )


def month_end(ask: Ask) -> Question:
    """Facts on the last day of a month, or in its last days."""
    fact = ask.star.fact
    day = ask.col(fact, fact.one("date"), bare=True)
    within = ask.rng.choice((0, 0, 1, 2, 4))

    def left(env: Env) -> int:
        d = day.of(env)
        return int(calendar.monthrange(d.year, d.month)[1] - d.day)

    sql = f"{day.sql} = LAST_DAY({day.sql})" if not within else f"DATEDIFF(LAST_DAY({day.sql}), {day.sql}) <= {within}"
    slips = (lambda e: day.of(e).day >= 30, lambda e: left(e) <= within + 1)
    cond = Cond(sql, lambda e: left(e) <= within, slips)
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(cond, *more), outs=(out,))
    what = "the last day of a month" if not within else f"one of the last {within + 1} days of a month"
    return Question(f"{words} of {fact.things}{also} whose {day.sql} is {what}", plan)


def last_days(ask: Ask) -> Question:
    """Facts of the days up to a day."""
    fact = ask.star.fact
    day = ask.col(fact, fact.one("date"), bare=True)
    until = ask.day()
    earlier = [d for d in ask.cells(fact, fact.one("date")) if 10 < (until - d).days < 200]
    n = (until - ask.rng.choice(earlier)).days + 1 if earlier else 30

    def test(low: int, high: int) -> Callable[[Env], bool]:
        return lambda env: low <= (until - day.of(env)).days <= high

    sql = ask.say(
        f"{day.sql} BETWEEN DATE_SUB({literal(until)}, {n - 1}) AND {literal(until)}",
        f"{day.sql} > DATE_ADD({literal(until)}, -{n}) AND {day.sql} <= {literal(until)}",
    )
    cond = Cond(sql, test(0, n - 1), (test(0, n - 2), test(1, n - 1), test(-9999, n - 1)))
    out, words = measure(ask, bare=True)
    plan = Plan(fact.name, where=(cond,), outs=(out,))
    return Question(
        f"{words} of {fact.things} whose {day.sql} is one of the {n} days that end with {until} (that day included)",
        plan,
    )


def delay(ask: Ask) -> Question:
    """Facts recorded so many days after their date; or the average delay."""
    star = ask.star
    fact, text = star.fact, star.plain.one("text")
    day, stamp = fact.one("date"), fact.one("stamp")
    if ask.rng.random() < 0.5:
        own, late = ask.col(fact, day), ask.col(fact, stamp)
        sql = f"DATEDIFF({late.sql}, {own.sql})"
        days = Expr(sql, lambda e: (late.of(e).date() - own.of(e)).days)
        out = Out(f"AVG({sql})", fold("AVG", days.of), (fold("MAX", days.of),))
        plan = Plan(**ask.source(ask.to_plain(telling=True)), keys=(ask.col(star.plain, text),), outs=(out,))
        return Question(
            f"average number of days from {day.spoken} to {stamp.spoken} "
            f"(UTC) of {fact.things} by {text.spoken}; {ask.without(star.plain)}",
            plan,
        )
    own, late = ask.col(fact, day, bare=True), ask.col(fact, stamp, bare=True)
    least = ask.rng.choice((1, 2, 3, 5, 8))
    sql = ask.say(f"DATEDIFF({late.sql}, {own.sql})", f"DATE_DIFF({late.sql}, {own.sql})")
    days = Expr(sql, lambda e: (late.of(e).date() - own.of(e)).days)
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(compare(days, ">", least), *more), outs=(rows_out(),))
    return Question(
        f"how many {fact.things}{also} have their {stamp.spoken} "
        f"(UTC) more than {number(least)} days after their {day.spoken}",
        plan,
    )


def _later(day: datetime.date, months: int) -> datetime.date:
    """ADD_MONTHS: the same day, or the month's last if it is shorter."""
    place = day.year * 12 + day.month - 1 + months
    year, month = divmod(place, 12)
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def due(ask: Ask) -> Question:
    """Facts that fall due by a day, a term of months or days after their date."""
    fact = ask.star.fact
    day = ask.col(fact, fact.one("date"), bare=True)
    months = ask.rng.choice((3, 6, 12, 18))
    term = ask.rng.choice((14, 30, 45, 90))
    by_month = ask.rng.random() < 0.6
    fallen = (
        mapped(f"ADD_MONTHS({day.sql}, {months})", day, lambda d: _later(d, months), lambda d: _later(d, months - 1))
        if by_month
        else mapped(f"DATE_ADD({day.sql}, {term})", day, lambda d: d + datetime.timedelta(days=term))
    )
    ends = sorted({fallen.of({"": row}) for row in ask.hint.tables[fact.name]})
    limit = ask.rng.choice(ends[len(ends) // 5 : -10])
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(compare(fallen, "<=", limit), *more), outs=(out,))
    how = f"{months} months" if by_month else f"{term} days"
    return Question(
        f"{words} of {fact.things}{also} that were due on or before "
        f"{limit}, when they are due {how} after their {day.sql}",
        plan,
    )


def longest_gap(ask: Ask) -> Question:
    """The longest time between one fact and the next of the same member: LAG."""
    star = ask.star
    fact = star.fact
    table = ask.rng.choice((star.history, star.plain))
    key, day = table.key, fact.one("date").name
    each = ask.rng.random() < 0.5
    name = ask.say("LAG", "LEAD")
    window = f"OVER (PARTITION BY {key} ORDER BY {day})"
    days = f"DATEDIFF({day}, LAG({day}) {window})" if name == "LAG" else f"DATEDIFF(LEAD({day}) {window}, {day})"
    inner = f"(SELECT {key}, {days} AS gap FROM {fact.name} WHERE {key} IS NOT NULL)"

    def gaps(group: Group, by_key: bool) -> list[int]:
        found: dict[Any, list[datetime.date]] = {}
        for env in group:
            found.setdefault(env[""][key] if by_key else 0, []).append(env[""][day])
        return [(b - a).days for ds in found.values() for a, b in zip(sorted(ds), sorted(ds)[1:], strict=False)]

    def longest(by_key: bool) -> Callable[[Group], Any]:
        return lambda group: max(gaps(group, by_key), default=None)

    has_key = Cond(f"{key} IS NOT NULL", lambda env: env[""][key] is not None)
    things = f"one of the {fact.things} and the next by {fact.one('date').spoken}"
    if each:
        out = Out("MAX(gap)", longest(True), (lambda g: min(gaps(g, True), default=None),))
        keys = (ask.col(fact, next(c for c in fact.columns if c.name == key), bare=True),)
        plan = Plan(fact.name, where=(has_key,), keys=keys, outs=(out,))
        sql = f"SELECT {key}, MAX(gap) FROM {inner} GROUP BY {key}"
        return Question(
            f"for each {key.replace('_', ' ')} in {fact.name}, the most days between "
            f"{things}; leave out {fact.things} without {key.replace('_', ' ')}",
            plan,
            sql,
        )
    out = Out("MAX(gap)", longest(True), (longest(False),))
    plan = Plan(fact.name, where=(has_key,), outs=(out,))
    return Question(
        f"the most days between {things} of the same {key.replace('_', ' ')}; "
        f"leave out {fact.things} without {key.replace('_', ' ')}",
        plan,
        f"SELECT MAX(gap) FROM {inner}",
    )


def best_month(ask: Ask) -> Question:
    """The months with the highest total: DATE_TRUNC, ORDER BY, LIMIT."""
    fact = ask.star.fact
    day = ask.col(fact, fact.one("date"), bare=True)
    year = ask.rng.choice((2021, 2022, 2023))
    by_quarter = ask.rng.random() < 0.3
    unit = "QUARTER" if by_quarter else "MONTH"

    def start(d: datetime.date) -> datetime.datetime:
        return datetime.datetime(d.year, (d.month - 1) // 3 * 3 + 1 if by_quarter else d.month, 1)

    sql = f"DATE_TRUNC('{unit}', {day.sql})" if by_quarter or ask.rng.random() < 0.5 else f"TRUNC({day.sql}, 'MM')"
    month = mapped(sql, day, start)
    amount = ask.rng.choice(fact.of("int", "real"))
    total = fold("SUM", ask.col(fact, amount, bare=True).of)
    within = Cond(f"YEAR({day.sql}) = {year}", lambda e: day.of(e).year == year)
    limit = 1 if by_quarter else ask.rng.choice((1, 2, 3))
    out = Out(f"SUM({amount.name})", total)
    plan = Plan(fact.name, where=(within,), keys=(month,), outs=(out,), order=((1, True),), limit=limit)
    which = f"the {limit} {unit.lower()}s" if limit > 1 else f"the {unit.lower()}"
    return Question(
        f"first day of {which} of {year}, by {day.sql}, with the "
        f"highest total {amount.spoken} of {fact.things}, and that total",
        plan,
    )


SHAPES = {
    local_day: 16,
    local_month: 14,
    local_hours: 12,
    local_weekend: 10,
    site_clock: 14,
    fiscal_quarter: 14,
    month_end: 9,
    last_days: 10,
    delay: 12,
    due: 10,
    longest_gap: 9,
    best_month: 9,
}
