"""L3, text typed by hand: case, outer spaces, short forms, codes, amounts in text, mail hosts, words in remarks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .common import Ask, Question, aggregate, any_of, count_out, equal, literal, mapped, measure, rows_out
from .instances import MAIL_HOSTS, REMARK_WORDS
from .plan import Cond, Env, Expr, Out, Plan
from .schemas import Column, Table

_CODE = re.compile("[A-Z]{2}-[0-9]{4}")


def _lowered(ask: Ask, value: Expr) -> Expr:
    """Text without case and outer spaces; slips forget one of the two."""
    sql = ask.say(f"LOWER(TRIM({value.sql}))", f"TRIM(LOWER({value.sql}))", f"LOWER(TRIM({value.sql}))")
    # outer blanks only: neither TRIM takes more
    return mapped(sql, value, lambda v: v.strip(" ").lower(), str.lower, lambda v: v.strip(" "))


def _forms(column: Column, value: str) -> tuple[str, ...]:
    """A value and its short form, in lower case."""
    return (value.lower(), *(short.lower() for short, text in column.shorts if text == value))


def _spelled(ask: Ask, column: Column, value: Expr) -> Expr:
    """The long form in lower case: a CASE over the short ones."""
    low = _lowered(ask, value)
    long = {short.lower(): text.lower() for short, text in column.shorts}
    arms = " ".join(f"WHEN {literal(short)} THEN {literal(text)}" for short, text in long.items())
    sql = f"CASE {low.sql} {arms} ELSE {low.sql} END"

    def lift(f: Callable[[Env], Any]) -> Callable[[Env], Any]:
        return lambda env: long.get(v, v) if (v := f(env)) is not None else None

    return Expr(sql, lift(low.of), (low.of, *(lift(s) for s in low.slips)))


def _typed(ask: Ask, kind: str) -> tuple[Table, Column] | None:
    """The table and column of a kind of hand-typed text, if the schema has it."""
    star = ask.star
    found = [(t, c) for t in (star.fact, star.plain) for c in t.of(kind)]
    return found[0] if found else None


def _state(ask: Ask) -> tuple[Cond, str]:
    """A filter on the hand-typed status by one value, short form included, and its words."""
    raw = ask.star.fact.one("raw")
    value = ask.rng.choice([text for _, text in raw.shorts] if ask.rng.random() < 0.7 else raw.texts)
    low = _lowered(ask, ask.col(ask.star.fact, raw, bare=True))
    forms = _forms(raw, value)
    cond = any_of(low, forms) if len(forms) > 1 else equal(low, forms[0])
    return cond, f"with {raw.spoken} {value}" + (" (short form too)" if len(forms) > 1 else "")


def _however(ask: Ask) -> str:
    return ask.say("however it was typed", "in any spelling", "whatever the case and outer spaces")


def state_count(ask: Ask) -> Question:
    """How many facts have a status."""
    cond, words = _state(ask)
    more, also = ask.maybe(bare=True)
    plan = Plan(ask.star.fact.name, where=(cond, *more), outs=(rows_out(),))
    return Question(
        f"{ask.say('how many', 'number of')} {ask.star.fact.things} "
        f"{words}, {_however(ask)}{',' + also if also else ''}",
        plan,
    )


def state_measure(ask: Ask) -> Question:
    """An aggregate of facts of a status."""
    cond, words = _state(ask)
    out, what = measure(ask, bare=True)
    more, also = ask.maybe(bare=True)
    plan = Plan(ask.star.fact.name, where=(cond, *more), outs=(out,))
    return Question(f"{what} of {ask.star.fact.things} {words}, {_however(ask)}{',' + also if also else ''}", plan)


def state_group(ask: Ask) -> Question:
    """Counts or totals by status, every spelling in one group."""
    fact = ask.star.fact
    raw = fact.one("raw")
    key = _spelled(ask, raw, ask.col(fact, raw, bare=True))
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=more, keys=(key,), outs=(out,), by_all=ask.rng.random() < 0.5)
    return Question(
        f"{words} of {fact.things}{also} by {raw.spoken}, shown in "
        "lower case without outer spaces and with short forms written out",
        plan,
    )


def state_by_dimension(ask: Ask) -> Question:
    """A clean dimension's groups of facts with a hand-typed status."""
    star = ask.star
    raw, text = star.fact.one("raw"), star.plain.one("text")
    value = ask.rng.choice([text for _, text in raw.shorts])
    cond = any_of(_lowered(ask, ask.col(star.fact, raw)), _forms(raw, value))
    out, words = measure(ask) if ask.rng.random() < 0.6 else (rows_out(), "number")
    plan = Plan(**ask.source(ask.to_plain(telling=True)), where=(cond,), keys=(ask.col(star.plain, text),), outs=(out,))
    return Question(
        f"{words} of {star.fact.things} with {raw.spoken} {value} (short form "
        f"too, {_however(ask)}) by {text.spoken}; {ask.without(star.plain)}",
        plan,
    )


def state_kinds(ask: Ask) -> Question:
    """How many different statuses there are once they are spelled alike, in a part of the facts."""
    star = ask.star
    raw, text = star.fact.one("raw"), star.plain.one("text")
    value = _spelled(ask, raw, ask.col(star.fact, raw))
    out = count_out(value, distinct=True)
    spelled = [count_out(Expr("", s), distinct=True).of for s in value.slips]
    out = Out(out.sql, out.of, (*out.slips, *spelled))
    plan = Plan(**ask.source(ask.to_plain(telling=True)), keys=(ask.col(star.plain, text),), outs=(out,))
    return Question(
        f"number of different {raw.spoken} values of {star.fact.things} by {text.spoken}, "
        f"where case, outer spaces and short forms make no difference; {ask.without(star.plain)}",
        plan,
    )


def _area(ask: Ask, value: Expr) -> Expr:
    sql = ask.say(f"UPPER(LEFT({value.sql}, 2))", f"UPPER(SUBSTRING({value.sql}, 1, 2))")
    return mapped(sql, value, lambda v: v[:2].upper(), lambda v: v[:2])


def code_measure(ask: Ask) -> Question | None:
    """An aggregate of facts of an area, the first two letters of a code."""
    found = _typed(ask, "code")
    if not found:
        return None
    fact, column = found
    value = ask.rng.choice((column.texts[0], "DE", "CH", "BR"))
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.7 else (rows_out(), "number")
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=(equal(_area(ask, ask.col(fact, column, bare=True)), value), *more), outs=(out,))
    return Question(f"{words} of {fact.things}{also} whose {column.spoken} is of area {value}, {_however(ask)}", plan)


def code_group(ask: Ask) -> Question | None:
    """Groups by area, in capitals."""
    found = _typed(ask, "code")
    if not found:
        return None
    fact, column = found
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    key = _area(ask, ask.col(fact, column, bare=True))
    more, also = ask.maybe(bare=True)
    plan = Plan(fact.name, where=more, keys=(key,), outs=(out,), by_all=ask.rng.random() < 0.5)
    return Question(f"{words} of {fact.things}{also} by area of the {column.spoken}, in capital letters", plan)


def code_malformed(ask: Ask) -> Question | None:
    """How many codes are not written as they should be: RLIKE."""
    found = _typed(ask, "code")
    if not found:
        return None
    fact, column = found
    more, also = ask.maybe(bare=True)
    well = ask.rng.random() < 0.4
    pattern = "'^[A-Z]{2}-[0-9]{4}$'"
    sql = ask.say(f"{column.name} RLIKE {pattern}", f"REGEXP_LIKE({column.name}, {pattern})")

    def is_well(env: Env, rule: re.Pattern[str] = _CODE) -> bool:
        return bool(rule.fullmatch(env[""][column.name]))

    cond = Cond(
        sql if well else f"NOT {sql}",
        lambda env: is_well(env) is well,
        (lambda env: is_well(env, re.compile("[A-Za-z]{2}-[0-9]{4}")) is well,),
    )
    plan = Plan(fact.name, where=(cond, *more), outs=(rows_out(),))
    how = "is" if well else "is not"
    return Question(
        f"how many {fact.things}{also} have a {column.spoken} that "
        f"{how} exactly two capital letters, a hyphen and four digits",
        plan,
    )


def code_number(ask: Ask) -> Question | None:
    """Facts whose number in the code is in a range: REGEXP_EXTRACT and a cast."""
    found = _typed(ask, "code")
    if not found:
        return None
    fact, column = found
    value = ask.col(fact, column, bare=True)
    least = ask.rng.choice((2000, 3000, 4000, 5000, 6000, 7000))
    cut = f"REGEXP_EXTRACT({value.sql}, '([0-9]+)', 1)"
    sql = ask.say(f"CAST({cut} AS INT)", f"{cut}::INT", f"CAST(RIGHT({value.sql}, 4) AS INT)")
    test = Cond(
        f"{sql} >= {least}",
        lambda env: int(value.of(env)[-4:]) >= least,
        (lambda env: int(value.of(env)[-4:]) < least,),
    )
    out, words = measure(ask, bare=True)
    plan = Plan(fact.name, where=(test,), outs=(out,))
    return Question(f"{words} of {fact.things} whose {column.spoken} has a number of {least} or more", plan)


def _amount_of(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", ""))
    except ValueError:
        return None


def _strict(text: str) -> float | None:
    return None if "," in text else _amount_of(text)


def _as_number(value: Expr) -> Expr:
    return mapped(f"TRY_CAST(REPLACE({value.sql}, ',', '') AS DOUBLE)", value, _amount_of, _strict)


def amount_total(ask: Ask) -> Question | None:
    """A total of amounts kept as text, unreadable ones left out."""
    found = _typed(ask, "amount")
    if not found:
        return None
    fact, column = found
    name = ask.rng.choice(("SUM", "AVG", "MAX"))
    words = {"SUM": "total", "AVG": "average", "MAX": "highest"}[name]
    value = _as_number(ask.col(fact, column, bare=True))
    group = ask.rng.random() < 0.4
    text = fact.one("text")
    cond, also = ask.filter_clean(bare=True)
    keys = (ask.col(fact, text, bare=True),) if group else ()
    whole = Cond(f"{text.name} IS NOT NULL", lambda env: env[""][text.name] is not None)
    plan = Plan(fact.name, where=(whole,) if group else (cond,), keys=keys, outs=(aggregate(name, value),))
    rest = "unreadable ones left out"
    if group:
        return Question(
            f"{words} {column.spoken} of {fact.things} by {text.spoken}, "
            f"{rest}, and without {fact.things} that have no {text.spoken}",
            plan,
        )
    return Question(f"{words} {column.spoken} of {fact.things} {also}, {rest}", plan)


def amount_unknown(ask: Ask) -> Question | None:
    """How many amounts cannot be read, or lie above a bound."""
    found = _typed(ask, "amount")
    if not found:
        return None
    fact, column = found
    value = _as_number(ask.col(fact, column, bare=True))
    more, also = ask.maybe(bare=True)
    if ask.rng.random() < 0.5:
        cond = Cond(f"{value.sql} IS NULL", lambda env: value.of(env) is None, tuple(_is_null(s) for s in value.slips))
        words = f"whose {column.spoken} is no number"
    else:
        least = ask.rng.choice((300, 500, 800, 1000, 2000, 5000))
        cond = Cond(f"{value.sql} > {least}", _over(value.of, least), tuple(_over(s, least) for s in value.slips))
        words = f"whose {column.spoken} is above {least}"
    plan = Plan(fact.name, where=(cond, *more), outs=(rows_out(),))
    return Question(f"{ask.say('how many', 'number of')} {fact.things}{also} {words}", plan)


def _is_null(of: Callable[[Env], Any]) -> Callable[[Env], bool | None]:
    return lambda env: of(env) is None


def _over(of: Callable[[Env], Any], least: float) -> Callable[[Env], bool | None]:
    return lambda env: None if (v := of(env)) is None else v > least


def remark_word(ask: Ask) -> Question | None:
    """Facts whose remark mentions a word, in any case: ILIKE."""
    found = _typed(ask, "remark")
    if not found:
        return None
    fact, column = found
    word = ask.rng.choice(REMARK_WORDS)
    value = ask.col(fact, column, bare=True)
    absent = ask.rng.random() < 0.3

    def mentions(fold_case: bool) -> Callable[[Env], bool | None]:
        def of(env: Env) -> bool | None:
            text = value.of(env)
            if text is None:
                return absent or None
            return (word in (text.lower() if fold_case else text)) is not absent

        return of

    sql = ask.say(f"{value.sql} ILIKE '%{word}%'", f"LOWER({value.sql}) LIKE '%{word}%'")
    negated = sql.replace(" ILIKE ", " NOT ILIKE ").replace(" LIKE ", " NOT LIKE ")
    sql = f"({value.sql} IS NULL OR {negated})" if absent else sql
    slips = [mentions(False)]
    if absent:
        slips.append(lambda env: value.of(env) is not None and mentions(True)(env))
    more, also = ask.maybe(bare=True)
    out, words = measure(ask, bare=True) if ask.rng.random() < 0.5 else (rows_out(), "number")
    plan = Plan(fact.name, where=(Cond(sql, mentions(True), tuple(slips)), *more), outs=(out,))
    how = "does not mention" if absent else "mentions"
    rest = f", those without {column.spoken} included" if absent else ""
    return Question(f"{words} of {fact.things}{also} whose {column.spoken} {how} {word} in any case{rest}", plan)


def mail_host(ask: Ask) -> Question | None:
    """Members by host of their mail address."""
    found = _typed(ask, "mail")
    if not found:
        return None
    table, column = found
    value = ask.col(table, column, bare=True)
    host = mapped(
        f"LOWER(TRIM(SPLIT_PART({value.sql}, '@', 2)))",
        value,
        lambda v: v.split("@")[1].strip(" ").lower(),
        lambda v: v.split("@")[1].strip(" "),
        lambda v: v.split("@")[1].lower(),
    )
    if ask.rng.random() < 0.5:
        plan = Plan(table.name, keys=(host,), outs=(rows_out(),))
        return Question(
            f"number of {table.things} by host of the {column.spoken} "
            "(what follows the @), in lower case without outer spaces",
            plan,
        )
    wanted = ask.rng.choice(MAIL_HOSTS)
    key = ask.col(table, table.columns[0], bare=True)
    plan = Plan(table.name, where=(equal(host, wanted),), cells=(key,))
    return Question(
        f"{table.key.replace('_', ' ')} of {table.things} whose {column.spoken} is at {wanted}, {_however(ask)}", plan
    )


def mail_facts(ask: Ask) -> Question | None:
    """An aggregate of facts whose member has an address at a host."""
    found = _typed(ask, "mail")
    if not found:
        return None
    star, (table, column) = ask.star, found
    value = ask.col(table, column)
    wanted = ask.rng.choice(MAIL_HOSTS)

    def ends(change: Callable[[str], str]) -> Callable[[Env], bool | None]:
        return lambda env: None if (v := value.of(env)) is None else change(v).endswith(f"@{wanted}")

    slips = (ends(str.lower), ends(lambda v: v.strip(" ")))
    cond = Cond(f"LOWER(TRIM({value.sql})) LIKE '%@{wanted}'", ends(lambda v: v.strip(" ").lower()), slips)
    out, words = measure(ask)
    plan = Plan(**ask.source(ask.to_plain()), where=(cond,), outs=(out,))
    return Question(
        f"{words} of {star.fact.things} of {table.things} whose {column.spoken} is at {wanted}, {_however(ask)}", plan
    )


SHAPES = {
    state_count: 12,
    state_measure: 12,
    state_group: 14,
    state_by_dimension: 9,
    state_kinds: 6,
    code_measure: 9,
    code_group: 9,
    code_malformed: 7,
    code_number: 5,
    amount_total: 14,
    amount_unknown: 9,
    remark_word: 16,
    mail_host: 10,
    mail_facts: 10,
}
