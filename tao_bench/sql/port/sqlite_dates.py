"""SQLite's date functions: text in, text out, with modifiers (https://sqlite.org/lang_datefunc.html)."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from tao_bench.sql.port.context import Context, call, cast, kind_of, text

_SHIFT = re.compile(r"\s*([+-]?)\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|month|year)s?\s*\Z", re.IGNORECASE)
_UNIT = re.compile(r"\s*(second|minute|hour|day|month|year)s?\s*\Z", re.IGNORECASE)
_PATTERNS = {
    "Y": "yyyy",
    "m": "MM",
    "d": "dd",
    "H": "HH",
    "M": "mm",
    "S": "ss",
    "j": "DDD",
    "f": "ss.SSS",
    "F": "yyyy-MM-dd",
    "T": "HH:mm:ss",
    "R": "HH:mm",
}
_NAMES = frozenset(("DATE", "DATETIME", "TIME", "JULIANDAY", "STRFTIME", "UNIXEPOCH"))
_JULIAN_EPOCH = "2440587.5"


class _Unknown(Exception):
    """A modifier or format that this rule does not know: the call stays as it is, and fails by name."""


def sqlite_dates(root: Any, context: Context) -> bool:
    """``date``, ``datetime``, ``time``, ``julianday``, ``strftime``, ``unixepoch`` in Databricks' functions.

    ``date`` becomes a DATE and ``datetime`` a TIMESTAMP; where they meet text, `date_compared_with_text` writes them
    as text again.
    """
    if not context.is_sqlite:
        return False
    changed = False
    for node in list(root.find_all(exp.Sub)):
        changed = _difference(node, context) or changed
    # Inner calls first: julianday(date('now')).
    for node in reversed(list(root.find_all(exp.Anonymous, exp.Date, exp.TimeToStr, exp.TsOrDsToDate, exp.Time))):
        found = _arguments(node)
        if found is None:
            continue
        name, arguments = found
        try:
            node.replace(_ported(name, arguments, context))
        except _Unknown:
            continue
        changed = True
    return changed


def _arguments(node: Any) -> tuple[str, list[Any]] | None:
    """Name and arguments of a date call, however sqlglot has parsed it."""
    if isinstance(node, exp.Anonymous):
        name = node.name.upper()
        return (name, list(node.expressions)) if name in _NAMES else None
    if isinstance(node, exp.TimeToStr):
        inner = node.this
        if isinstance(inner, exp.TsOrDsToTimestamp):
            inner = inner.this
        return "STRFTIME", [node.args["format"], inner]
    name = "TIME" if isinstance(node, exp.Time) else "DATE"
    rest = [node.args.get("zone"), *(node.expressions or [])]
    return name, [part for part in (node.this, *rest) if part is not None]


def _ported(name: str, arguments: list[Any], context: Context) -> Any:
    if name == "STRFTIME":
        pattern, *rest = arguments
        if not isinstance(pattern, exp.Literal):
            raise _Unknown
        return _formatted(pattern.name, rest, context)
    if name == "DATE":
        return _date(arguments, context)
    moment = _moment(arguments, context)
    if name == "DATETIME":
        moment.meta["kind"] = "timestamp"
        return moment
    if name == "TIME":
        return call("DATE_FORMAT", moment, text("HH:mm:ss"), kind="text")
    seconds = call("UNIX_TIMESTAMP", moment, kind="int")
    if name == "UNIXEPOCH":
        return seconds
    days = exp.Div(this=cast(seconds, "DOUBLE"), expression=exp.Literal.number(86400))
    julian = exp.Add(this=days, expression=exp.Literal.number(_JULIAN_EPOCH))
    result = exp.paren(julian, copy=False)
    result.meta["kind"] = julian.meta["kind"] = "float"
    return result


def _difference(node: Any, context: Context) -> bool:
    """``julianday(a) - julianday(b)`` without the detour over the Julian epoch, which costs digits."""
    sides = []
    for side in (node.this, node.expression):
        inner = side.unnest()
        if not (isinstance(inner, exp.Anonymous) and inner.name.upper() == "JULIANDAY"):
            return False
        sides.append(list(inner.expressions))
    try:
        if all(len(side) == 1 and _is_date(side[0], context) for side in sides):
            days = call("DATEDIFF", *(_as_date(side[0], context) for side in sides), kind="int")
            node.replace(cast(days, "DOUBLE"))
            return True
        seconds = [cast(call("UNIX_TIMESTAMP", _moment(side, context)), "DOUBLE") for side in sides]
    except _Unknown:
        return False
    gap = exp.paren(exp.Sub(this=seconds[0], expression=seconds[1]), copy=False)
    result = exp.Div(this=gap, expression=exp.Literal.number(86400))
    result.meta["kind"] = gap.meta["kind"] = "float"
    outer = exp.paren(result, copy=False)
    outer.meta["kind"] = "float"
    node.replace(outer)
    return True


def _is_date(node: Any, context: Context) -> bool:
    inner = node.unnest()
    plain_call = isinstance(inner, exp.Date) and not inner.expressions and kind_of(inner.this, context) == "date"
    return kind_of(node, context) == "date" and (not isinstance(inner, exp.Date) or plain_call)


def _as_date(node: Any, context: Context) -> Any:
    inner = node.unnest()
    return (inner.this if isinstance(inner, exp.Date) else node).copy()


def _is_now(node: Any) -> bool:
    return isinstance(node, exp.Literal) and node.is_string and node.name.strip().lower() == "now"


def _moment(arguments: list[Any], context: Context) -> Any:
    """A TIMESTAMP of a time value and its modifiers."""
    value, *modifiers = arguments or [text("now")]
    words = [item.name.strip().lower() if isinstance(item, exp.Literal) else "" for item in modifiers]
    if words[:1] == ["unixepoch"]:
        inner = value.copy()
        if kind_of(value, context) == "text":
            inner = cast(inner, "BIGINT", may_fail=True)
        moment = call("TIMESTAMP_SECONDS", inner, kind="timestamp")
        modifiers = modifiers[1:]
    elif _is_now(value):
        moment = exp.CurrentTimestamp()
    else:
        kind = kind_of(value, context)
        if kind in ("int", "float", "decimal"):
            raise _Unknown  # a Julian day number
        if kind == "timestamp":
            moment = value.copy()
        else:
            moment = cast(value.copy(), "TIMESTAMP", may_fail=kind != "date" and not isinstance(value, exp.Literal))
    for modifier in modifiers:
        moment = _shifted(moment, modifier, is_date=False)
    return moment


def _date(arguments: list[Any], context: Context) -> Any:
    """A DATE of a time value and its modifiers; days are counted on dates, which keeps the query short."""
    value, *modifiers = arguments or [text("now")]
    words = [item.name.strip().lower() if isinstance(item, exp.Literal) else "" for item in modifiers]
    small = all(re.search(r"second|minute|hour|unixepoch", word) is None for word in words)
    kind = kind_of(value, context)
    if small and (_is_now(value) or kind in ("date", "text", None)):
        if _is_now(value):
            day: Any = exp.CurrentDate()
        elif kind == "date":
            day = value.copy()
        else:
            day = cast(value.copy(), "DATE", may_fail=not isinstance(value, exp.Literal))
        for modifier in modifiers:
            day = _shifted(day, modifier, is_date=True)
        day.meta["kind"] = "date"
        return day
    return cast(_moment(arguments, context), "DATE")


def _shifted(moment: Any, modifier: Any, *, is_date: bool) -> Any:
    """A moment after one modifier."""
    kind = "date" if is_date else "timestamp"
    if isinstance(modifier, exp.DPipe):
        amount, unit = _built_shift(modifier)
        if unit == "DAY" and is_date:
            return call("DATE_ADD", moment, amount, kind=kind)
        shifted: Any = call("TIMESTAMPADD", exp.var(unit), amount, moment, kind="timestamp")
        return cast(shifted, "DATE") if is_date else shifted
    if not isinstance(modifier, exp.Literal):
        raise _Unknown
    word = modifier.name.strip().lower()
    if word in ("localtime", "utc", "auto", "subsec"):
        return moment
    if word in ("start of month", "start of year", "start of day"):
        if is_date and word == "start of day":
            return moment
        start = exp.TimestampTrunc(this=moment, unit=exp.var(word.rpartition(" ")[2].upper()))
        return cast(start, "DATE") if is_date else start
    if found := re.match(r"weekday ([0-6])\Z", word):
        ahead = exp.Mod(
            this=exp.paren(
                exp.Sub(this=exp.Literal.number(int(found[1]) + 8), expression=exp.DayOfWeek(this=moment.copy())),
                copy=False,
            ),
            expression=exp.Literal.number(7),
        )
        if is_date:
            return call("DATE_ADD", moment, ahead, kind=kind)
        return call("TIMESTAMPADD", exp.var("DAY"), ahead, moment, kind=kind)
    shift = _SHIFT.match(word)
    if shift is None or "." in shift[2]:
        raise _Unknown
    node = (exp.Sub if shift[1] == "-" else exp.Add)(
        this=moment, expression=exp.Interval(this=text(shift[2]), unit=exp.var(shift[3].upper()))
    )
    node.meta["kind"] = kind
    return node


def _built_shift(modifier: Any) -> tuple[Any, str]:
    """Amount and unit of a modifier that is put together, e.g. ``'-' || n || ' days'``."""
    parts = [part.unnest() if isinstance(part, exp.Paren) else part for part in modifier.flatten()]
    unit = _UNIT.match(parts[-1].name) if isinstance(parts[-1], exp.Literal) else None
    if unit is None:
        raise _Unknown
    values = parts[:-1]
    sign = ""
    if values and isinstance(values[0], exp.Literal) and values[0].name.strip() in ("-", "+", ""):
        sign = values.pop(0).name.strip()
    if len(values) != 1:
        raise _Unknown
    amount = cast(values[0].copy(), "INT")
    return (exp.Neg(this=amount) if sign == "-" else amount), unit[1].upper()


def _formatted(pattern: str, arguments: list[Any], context: Context) -> Any:
    """``strftime`` as DATE_FORMAT; its numbers that have no pattern letter, as text of a number."""
    if pattern == "%s":
        node = cast(call("UNIX_TIMESTAMP", _moment(arguments, context), kind="int"), "STRING")
    elif pattern == "%w":
        weekday = exp.Sub(this=exp.DayOfWeek(this=_moment(arguments, context)), expression=exp.Literal.number(1))
        node = cast(weekday, "STRING")
    elif pattern == "%J":
        raise _Unknown
    else:
        parts = re.findall(r"%(.)|([^%]+)", pattern)
        if any(letter and letter not in _PATTERNS for letter, _ in parts):
            raise _Unknown
        letters = "".join(_PATTERNS[letter] if letter else _literal(rest) for letter, rest in parts)
        node = call("DATE_FORMAT", _moment(arguments, context), text(letters), kind="text")
    node.meta["kind"] = "text"
    node.meta["digits"] = re.fullmatch(r"%[YmdHMSjsw]", pattern) is not None
    return node


def _literal(rest: str) -> str:
    return re.sub(r"[A-Za-z]+", lambda found: f"'{found[0]}'", rest)
