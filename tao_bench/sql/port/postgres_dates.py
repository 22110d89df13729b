"""PostgreSQL's dates: differences, parts, ages and format strings."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from tao_bench.sql.port.context import TIMES, Context, call, cast, kind_of, text

_FORMATS = (
    ("YYYY", "yyyy"), ("HH24", "HH"), ("HH12", "hh"), ("MI", "mm"), ("SS", "ss"), ("DD", "dd"), ("Month", "MMMM"),
    ("Mon", "MMM"), ("MM", "MM"), ("Day", "EEEE"), ("Dy", "EEE"), ("YY", "yy"), ("AM", "a"), ("Q", "q"),
)  # fmt: skip
_PADDED = {"Month": 9, "Day": 9}


def weekday_number(root: Any, context: Context) -> bool:
    """``EXTRACT(DOW ...)`` counts from Sunday = 0 in PostgreSQL, ``DAYOFWEEK`` from Sunday = 1."""
    if context.read != "postgres":
        return False
    changed = False
    for node in list(root.find_all(exp.Extract)):
        part = node.this.name.upper()
        if part == "DOW":
            day: Any = exp.Sub(this=exp.DayOfWeek(this=node.expression.copy()), expression=exp.Literal.number(1))
        elif part == "ISODOW":
            day = exp.Add(this=call("WEEKDAY", node.expression.copy(), kind="int"), expression=exp.Literal.number(1))
        else:
            continue
        node.replace(exp.paren(day, copy=False) if isinstance(node.parent, exp.Binary) else day)
        changed = True
    return changed


def epoch_seconds(root: Any, context: Context) -> bool:
    """``EXTRACT(EPOCH FROM x)`` in seconds of a moment, or of the time between two."""
    if context.read != "postgres":
        return False
    changed = False
    for node in list(root.find_all(exp.Extract)):
        if node.this.name.upper() != "EPOCH":
            continue
        inner = node.expression.unnest()
        if isinstance(inner, exp.Sub) and kind_of(inner, context) == "interval":
            micros: Any = exp.paren(
                exp.Sub(this=_micros(inner.this, context), expression=_micros(inner.expression, context)), copy=False
            )
        elif kind_of(inner, context) in TIMES:
            micros = _micros(inner, context)
        else:
            continue
        seconds = exp.Div(this=micros, expression=exp.Literal.number(1_000_000), typed=False, safe=False)
        result = exp.paren(seconds, copy=False)
        micros.meta["kind"] = "float"
        result.meta["kind"] = seconds.meta["kind"] = "float"
        node.replace(result)
        changed = True
    return changed


def _micros(node: Any, context: Context) -> Any:
    moment = node.unnest().copy()
    if kind_of(node, context) != "timestamp":
        moment = cast(moment, "TIMESTAMP")
    return call("UNIX_MICROS", moment, kind="int")


def date_difference(root: Any, context: Context) -> bool:
    """``date - date`` is a number of days in PostgreSQL and an interval in Databricks; so for ``date + 1``."""
    if context.read != "postgres":
        return False
    changed = False
    for node in list(root.find_all(exp.Sub, exp.Add)):
        kinds = (kind_of(node.this, context), kind_of(node.expression, context))
        if kinds == ("date", "date") and isinstance(node, exp.Sub):
            sides = (node.this.unnest().copy(), node.expression.unnest().copy())
            node.replace(call("DATEDIFF", *sides, kind="int"))
        elif kinds == ("date", "int"):
            name = "DATE_SUB" if isinstance(node, exp.Sub) else "DATE_ADD"
            node.replace(call(name, node.this.copy(), node.expression.copy(), kind="date"))
        else:
            continue
        changed = True
    return changed


def age_in_years(root: Any, context: Context) -> bool:
    """``EXTRACT(YEAR FROM AGE(a, b))`` as whole twelfths of the months between; other parts of an age by analogy."""
    changed = False
    for node in list(root.find_all(exp.Extract)):
        inner = node.expression.unnest()
        if not (isinstance(inner, exp.Anonymous) and inner.name.upper() == "AGE"):
            continue
        arguments = [item.copy() for item in inner.expressions]
        later, earlier = arguments if len(arguments) == 2 else (exp.CurrentDate(), arguments[0])
        months = call("MONTHS_BETWEEN", later, earlier, kind="float")
        part = node.this.name.upper()
        if part == "YEAR":
            years = exp.Div(this=months, expression=exp.Literal.number(12), typed=False, safe=False)
            result: Any = exp.Floor(this=years)
        elif part == "MONTH":
            result = exp.Mod(this=exp.Floor(this=months), expression=exp.Literal.number(12))
        else:
            continue
        result.meta["kind"] = "int"
        node.replace(result)
        changed = True
    return changed


def format_strings(root: Any, context: Context) -> bool:
    """PostgreSQL's format letters as Java's; ``Month`` and ``Day`` are padded there, and lenient when they are read."""
    if context.read != "postgres":
        return False
    changed = False
    for node in list(root.find_all(exp.TimeToStr, exp.StrToDate, exp.StrToTime, exp.ToChar)):
        pattern = node.args.get("format")
        if not isinstance(pattern, exp.Literal):
            continue
        letters = _letters(pattern.name)
        inner = node.this
        if isinstance(node, exp.TimeToStr | exp.ToChar):
            if isinstance(inner, exp.Cast) and inner.to.this.value == "TIME":
                inner = inner.this
            result: Any = call("DATE_FORMAT", inner.copy(), text(letters), kind="text")
            if width := _PADDED.get(pattern.name):
                result = call("RPAD", result, exp.Literal.number(width), text(" "), kind="text")
        else:
            name, kind = ("TO_DATE", "date") if isinstance(node, exp.StrToDate) else ("TO_TIMESTAMP", "timestamp")
            value = exp.Trim(this=inner.copy()) if "MMM" in letters else inner.copy()
            result = call(name, value, text(letters), kind=kind)
        node.replace(result)
        changed = True
    return changed


def _letters(pattern: str) -> str:
    """Java's pattern of a PostgreSQL one, which sqlglot may have turned into strftime letters."""
    strftime = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%I": "hh", "%M": "mm", "%S": "ss", "%B": "MMMM"}
    strftime |= {"%b": "MMM", "%A": "EEEE", "%a": "EEE", "%y": "yy", "%p": "a", "%-d": "d", "%-m": "M", "%j": "DDD"}
    if "%" in pattern:
        return re.sub(r"%-?.", lambda found: strftime.get(found[0], found[0]), pattern)
    table = {name.lower(): letters for name, letters in _FORMATS}
    names = "|".join(name for name, _ in _FORMATS)
    return re.sub(names, lambda found: table[found[0].lower()], pattern, flags=re.IGNORECASE)


def seconds_to_timestamp(root: Any, context: Context) -> bool:
    """``TO_TIMESTAMP(number)`` as ``TIMESTAMP_SECONDS``: no detour over text, which loses the time zone."""
    changed = False
    for node in list(root.find_all(exp.UnixToTime)):
        if node.args.get("scale") is None:
            node.replace(call("TIMESTAMP_SECONDS", node.this.copy(), kind="timestamp"))
            changed = True
    return changed
