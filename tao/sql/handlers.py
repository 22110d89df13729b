"""How each kind of expression is resolved: the types it takes, the casts it needs, the type it gives.

One function an expression, all of one form: they get the walk (to visit what is inside), the node and
the scope, may change the node in place or put another in its place, and return the kind of its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from sqlglot import exp

from tao.sql.arguments import (
    ARGUMENTS,
    DATES,
    FRACTIONS,
    NUMERIC,
    RESULTS,
    as_kind,
    as_text,
    as_time,
    cast_arguments,
    cast_explicitly,
    common_kind,
    match_kinds,
)
from tao.sql.calls import CALLS, FIRST_IS_UNIT, formatted
from tao.sql.dialect import Family, functions
from tao.sql.emulate import call
from tao.sql.scope import Kind, Scope, refuse

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_TEXT_FIRST = (
    *(exp.Upper, exp.Lower, exp.Length, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Replace, exp.Pad),
    *(exp.Ascii, exp.Contains, exp.Initcap, exp.StartsWith, exp.EndsWith, exp.StrPosition, exp.Reverse, exp.Split),
)
_LIKES = (exp.Like, exp.ILike, exp.RegexpLike)
_SUMS = (exp.Sum, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.Median)
_CASTING = {"bigint": "BIGINT", "smallint": "SMALLINT", "tinyint": "TINYINT", "decimal": "DECIMAL(10, 0)"}
_RESULT_OF: dict[str, Kind] = {
    **dict.fromkeys(("weekday", "pmod", "find_in_set", "octet_length"), "INT"),
    **dict.fromkeys(("format_number", "substring_index", "btrim", "regexp_substr"), "STRING"),
    **dict.fromkeys(("timestamp_seconds", "timestamp_millis", "timestamp_micros", "try_to_timestamp"), "TIMESTAMP"),
    "try_to_date": "DATE",
    **dict.fromkeys(("isnull", "isnotnull", "regexp", "some", "every"), "BOOLEAN"),
}
_NEEDS_ORDER = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.Ntile, exp.PercentRank, exp.CumeDist)


class Walker(Protocol):
    """The walk over a query, as the handlers see it."""

    def visit(self, node: exp.Expr, scope: Scope) -> Kind:
        """Resolve an expression; returns its type, None where it is not known."""
        ...

    def condition(self, node: exp.Expr, scope: Scope) -> Kind:
        """Resolve an expression that must be BOOLEAN."""
        ...


def children(node: exp.Expr) -> Iterator[exp.Expr]:
    """The direct children of a node that are expressions (a snapshot: they may be replaced meanwhile)."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        if isinstance(value, list):
            found.extend(item for item in value if isinstance(item, exp.Expr))
        elif isinstance(value, exp.Expr):
            found.append(value)
    return iter(found)


def _interval_class(node: exp.Expr) -> str | None:
    """Whether an interval literal counts months or days; None for anything else."""
    unit = node.args.get("unit") if isinstance(node, exp.Interval) else None
    if unit is None:
        return None
    return "months" if unit.name.upper().rstrip("S") in ("YEAR", "QUARTER", "MONTH") else "days"


def _literal(walk: Walker, node: exp.Literal, scope: Scope) -> Kind:
    if node.is_string:
        return "STRING"
    return "INT" if node.this.isdigit() else "DOUBLE" if "e" in node.this.lower() else "DECIMAL"


def _to_type(walk: Walker, node: exp.Cast, scope: Scope) -> Kind:
    return cast_explicitly(node, walk.visit(node.this, scope))


def _to_char(walk: Walker, node: exp.ToChar, scope: Scope) -> Kind:
    """TO_CHAR of a date is DATE_FORMAT; of a number it is not emulated."""
    kind = walk.visit(node.this, scope)
    pattern = node.args.get("format")
    if kind not in DATES or not isinstance(pattern, exp.Literal):
        raise refuse("not_emulated", "TO_CHAR of a number is not emulated", Family.EMULATOR)
    node.replace(formatted(as_time(node.this, kind), pattern.this))
    return "STRING"


def _typed(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    """A function whose text arguments Databricks casts."""
    kinds = {key: walk.visit(value, scope) for key, value in list(node.args.items()) if isinstance(value, exp.Expr)}
    cast_arguments(node, kinds)
    kind = kinds.get("this")
    if isinstance(node, exp.Round):
        digits = node.args.get("decimals")
        if kind == "DOUBLE" and (digits is None or digits.is_int):
            node.replace(call("round_double", node.this, digits or exp.Literal.number(0)))
        return "DOUBLE" if kind == "STRING" else kind
    if isinstance(node, (exp.Abs, exp.Neg)):
        return "DOUBLE" if kind == "STRING" else kind
    return RESULTS.get(type(node), "DOUBLE" if ARGUMENTS[type(node)].get("this") == "number" else None)


def _unix(walk: Walker, node: exp.StrToUnix, scope: Scope) -> Kind:
    """UNIX_TIMESTAMP of a date or timestamp needs no parsing."""
    kind = walk.visit(node.this, scope)
    if kind in DATES or (kind == "STRING" and node.args.get("format") is None):
        node.replace(call("to_seconds", as_time(node.this, kind)))
    return "INT"


def _comparison(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    right = node.args["expression"]
    if isinstance(right, (exp.Any, exp.All)):
        raise refuse("operator", "no comparison with ANY or ALL of a subquery")
    kinds = [walk.visit(node.this, scope), walk.visit(right, scope)]
    match_kinds([node.this, node.expression], kinds)
    return "BOOLEAN"


def _in_(walk: Walker, node: exp.In, scope: Scope) -> Kind:
    kinds = [walk.visit(node.this, scope)]
    if node.args.get("query") is None and not node.expressions:
        raise refuse("empty_in", "IN needs at least one value")
    query = node.args.get("query")
    if query is not None:
        _match_query(node.this, kinds[0], query, walk.visit(query, scope))
    else:
        kinds += [walk.visit(item, scope) for item in list(node.expressions)]
        match_kinds([node.this, *node.expressions], kinds)
    return "BOOLEAN"


def _match_query(left: exp.Expr, kind: Kind, query: exp.Expr, column: Kind) -> None:
    """Cast the text side of ``x IN (SELECT y ...)`` where the other is a number."""
    if kind == "STRING" and column in NUMERIC:
        left.replace(as_kind(left, kind, "INT" if column == "INT" else "DOUBLE"))
    elif column == "STRING" and kind in NUMERIC:
        while isinstance(query, exp.Subquery):
            query = query.this
        if isinstance(query, exp.Select) and not query.is_star:
            item = query.expressions[0]
            item = item.this if isinstance(item, exp.Alias) else item
            item.replace(as_kind(item, column, "INT" if kind == "INT" else "DOUBLE"))


def _between(walk: Walker, node: exp.Between, scope: Scope) -> Kind:
    kinds = [walk.visit(node.args[key], scope) for key in ("this", "low", "high")]
    match_kinds([node.args[key] for key in ("this", "low", "high")], kinds)
    return "BOOLEAN"


def _like(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    kind = walk.visit(node.this, scope)
    if kind not in ("STRING", None):
        node.this.replace(as_text(node.this, kind))
    walk.visit(node.args["expression"], scope)
    return "BOOLEAN"


def _logic(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    for child in children(node):
        walk.condition(child, scope)
    return "BOOLEAN"


def _predicate(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    for child in children(node):
        walk.visit(child, scope)
    return "BOOLEAN"


def _arithmetic(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    kinds = [walk.visit(node.this, scope), walk.visit(node.args["expression"], scope)]
    sides = [node.this, node.expression]
    known = set(kinds)
    if known <= DATES and isinstance(node, exp.Sub):
        raise refuse("date_minus_date", "a date minus a date is an interval, use DATEDIFF")
    units = {_interval_class(side) for side in sides} - {None}
    if len(units) == 2:
        raise refuse("type_mismatch", "months and days are two intervals: add them one by one to a date")
    if "BOOLEAN" in known and known & {*NUMERIC, "STRING"}:
        raise refuse("type_mismatch", "no arithmetic with a BOOLEAN")
    if kinds == ["STRING", "STRING"]:
        raise refuse("type_mismatch", "no arithmetic with two STRINGs")
    if known & DATES:
        return _date_step(node, known)
    for side, kind in zip(sides, kinds, strict=True):
        if kind == "STRING":
            side.replace(as_kind(side, kind, "DOUBLE" if known & FRACTIONS else "INT"))
    if isinstance(node, exp.IntDiv):
        if known & FRACTIONS:
            node.replace(call("whole_quotient", node.this, node.expression))
        return "INT"
    if isinstance(node, exp.Div):
        return "DOUBLE"
    numbers = known - {"STRING"}
    if numbers == {"INT"}:
        return "INT"
    return ("DOUBLE" if "DOUBLE" in numbers else "DECIMAL") if numbers and numbers <= NUMERIC else None


def _date_step(node: exp.Expr, known: set[Kind]) -> Kind:
    """A date plus or minus days or an interval; a DATE stays one unless hours are added."""
    if known & {"DOUBLE", "DECIMAL", "BOOLEAN"} or {"TIMESTAMP", "INT"} <= known:
        raise refuse("type_mismatch", "a date moves by whole days or by an INTERVAL")
    if "DATE" not in known:
        return "TIMESTAMP"
    interval = node.expression if isinstance(node.expression, exp.Interval) else node.this
    unit = interval.args.get("unit") if isinstance(interval, exp.Interval) else None
    if unit is not None and unit.name.upper().rstrip("S") in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY"):
        node.replace(exp.Cast(this=exp.Paren(this=node.copy()), to=exp.DataType.build("DATE")))
        return "DATE"
    return "DATE" if "INT" in known else None


def _count(walk: Walker, node: exp.Count, scope: Scope) -> Kind:
    if isinstance(node.this, exp.Column) and isinstance(node.this.this, exp.Star):
        raise refuse("count_star", "count takes * or expressions, not a table's *")
    if isinstance(node.this, exp.Distinct) and any(isinstance(item, exp.Star) for item in node.this.expressions):
        raise refuse("not_emulated", "COUNT(DISTINCT *) is not emulated", Family.EMULATOR)
    for child in children(node):
        walk.visit(child, scope)
    return "INT"


def _count_if(walk: Walker, node: exp.CountIf, scope: Scope) -> Kind:
    for item in node.this.expressions if isinstance(node.this, exp.Distinct) else [node.this]:
        walk.condition(item, scope)
    return "INT"


def _bracket(walk: Walker, node: exp.Bracket, scope: Scope) -> Kind:
    kind = walk.visit(node.this, scope)
    if kind is not None:
        raise refuse("type_mismatch", f"a {kind} has no items")
    for item in list(node.expressions):
        walk.visit(item, scope)
    return None


def _sum(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    kinds = [walk.visit(child, scope) for child in children(node)]
    kind = kinds[0] if kinds else None
    name = node.sql_name()
    if kind == "BOOLEAN" or kind in DATES:
        raise refuse("type_mismatch", f"function {name} takes numbers, not {kind}")
    if kind == "STRING":
        inner = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        inner.replace(exp.cast(inner.copy(), "DOUBLE"))
    return kind if isinstance(node, exp.Sum) and kind in ("INT", "DECIMAL") else "DOUBLE"


def _text_function(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    for child in children(node):
        kind = walk.visit(child, scope)
        if kind == "BINARY":
            raise refuse("not_emulated", f"function {node.sql_name()} of BINARY is not emulated", Family.EMULATOR)
        if isinstance(child, exp.Null) or (child is node.this and kind not in ("STRING", None)):
            child.replace(as_text(child, kind))
    return RESULTS.get(type(node))


def _joined(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    """Text put together: doubles are written in Java's form."""
    for child in children(node):
        if walk.visit(child, scope) == "DOUBLE":
            child.replace(as_text(child, "DOUBLE"))
    return "STRING"


def _sequence(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    """SEQUENCE of dates steps by a day, of numbers down where its end is below its start."""
    kinds = [walk.visit(node.args[key], scope) for key in ("start", "end")]
    if node.args.get("step") is None:
        if set(kinds) == {"INT"}:
            node.replace(call("sequence", node.args["start"], node.args["end"]))
        elif set(kinds) == {"DATE"}:
            node.set("step", exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY")))
            node.replace(exp.Cast(this=node.copy(), to=exp.DataType.build("DATE[]", dialect="duckdb")))
    else:
        walk.visit(node.args["step"], scope)
    return None


def _case(walk: Walker, node: exp.Case, scope: Scope) -> Kind:
    subject = node.args.get("this")
    subject_kind = walk.visit(subject, scope) if subject is not None else None
    kinds: list[Kind] = []
    for branch in node.args.get("ifs") or ():
        if subject is None:
            walk.condition(branch.this, scope)
        else:
            value = walk.visit(branch.this, scope)
            if subject_kind != "STRING":  # else the subject would be cast for one branch alone
                match_kinds([subject, branch.this], [subject_kind, value])
        kinds.append(walk.visit(branch.args["true"], scope))
    if node.args.get("default") is not None:
        kinds.append(walk.visit(node.args["default"], scope))
    return common_kind(kinds)


def _if_(walk: Walker, node: exp.If, scope: Scope) -> Kind:
    walk.condition(node.this, scope)
    return common_kind([walk.visit(node.args[key], scope) for key in ("true", "false") if node.args.get(key)])


def _first_known(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    return common_kind([walk.visit(child, scope) for child in children(node)])


def _window(walk: Walker, node: exp.Window, scope: Scope) -> Kind:
    function = node.this.this if isinstance(node.this, (exp.IgnoreNulls, exp.RespectNulls)) else node.this
    if isinstance(function, _NEEDS_ORDER) and node.args.get("order") is None and not node.args.get("alias"):
        raise refuse("window", f"function {function.sql_name().lower()} needs ORDER BY in its window")
    if isinstance(function, exp.AggFunc) and isinstance(function.this, exp.Distinct):
        raise refuse("window", "DISTINCT is not allowed in a window function")
    kinds = [walk.visit(child, scope) for child in children(node)]
    return kinds[0] if kinds else None


def _anonymous(walk: Walker, node: exp.Anonymous, scope: Scope) -> Kind:
    name = node.name.lower()
    if name not in functions():
        raise refuse("function", f"function {name} not found")
    args = list(node.expressions)
    if name in CALLS:
        if any(isinstance(arg, exp.Alias) for arg in args):
            raise refuse("parse", "syntax error near AS", Family.SYNTAX)
        if any(isinstance(arg, exp.Distinct) for arg in args):
            raise refuse("distinct", f"function {name} takes no DISTINCT, it is not an aggregate")
    if name in _CASTING and len(args) == 1:
        cast = exp.Cast(this=args[0].copy(), to=exp.DataType.build(_CASTING[name]))
        node.replace(cast)
        return _to_type(walk, cast, scope)
    skip = 1 if name in FIRST_IS_UNIT and len(args) == 3 else 0
    kinds: list[Kind] = [None for _ in args[:skip]]
    kinds += [walk.visit(arg, scope) for arg in args[skip:]]
    if name in CALLS:
        return CALLS[name](node, list(node.expressions), kinds)
    return _RESULT_OF.get(name)


def _collate(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    family = Family.EMULATOR if node.expression.name.upper().startswith("UTF8_") else Family.DIALECT
    raise refuse("collation", f"collation {node.expression.name} not found", family)


def _skip(walk: Walker, node: exp.Expr, scope: Scope) -> Kind:
    return None


Handler = Callable[[Walker, Any, Scope], Kind]
HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Literal: _literal,
    exp.Cast: _to_type,
    exp.TryCast: _to_type,
    exp.Collate: _collate,
    exp.Count: _count,
    exp.CountIf: _count_if,
    exp.ToChar: _to_char,
    exp.StrToUnix: _unix,
    exp.In: _in_,
    exp.Between: _between,
    exp.Case: _case,
    exp.If: _if_,
    exp.Coalesce: _first_known,
    exp.Greatest: _first_known,
    exp.Least: _first_known,
    exp.Window: _window,
    exp.Anonymous: _anonymous,
    exp.Lambda: _skip,
    exp.Identifier: _skip,
    exp.Var: _skip,
    exp.DataType: _skip,
    exp.Star: _skip,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_LIKES, _like),
    **dict.fromkeys((exp.And, exp.Or, exp.Not), _logic),
    **dict.fromkeys((exp.Is, exp.Exists), _predicate),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.IntDiv), _arithmetic),
    **dict.fromkeys(_SUMS, _sum),
    **dict.fromkeys(_TEXT_FIRST, _text_function),
    **dict.fromkeys((exp.DPipe, exp.Concat, exp.ConcatWs), _joined),
    **dict.fromkeys(ARGUMENTS, _typed),
    exp.GenerateSeries: _sequence,
    exp.Bracket: _bracket,
}
