"""Calls that keep their own name through the parser, because its node for them loses what Databricks means.

sqlglot reads a date pattern into another pattern, a unit into its long name and `DATEDIFF` of two or of
three arguments into one node; each of these has another meaning or result in Databricks. Here every such
call gets its types checked and its DuckDB form, from the arguments as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from tao.sql.arguments import DATES, as_date, as_text, as_time
from tao.sql.dialect import Family
from tao.sql.emulate import call
from tao.sql.scope import Kind, refuse

Rewrite = Callable[[exp.Anonymous, list[exp.Expr], list[Kind]], Kind]

_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_TRUNC_UNITS = {
    **dict.fromkeys(("YEAR", "YYYY", "YY"), "YEAR"),
    "QUARTER": "QUARTER",
    **dict.fromkeys(("MONTH", "MM", "MON"), "MONTH"),
    "WEEK": "WEEK",
}
_DATE_TRUNC_UNITS = {
    **_TRUNC_UNITS,
    **dict.fromkeys(("DAY", "DD"), "DAY"),
    **{unit: unit for unit in ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")},
}
# Letters of a date pattern, as many as they stand together, and strftime's for them.
_PATTERN = {
    "yyyy": "%Y", "y": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "LLLL": "%B", "LLL": "%b",
    "LL": "%m", "L": "%-m", "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M",
    "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p", "EEEE": "%A", "EEE": "%a", "EE": "%a",
    "E": "%a", "DDD": "%j", "D": "%-j",
}  # fmt: skip
_QUARTERS = {"Q": "", "QQ": "0", "QQQ": "Q", "q": "", "qq": "0", "qqq": "Q"}
_PATTERN_PARTS = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+")


def _unit(node: exp.Expr, units: dict[str, str], name: str) -> str:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise refuse("not_emulated", f"{name} with a computed unit is not emulated", Family.EMULATOR)
    unit = units.get(node.this.upper())
    if unit is None:
        raise refuse("unit", f"{name} knows no unit '{node.this}', its result would be NULL")
    return unit


def _check_dates(name: str, kinds: list[Kind]) -> None:
    for kind in kinds:
        if kind not in (None, "STRING", *DATES):
            raise refuse("type_mismatch", f"function {name} takes dates, not {kind}")


def _date_trunc(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    unit = _unit(args[0], _DATE_TRUNC_UNITS, "DATE_TRUNC")
    _check_dates("date_trunc", kinds[1:])
    node.replace(call("date_trunc", exp.Literal.string(unit), as_time(args[1], kinds[1])))
    return "TIMESTAMP"


def _trunc(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    _check_dates("trunc", kinds[:1])
    unit = _unit(args[1], _TRUNC_UNITS, "TRUNC")
    whole = call("date_trunc", exp.Literal.string(unit), as_date(args[0], kinds[0]))
    node.replace(exp.cast(whole, "DATE"))
    return "DATE"


def _date_diff(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    name = node.name.lower()
    if len(args) == 2:
        _check_dates(name, kinds)
        start, end = as_date(args[1], kinds[1]), as_date(args[0], kinds[0])
        node.replace(call("date_diff", exp.Literal.string("DAY"), start, end))
        return "INT"
    _check_dates(name, kinds[1:])
    unit = args[0].name.upper()
    start, end = as_time(args[1], kinds[1]), as_time(args[2], kinds[2])
    if unit in _MONTHS:
        months = call("months_whole", start, end)
        size = exp.Literal.number(_MONTHS[unit])
        node.replace(months if unit == "MONTH" else exp.Paren(this=exp.IntDiv(this=months, expression=size)))
    else:
        unit = "DAY" if unit == "DAYOFYEAR" else unit
        node.replace(call("date_sub", exp.Literal.string(unit), start, end))
    return "INT"


def _months_between(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    _check_dates("months_between", kinds[:2])
    times = [as_time(arg, kind) for arg, kind in zip(args[:2], kinds[:2], strict=True)]
    node.replace(call("months_between", *times, *args[2:]))
    return "DOUBLE"


def _add_months(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    _check_dates("add_months", kinds[:1])
    if kinds[1] not in ("INT", "STRING", None):
        raise refuse("type_mismatch", f"function add_months takes a whole number of months, not {kinds[1]}")
    node.replace(call("add_months", as_date(args[0], kinds[0]), args[1]))
    return "DATE"


def _date_format(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    _check_dates(node.name.lower(), kinds[:1])
    if not (isinstance(args[1], exp.Literal) and args[1].is_string):
        raise refuse("not_emulated", "a computed date pattern is not emulated", Family.EMULATOR)
    node.replace(formatted(as_time(args[0], kinds[0]), args[1].this))
    return "STRING"


def formatted(time: exp.Expr, pattern: str) -> exp.Expr:
    """DuckDB's text of a timestamp under a Databricks pattern.

    Raises:
        Refuse: A letter of the pattern is not emulated.
    """
    pieces: list[exp.Expr] = []
    text = ""
    for part in _PATTERN_PARTS.finditer(pattern):
        letters = part[0]
        if letters.startswith("'"):
            text += (letters[1:-1].replace("''", "'") or "'").replace("%", "%%")
        elif not letters[0].isalpha():
            text += letters.replace("%", "%%")
        elif letters in _PATTERN:
            text += _PATTERN[letters]
        elif letters in _QUARTERS:
            text += _QUARTERS[letters]
            if text:
                pieces.append(call("strftime", time, exp.Literal.string(text)))
            pieces.append(exp.cast(call("quarter", time), "TEXT"))
            text = ""
        else:
            raise refuse("not_emulated", "this date pattern is not emulated", Family.EMULATOR)
    if text or not pieces:
        pieces.append(call("strftime", time, exp.Literal.string(text)))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = exp.DPipe(this=joined, expression=piece)
    return exp.Paren(this=joined) if len(pieces) > 1 else joined


# Names that Java and DuckDB's ICU read alike; 'PST', '+02:00' and 'europe/berlin' they do not.
_ZONE_NAME = re.compile(r"UTC|(?:[A-Z][A-Za-z]+/)(?:[A-Z][A-Za-z_]+/)?[A-Z][A-Za-z_-]+")


def _check_zone(node: exp.Expr, kind: Kind) -> None:
    """A zone is a column of text, or one of the names that are the same everywhere."""
    if kind not in (None, "STRING"):
        raise refuse("type_mismatch", f"a time zone is text, not {kind}")
    if isinstance(node, exp.Literal) and not _ZONE_NAME.fullmatch(node.this):
        raise refuse("not_emulated", f"the time zone '{node.this}' is not emulated", Family.EMULATOR)


def _at_zone(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    """FROM_UTC_TIMESTAMP and TO_UTC_TIMESTAMP."""
    _check_dates(node.name.lower(), kinds[:1])
    _check_zone(args[1], kinds[1])
    node.replace(call(node.name.lower(), as_time(args[0], kinds[0]), args[1]))
    return "TIMESTAMP"


def _convert_timezone(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    """From one zone (the session's, UTC, where it is not said) to another."""
    *zones, time = args
    _check_dates("convert_timezone", kinds[-1:])
    for zone, kind in zip(zones, kinds[:-1], strict=True):
        _check_zone(zone, kind)
    utc = as_time(time, kinds[-1])
    if len(zones) == 2:
        utc = call("to_utc_timestamp", utc, zones[0])
    node.replace(call("from_utc_timestamp", utc, zones[-1]))
    return "TIMESTAMP"


_SPECIFIER = re.compile(r"%%|%n|%([-#+ 0,(]*)(\d*)(?:\.(\d+))?([a-zA-Z])")


def _format_string(node: exp.Anonymous, args: list[exp.Expr], kinds: list[Kind]) -> Kind:
    """FORMAT_STRING: piece by piece, since Java rounds halves up, takes anything for %s and writes NULL as null."""
    first = args[0]
    if not (isinstance(first, exp.Literal) and first.is_string):
        raise refuse("not_emulated", "a computed format is not emulated", Family.EMULATOR)
    rest = list(zip(args[1:], kinds[1:], strict=True))
    pieces: list[exp.Expr] = [exp.Literal.string("")]
    end = 0
    for found in _SPECIFIER.finditer(first.this):
        pieces.append(exp.Literal.string(first.this[end : found.start()]))
        end = found.end()
        if found[4] is None:
            pieces.append(exp.Literal.string("%" if found[0] == "%%" else "\n"))
            continue
        if found[4] not in "sdfxXeE" or not rest or "(" in found[1]:
            raise refuse("not_emulated", "this format is not emulated", Family.EMULATOR)
        value, kind = rest.pop(0)
        if found[4] == "s":
            value = exp.Coalesce(this=as_text(value, kind), expressions=[exp.Literal.string("null")])
        elif found[4] == "f":
            digits = exp.Literal.number(int(found[3]) if found[3] else 6)
            value = call("round_double", exp.cast(value, "DOUBLE"), digits)
        text = call("printf", exp.Literal.string(found[0]), value)
        pieces.append(exp.Coalesce(this=text, expressions=[exp.Literal.string("null")]))
    pieces.append(exp.Literal.string(first.this[end:]))
    pieces = [p for p in pieces if not (isinstance(p, exp.Literal) and p.this == "")] or pieces[:1]
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = exp.DPipe(this=joined, expression=piece)
    node.replace(exp.Paren(this=joined))
    return "STRING"


CALLS: dict[str, Rewrite] = {
    "date_trunc": _date_trunc,
    "trunc": _trunc,
    **dict.fromkeys(("datediff", "date_diff", "timediff", "timestampdiff"), _date_diff),
    "months_between": _months_between,
    "add_months": _add_months,
    "date_format": _date_format,
    **dict.fromkeys(("format_string", "printf"), _format_string),
    **dict.fromkeys(("from_utc_timestamp", "to_utc_timestamp"), _at_zone),
    "convert_timezone": _convert_timezone,
}
FIRST_IS_UNIT = frozenset(("datediff", "date_diff", "timediff", "timestampdiff"))  # where there are three arguments
