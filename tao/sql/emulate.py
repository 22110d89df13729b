"""Where DuckDB would give another value than Databricks for the same query: small rewrites of the tree.

Each rule was measured against Spark SQL 4.3 in ANSI mode (tests/fixtures/sql/spark_values.txt holds
what Spark answered). Three kinds of rule live here: rewrites of nodes that sqlglot maps to a function
of another meaning, functions that DuckDB lacks or names otherwise (`tao.sql.macros`), and refusals of what
cannot be emulated. Division by zero needs none: the engine's setting ``ieee_floating_point_ops=false``
makes it the error that it is in Databricks, and NULL / 0 stays NULL.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from tao.sql.dialect import EXTRACT_UNITS, Family, Fault
from tao.sql.macros import MACRO_OF


class Refuse(Exception):
    """Carries a fault out of the walk over a query."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.message)


def _not_emulated(what: str) -> Refuse:
    return Refuse(Fault(Family.EMULATOR, "not_emulated", f"{what} is not emulated"))


def _call(name: str, *args: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[arg.copy() for arg in args])


def _to_macro(name: str, *keys: str) -> Callable[[exp.Expr], None]:
    """A rewrite that calls a macro (or DuckDB function) with the node's arguments under `keys`."""
    target = MACRO_OF.get(name, name)

    def rewrite(node: exp.Expr) -> None:
        node.replace(_call(target, *(node.args[key] for key in keys if node.args.get(key) is not None)))

    return rewrite


def _day_of_week(node: exp.Expr) -> None:
    """Databricks counts Sunday = 1, DuckDB Sunday = 0."""
    node.replace(exp.Paren(this=exp.Add(this=node.copy(), expression=exp.Literal.number(1))))


def _extract(node: exp.Expr) -> None:
    unit = node.this.name.upper()
    if unit in ("DOW", "DAYOFWEEK"):
        node.set("this", exp.var("DOW"))
        _day_of_week(node)
    elif unit in ("DOW_ISO", "DAYOFWEEK_ISO"):
        node.set("this", exp.var("ISODOW"))
    elif unit == "YEAROFWEEK":
        node.set("this", exp.var("ISOYEAR"))


_CASTING = {
    "bigint": "BIGINT", "smallint": "SMALLINT", "tinyint": "TINYINT", "decimal": "DECIMAL(10, 0)",
}  # fmt: skip
_SAME_MEANING = {"std": "stddev", "some": "bool_or", "every": "bool_and", "try_sum": "sum", "try_avg": "avg"}


_ONE_ARGUMENT = frozenset(("try_to_date", "try_to_timestamp", "to_timestamp_ntz", "to_timestamp_ltz"))


def _anonymous(node: exp.Expr) -> None:
    name = node.name.lower()
    if name in _ONE_ARGUMENT and len(node.expressions) != 1:
        raise _not_emulated(f"function {name} with a pattern")
    if name in MACRO_OF:
        node.set("this", MACRO_OF[name])
    elif name in _SAME_MEANING:
        node.set("this", _SAME_MEANING[name])
    elif name in _CASTING:
        node.replace(exp.cast(node.expressions[0].copy(), _CASTING[name]))
    elif name in ("date_part", "datepart"):
        unit, value = node.expressions
        if not (isinstance(unit, exp.Literal) and unit.is_string and unit.this.upper() in EXTRACT_UNITS):
            raise Refuse(Fault(Family.DIALECT, "unit", f"function {name} needs a quoted unit such as 'YEAR'"))
        extract = exp.Extract(this=exp.var(unit.this.upper()), expression=value.copy())
        node.replace(extract)
        _extract(extract)


def _group_concat(node: exp.Expr) -> None:
    """LISTAGG and STRING_AGG without a separator join with ''."""
    if node.args.get("separator") is None:
        node.set("separator", exp.Literal.string(""))


def _date_diff(node: exp.Expr) -> None:
    """DATEDIFF(unit, start, end) counts whole units, DuckDB's DATE_DIFF counts boundaries crossed."""
    unit = node.args["unit"].name.upper()
    if isinstance(node, exp.TimestampDiff) or unit not in ("DAY", "DAYS"):
        start, end = (exp.cast(node.args[key].copy(), "TIMESTAMP") for key in ("expression", "this"))
        node.replace(_call("date_sub", exp.Literal.string(unit), start, end))


_UNIT_NAMES = {"MM": "MONTH", "MON": "MONTH", "YYYY": "YEAR", "YY": "YEAR", "DD": "DAY"}


def _truncate(node: exp.Expr) -> None:
    """DuckDB spells units out; TRUNC gives a DATE in Databricks and DATE_TRUNC a TIMESTAMP, equal once canonical."""
    unit = node.args["unit"]
    name = unit.name.upper()
    if name in _UNIT_NAMES:
        node.set("unit", exp.var(_UNIT_NAMES[name]))


def _date_format(node: exp.Expr) -> None:
    """Letters that sqlglot has no pattern for come through as themselves: refuse them."""
    pattern = node.args.get("format")
    if isinstance(pattern, exp.Literal) and any(c.isalpha() for c in _STRFTIME.sub("", pattern.this)):
        raise _not_emulated("this date pattern")


_STRFTIME = re.compile(r"%-?[A-Za-z](?:strict)?|'[^']*'")


def _format(node: exp.Expr) -> None:
    node.replace(_call("printf", node.this, *node.expressions))


def _any(node: exp.Expr) -> None:
    inner = node.this.this if isinstance(node.this, exp.Paren) else node.this
    if isinstance(inner, exp.Query | exp.Tuple):
        return  # a quantified LIKE
    node.replace(_call("bool_or", inner))


def _replace(node: exp.Expr) -> None:
    """REPLACE(text, search) takes the search string out."""
    if node.args.get("replacement") is None:
        node.set("replacement", exp.Literal.string(""))


def _substring(node: exp.Expr) -> None:
    """Position 0 means 1."""
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.this == "0":
        node.set("start", exp.Literal.number(1))


def _log(node: exp.Expr) -> None:
    base, value = node.this, node.args.get("expression")
    node.replace(_call(MACRO_OF["ln"], base) if value is None else _call(MACRO_OF["log"], base, value))


def _like(node: exp.Expr) -> None:
    r"""In Databricks a backslash escapes in every pattern, in DuckDB only where ESCAPE says so."""
    pattern = node.args["expression"]
    if isinstance(pattern, exp.Literal) and "\\" in pattern.this and not isinstance(node.parent, exp.Escape):
        node.replace(exp.Escape(this=node.copy(), expression=exp.Literal.string("\\")))


def _group(node: exp.Expr) -> None:
    for word in ("rollup", "cube"):
        if any(not item.expressions for item in node.args.get(word) or ()):
            raise _not_emulated(f"GROUP BY ... WITH {word.upper()}")


REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.DayOfWeek: _day_of_week,
    exp.Extract: _extract,
    exp.Anonymous: _anonymous,
    exp.GroupConcat: _group_concat,
    exp.DateDiff: _date_diff,
    exp.TimestampDiff: _date_diff,
    exp.DateTrunc: _truncate,
    exp.TimestampTrunc: _truncate,
    exp.TimeToStr: _date_format,
    exp.Format: _format,
    exp.Any: _any,
    exp.Replace: _replace,
    exp.Substring: _substring,
    exp.Log: _log,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Group: _group,
    exp.Quantile: _to_macro("quantile_cont", "this", "quantile"),
    exp.ApproxQuantile: _to_macro("quantile_disc", "this", "quantile"),
    exp.Kurtosis: _to_macro("kurtosis_pop", "this"),
    exp.Ln: _to_macro("ln", "this"),
    exp.Sqrt: _to_macro("sqrt", "this"),
    exp.Rint: _to_macro("rint", "this"),
    exp.Negative: _to_macro("negative", "this"),
    exp.Nanvl: _to_macro("nanvl", "this", "expression"),
    exp.SafeAdd: _to_macro("try_add", "this", "expression"),
    exp.SafeSubtract: _to_macro("try_subtract", "this", "expression"),
    exp.SafeMultiply: _to_macro("try_multiply", "this", "expression"),
    exp.RegexpSubstr: _to_macro("regexp_substr", "this", "expression"),
    exp.SubstringIndex: _to_macro("substring_index", "this", "delimiter", "count"),
    exp.Dayname: _to_macro("dayname", "this"),
    exp.Monthname: _to_macro("monthname", "this"),
}
