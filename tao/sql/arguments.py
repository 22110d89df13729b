"""What kinds of arguments functions take, and the casts that Databricks makes by itself and DuckDB does not."""

from __future__ import annotations

import re

from sqlglot import exp

from tao.sql.dialect import Family
from tao.sql.emulate import call
from tao.sql.scope import Kind, refuse

NUMERIC = frozenset(("INT", "DECIMAL", "DOUBLE"))
FRACTIONS = frozenset(("DECIMAL", "DOUBLE"))
DATES = frozenset(("DATE", "TIMESTAMP"))
CAST_KINDS = {
    **dict.fromkeys(("INT", "BIGINT", "SMALLINT", "TINYINT"), "INT"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "DOUBLE"),
    **dict.fromkeys(("TEXT", "VARCHAR", "CHAR", "STRING"), "STRING"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPLTZ", "TIMESTAMPNTZ", "TIMESTAMP_NTZ"), "TIMESTAMP"),
    **{name: name for name in ("DECIMAL", "DATE", "BOOLEAN", "BINARY")},
}
_ZONE = re.compile(r":\d{2}(?:\.\d+)?\s*(?:[+-]\d|[A-Za-z])")
_SPECIAL_DAYS = {"now": 0, "today": 0, "yesterday": -1, "tomorrow": 1}
_WHOLE = re.compile(r"\s*[+-]?\d+\s*")
_NUMBER_FIRST = (
    *(exp.Abs, exp.Round, exp.Ceil, exp.Floor, exp.Sqrt, exp.Cbrt, exp.Exp, exp.Ln, exp.Sign, exp.Degrees, exp.Radians),
    *(exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Sinh, exp.Cosh, exp.Tanh, exp.Rint, exp.Neg),
)
_DATE_FIRST = (
    *(exp.Year, exp.Month, exp.Day, exp.DayOfWeek, exp.DayOfMonth, exp.DayOfYear, exp.WeekOfYear, exp.Quarter),
    *(exp.LastDay, exp.NextDay, exp.TsOrDsAdd, exp.Dayname, exp.Monthname, exp.UnixDate),
)
# Node type to argument to what Databricks casts it to: number, date or time.
ARGUMENTS: dict[type[exp.Expr], dict[str, str]] = {
    **{key: {"this": "number"} for key in _NUMBER_FIRST},
    **{key: {"this": "date"} for key in _DATE_FIRST},
    **{key: {"this": "time"} for key in (exp.Hour, exp.Minute, exp.Second)},
    **{key: {"this": "time"} for key in (exp.UnixSeconds, exp.UnixMicros, exp.UnixMillis)},
    **{key: {"this": "number", "expression": "number"} for key in (exp.Pow, exp.Atan2, exp.Log)},
    exp.Extract: {"expression": "time"},
    exp.TimestampAdd: {"this": "time"},
}
UNCAST = {exp.UnixSeconds: "TIMESTAMP", exp.UnixMicros: "TIMESTAMP", exp.UnixMillis: "TIMESTAMP", exp.UnixDate: "DATE"}
"""Functions whose argument Databricks does not cast, not even from text: node type to the kind it must have."""
RESULTS: dict[type[exp.Expr], Kind] = {
    **dict.fromkeys((exp.Count, exp.CountIf, exp.Length, exp.Year, exp.Month, exp.Day, exp.Quarter, exp.Hour), "INT"),
    **dict.fromkeys((exp.DayOfWeek, exp.DayOfMonth, exp.DayOfYear, exp.Extract, exp.DateDiff, exp.TsOrDsDiff), "INT"),
    **dict.fromkeys((exp.WeekOfYear, exp.Minute, exp.Second, exp.UnixDate, exp.Levenshtein, exp.Factorial), "INT"),
    **dict.fromkeys((exp.UnixSeconds, exp.UnixMicros, exp.UnixMillis), "INT"),
    **dict.fromkeys((exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.IntDiv, exp.StrPosition, exp.Floor), "INT"),
    **dict.fromkeys((exp.Ceil, exp.Ascii, exp.RegexpCount, exp.ArraySize, exp.ApproxDistinct), "INT"),
    **dict.fromkeys((exp.Div, exp.Avg, exp.Stddev, exp.Variance, exp.Sqrt, exp.Median, exp.Pow, exp.Ln), "DOUBLE"),
    **dict.fromkeys((exp.Exp, exp.Log, exp.Cbrt, exp.PercentRank, exp.CumeDist, exp.Rand, exp.Pi, exp.Corr), "DOUBLE"),
    **dict.fromkeys((exp.Upper, exp.Lower, exp.Concat, exp.Substring, exp.Left, exp.Right, exp.Trim), "STRING"),
    **dict.fromkeys((exp.DPipe, exp.TimeToStr, exp.Replace, exp.Initcap, exp.GroupConcat, exp.Pad), "STRING"),
    **dict.fromkeys((exp.ConcatWs, exp.Repeat, exp.SplitPart, exp.RegexpExtract, exp.RegexpReplace), "STRING"),
    **dict.fromkeys((exp.Dayname, exp.Monthname, exp.SubstringIndex, exp.UnixToStr), "STRING"),
    **dict.fromkeys((exp.CurrentDate, exp.TsOrDsToDate, exp.LastDay, exp.NextDay, exp.TsOrDsAdd, exp.DateAdd), "DATE"),
    **dict.fromkeys((exp.CurrentTimestamp, exp.TimestampTrunc, exp.StrToTime, exp.TimestampAdd), "TIMESTAMP"),
    **dict.fromkeys((exp.StartsWith, exp.EndsWith, exp.Contains, exp.LogicalAnd, exp.LogicalOr), "BOOLEAN"),
    exp.DateTrunc: "DATE",
    exp.StrToDate: "DATE",
    exp.DateFromParts: "DATE",
    exp.Boolean: "BOOLEAN",
    **dict.fromkeys((exp.HexString, exp.Unhex, exp.FromBase64), "BINARY"),
}
SAME_AS_FIRST: tuple[type[exp.Expr], ...] = (
    *(exp.Paren, exp.Min, exp.Max, exp.AnyValue, exp.First, exp.Last, exp.Distinct, exp.Filter, exp.Lag, exp.Lead),
    *(exp.FirstValue, exp.LastValue, exp.Abs, exp.Round, exp.Neg, exp.Nullif, exp.Ordered, exp.IgnoreNulls),
    *(exp.RespectNulls, exp.NthValue, exp.ArgMax, exp.ArgMin, exp.Mode, exp.WithinGroup),
)


def column_kind(type_name: str) -> Kind:
    """The kind of an instance file's column type, e.g. DECIMAL for ``DECIMAL(10,2)``."""
    return CAST_KINDS.get(type_name.split("(", 1)[0])


def text_literal(node: exp.Expr) -> str | None:
    """The text of a string literal, else None."""
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def _whole_date(text: str) -> str:
    """A date literal with month and day: Databricks reads '2024' and '2024-03' as their first days."""
    text = text.strip()
    if re.fullmatch(r"\d{4}", text):
        return f"{text}-01-01"
    return f"{text}-01" if re.fullmatch(r"\d{4}-\d{1,2}", text) else text


def as_date(node: exp.Expr, kind: Kind) -> exp.Expr:
    """A value cast to DATE where it is none (a copy)."""
    if kind == "DATE":
        return node.copy()
    text = text_literal(node)
    if text is not None:
        return exp.cast(exp.Literal.string(_whole_date(text)), "DATE")
    return exp.cast(call("date_text", node) if kind == "STRING" else node.copy(), "DATE")


def as_time(node: exp.Expr, kind: Kind) -> exp.Expr:
    """A value cast to TIMESTAMP where it is none (a copy); a time zone in a text is honoured."""
    if kind == "TIMESTAMP":
        return node.copy()
    text = text_literal(node)
    if text is not None and not _ZONE.search(text):
        return exp.cast(exp.Literal.string(_whole_date(text)), "TIMESTAMP")
    return call("text_time", node) if kind == "STRING" else exp.cast(node.copy(), "TIMESTAMP")


def as_whole(node: exp.Expr, kind: Kind) -> exp.Expr:
    """A value cast to BIGINT (a copy): '2.7' is an error, not 3."""
    text = text_literal(node)
    if kind == "STRING" and not (text is not None and _WHOLE.fullmatch(text)):
        node = call("whole_text", node)
    return exp.cast(node.copy(), "BIGINT")


def as_text(node: exp.Expr, kind: Kind) -> exp.Expr:
    """A value as Databricks writes it (a copy); doubles in Java's form."""
    if kind == "STRING":
        return node.copy()
    return call("double_text", node) if kind == "DOUBLE" else exp.cast(node.copy(), "TEXT")


def as_kind(node: exp.Expr, kind: Kind, to: str) -> exp.Expr:
    """A text value cast to another kind (a copy)."""
    if to == "DATE":
        return as_date(node, kind)
    if to == "TIMESTAMP":
        return as_time(node, kind)
    if to == "INT":
        return as_whole(node, kind)
    return exp.cast(node.copy(), to)


def cast_arguments(node: exp.Expr, kinds: dict[str, Kind]) -> None:
    """Cast a function's text arguments as Databricks does, in their places.

    Raises:
        Refuse: An argument has a kind that the function does not take.
    """
    if isinstance(node, exp.TsOrDsAdd) and kinds.get("expression") in FRACTIONS:
        raise refuse("type_mismatch", "a date moves by whole days")
    for key, want in ARGUMENTS[type(node)].items():
        argument, kind = node.args.get(key), kinds.get(key)
        if argument is None or kind is None:
            if want != "number" and isinstance(argument, exp.Null):
                argument.replace(exp.cast(exp.Null(), "DATE"))
            continue
        if want == "number":
            if kind == "STRING":
                argument.replace(exp.cast(argument.copy(), "DOUBLE"))
            elif kind not in NUMERIC:
                raise refuse("type_mismatch", f"function {node.sql_name().lower()} takes numbers, not {kind}")
        elif kind not in ("STRING", *DATES) or UNCAST.get(type(node), kind) != kind:
            raise refuse("type_mismatch", f"function {node.sql_name().lower()} takes dates, not {kind}")
        elif kind == "STRING":
            argument.replace(as_date(argument, kind) if want == "date" else as_time(argument, kind))


_CLASHES = (NUMERIC | {"BOOLEAN"}, DATES | {"BINARY"})


def check_union(left: Kind, right: Kind) -> None:
    """Refuse a set operation over two columns that have no common type.

    Raises:
        Refuse: Databricks has no common type for them.
    """
    pair = {left, right} - {None}
    mixed = pair & _CLASHES[0] and pair & _CLASHES[1]
    if mixed or ("BOOLEAN" in pair and pair & NUMERIC):
        raise refuse("type_mismatch", f"a set operation cannot join {left} and {right} columns")


def common_kind(kinds: list[Kind]) -> Kind:
    """The type of a value that is one of several; None where it is not known.

    Raises:
        Refuse: Databricks has no common type for them.
    """
    known = {kind for kind in kinds if kind is not None}
    if known & NUMERIC and known & (DATES | {"BOOLEAN"}):
        raise refuse("type_mismatch", f"no common type of {' and '.join(sorted(known))}")
    if len(known) == 1:
        return next(iter(known))
    if known and known <= NUMERIC:
        return "DOUBLE" if "DOUBLE" in known else "DECIMAL"
    return "TIMESTAMP" if known == DATES else None


def match_kinds(sides: list[exp.Expr], kinds: list[Kind]) -> None:
    """Refuse or cast the sides of a comparison so that DuckDB compares as Databricks does.

    Raises:
        Refuse: Databricks does not compare these types.
    """
    known = {kind for kind in kinds if kind is not None}
    if "BOOLEAN" in known and known & (NUMERIC | DATES):
        raise refuse("type_mismatch", "cannot compare BOOLEAN with " + min(known - {"BOOLEAN", "STRING"}))
    if known & DATES and known & NUMERIC:
        raise refuse("type_mismatch", "cannot compare DATE with a number")
    others = known - {"STRING"}
    if "STRING" in known and others:
        to = "DOUBLE" if others & FRACTIONS else "TIMESTAMP" if "TIMESTAMP" in others else min(others)
        for side, kind in zip(sides, kinds, strict=True):
            if kind == "STRING" and _needs_cast(side, to):
                side.replace(as_kind(side, kind, to))


def _needs_cast(side: exp.Expr, to: str) -> bool:
    """Whether DuckDB would not read a text as Databricks does: any column, and few literals."""
    text = text_literal(side)
    if text is None:
        return True
    if to == "INT":
        return not _WHOLE.fullmatch(text)
    return to in DATES and (_whole_date(text) != text or bool(_ZONE.search(text)))


def cast_explicitly(node: exp.Expr, source: Kind) -> Kind:
    """Make an explicit CAST mean what it does in Databricks; returns its type.

    Raises:
        Refuse: Databricks has no such cast.
    """
    target = CAST_KINDS.get(node.args["to"].this.name)
    if target == "DECIMAL" and not node.args["to"].expressions:
        node.set("to", exp.DataType.build("DECIMAL(10, 0)"))
    if node.args["to"].this.name == "TIME":
        raise refuse("not_emulated", "type TIME is not emulated", Family.EMULATOR)
    value = node.this
    wrong = (
        (target in ("DATE",) and source in NUMERIC | {"BOOLEAN"})
        or (source == "DATE" and target in NUMERIC | {"BOOLEAN"})
        or (source == "BOOLEAN" and target == "DATE")
    )
    if wrong:
        raise refuse("type_mismatch", f"cannot cast {source} to {target}")
    is_try = isinstance(node, exp.TryCast)
    if source in FRACTIONS and target == "INT":  # Databricks cuts the fraction off, DuckDB rounds
        value.replace(exp.Anonymous(this="trunc", expressions=[value.copy()]))
    elif source == "STRING" and target == "INT":
        text = text_literal(value)
        if text is None or not _WHOLE.fullmatch(text):
            value.replace(call("try_whole_text" if is_try else "whole_text", value))
    elif source == "STRING" and target == "DATE":
        text = text_literal(value)
        if text is None:
            value.replace(call("date_text", value))
        elif text.strip().lower() in _SPECIAL_DAYS:
            day = exp.Literal.number(_SPECIAL_DAYS[text.strip().lower()])
            value.replace(exp.Paren(this=exp.Add(this=exp.CurrentDate(), expression=day)))
        else:
            value.replace(exp.Literal.string(_whole_date(text)))
    elif source == "STRING" and target == "TIMESTAMP":
        text = text_literal(value)
        if text is None or _ZONE.search(text):
            node.replace(call("try_text_time" if is_try else "text_time", value))
        else:
            value.replace(exp.Literal.string(_whole_date(text)))
    elif source in NUMERIC and target == "TIMESTAMP":
        node.replace(call("timestamp_seconds", value))
    elif source == "TIMESTAMP" and target == "INT":
        node.replace(call("to_seconds", value))
    elif source == "TIMESTAMP" and target == "DOUBLE":
        node.replace(call("epoch", value))
    elif source == "DOUBLE" and target == "STRING":
        value.replace(call("double_text", value))
    return target
