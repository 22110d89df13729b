"""What the porting rules know: the source dialect, the schema with its types, and the kind of any expression.

A kind is coarse on purpose (``int``, ``float``, ``decimal``, ``text``, ``date``, ``timestamp``, ``bool``,
``interval``, or None where it is not known): rules change a query only where the kinds prove that it is at fault.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

Columns = Mapping[str, Sequence[str]]
"""Table to column names, lower-case."""

Kind = str | None
NUMBERS = frozenset(("int", "float", "decimal"))
TIMES = frozenset(("date", "timestamp"))

_TYPES = {"INT": "int", "BIGINT": "int", "SMALLINT": "int", "TINYINT": "int", "DOUBLE": "float", "FLOAT": "float"}
_TYPES |= {"STRING": "text", "DATE": "date", "TIMESTAMP": "timestamp", "TIMESTAMP_NTZ": "timestamp"}
_TYPES |= {"BOOLEAN": "bool", "DECIMAL": "decimal"}
_CASTS = {"TEXT": "text", "VARCHAR": "text", "CHAR": "text", "TIMESTAMPTZ": "timestamp", "DATETIME": "timestamp"}
_CASTS |= {"TIMESTAMPNTZ": "timestamp", "TIME": "text", "UBIGINT": "int", "INT128": "int", **_TYPES}
_COMPARISONS = (exp.Predicate, exp.And, exp.Or, exp.Not, exp.Xor)
_SAME_AS_FIRST = (
    *(exp.Paren, exp.Min, exp.Max, exp.AnyValue, exp.First, exp.Last, exp.Distinct, exp.Filter, exp.Window, exp.Alias),
    *(exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead, exp.Abs, exp.Neg, exp.Nullif, exp.Ordered, exp.ArgMax),
    *(exp.ArgMin, exp.Coalesce, exp.Greatest, exp.Least),
)
_FIXED: dict[Any, str] = {
    **dict.fromkeys(
        (exp.Count, exp.CountIf, exp.Length, exp.StrPosition, exp.RowNumber, exp.Rank, exp.DenseRank), "int"
    ),
    **dict.fromkeys((exp.Year, exp.Month, exp.Day, exp.DayOfWeek, exp.DateDiff, exp.IntDiv, exp.Ntile), "int"),
    **dict.fromkeys((exp.Upper, exp.Lower, exp.Substring, exp.Concat, exp.DPipe, exp.Replace, exp.Trim), "text"),
    **dict.fromkeys((exp.TimeToStr, exp.GroupConcat, exp.Left, exp.Right, exp.SplitPart, exp.Initcap), "text"),
    **dict.fromkeys((exp.CurrentDate, exp.Date, exp.StrToDate, exp.TsOrDsToDate), "date"),
    **dict.fromkeys((exp.CurrentTimestamp, exp.TimestampTrunc, exp.UnixToTime, exp.StrToTime), "timestamp"),
    **dict.fromkeys((exp.Sqrt, exp.Pow, exp.Ln, exp.Stddev, exp.Exp), "float"),
    exp.Interval: "interval",
    exp.Boolean: "bool",
}


@dataclass(frozen=True)
class Context:
    """Source dialect and schema of the query that is ported.

    Attributes:
        read: sqlglot's name of the source dialect: ``sqlite``, ``postgres``, ``mysql`` or another.
        tables: Lower-case table to lower-case column to Databricks type, '' where the type is not known.
        affinity: Lower-case table to lower-case column to SQLite's affinity, where the source is SQLite.
        digits: Lower-case table to its STRING columns of which every value reads as a number.
    """

    read: str
    tables: Mapping[str, Mapping[str, str]]
    affinity: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    digits: Mapping[str, Container[str]] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        """Whether SQLite's loose typing is to be kept."""
        return self.read == "sqlite"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a column name stands for.

    Attributes:
        source: The table or subquery in FROM; None for an alias of the same SELECT.
        kind: Its kind.
        affinity: SQLite's affinity, '' for none.
        typed: The Databricks type of a table's column, else ''.
        is_digits: Text of which every value in the database reads as a number.
    """

    source: Any
    kind: Kind
    affinity: str = ""
    typed: str = ""
    is_digits: bool = False


def call(name: str, *arguments: Any, kind: Kind = None) -> Any:
    """A Databricks function call, taken as it stands by the renderer."""
    node = exp.Anonymous(this=name, expressions=list(arguments))
    node.meta["kind"] = kind
    return node


def cast(node: Any, to: str, *, may_fail: bool = False) -> Any:
    """``CAST(node AS to)``, or ``TRY_CAST`` where the value may not be one."""
    return (exp.TryCast if may_fail else exp.Cast)(this=node, to=exp.DataType.build(to, dialect="databricks"))


def text(value: str) -> Any:
    """A string literal."""
    return exp.Literal.string(value)


def sources_of(select: Any) -> list[Any]:
    """Tables and subqueries of FROM and JOIN, in order."""
    heads = [select.args.get("from_"), *(select.args.get("joins") or [])]
    return [head.this for head in heads if head is not None]


def levels(node: Any) -> Iterator[Any]:
    """The SELECTs around a node, innermost first."""
    level = node.find_ancestor(exp.Select)
    while level is not None:
        yield level
        level = level.find_ancestor(exp.Select)


def own(select: Any, kind: Any) -> Iterator[Any]:
    """Nodes of a kind that belong to this SELECT and to no query nested in it."""
    for node in select.walk(prune=lambda n: n is not select and isinstance(n, exp.Select | exp.SetOperation)):
        if isinstance(node, kind) and node is not select:
            yield node


def _cte(table: Any) -> Any:
    """The query of the CTE that a table name stands for, or None."""
    level = table.parent
    while level is not None:
        with_ = level.args.get("with_")
        for cte in with_.expressions if with_ is not None else []:
            if cte.alias.lower() == table.name.lower() and table.find_ancestor(exp.CTE) is not cte:
                return cte
        level = level.parent
    return None


def columns_of(source: Any, context: Context) -> dict[str, Origin]:
    """Column name to what it is, of one source in FROM; empty where it is not known."""
    query = source
    if isinstance(source, exp.Table):
        known = context.tables.get(source.name.lower())
        cte = _cte(source) if not source.db else None
        if cte is None:
            forms = context.affinity.get(source.name.lower(), {})
            digits = context.digits.get(source.name.lower(), ())
            return {
                name: Origin(source, _TYPES.get(typed.partition("(")[0]), forms.get(name, ""), typed, name in digits)
                for name, typed in (known or {}).items()
            }
        query = cte
    inner = query.this if isinstance(query, exp.Subquery | exp.CTE) else query
    names = [column.name for column in query.args["alias"].columns] if query.args.get("alias") else []
    found = outputs(inner, context) if isinstance(inner, exp.Query) else {}
    return dict(zip(names, found.values(), strict=False)) if names else found


def outputs(query: Any, context: Context) -> dict[str, Origin]:
    """Output columns of a query, stars expanded."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    found: dict[str, Origin] = {}
    for item in query.expressions if isinstance(query, exp.Select) else []:
        if is_star(item):
            for source in sources_of(query):
                if not item.args.get("table") or item.table == source.alias_or_name:
                    found.update(columns_of(source, context))
        else:
            inner = item.unalias()
            origin = resolve(inner, context) if isinstance(inner, exp.Column) else None
            found[item.alias_or_name] = origin or Origin(query, kind_of(inner, context))
    return found


def is_star(item: Any) -> bool:
    """Whether a projection is ``*`` or ``t.*``."""
    return isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))


def resolve(column: Any, context: Context) -> Origin | None:
    """What a column name stands for, innermost scope first; None where nothing has it."""
    for level in levels(column):
        for source in sources_of(level):
            if column.table in ("", source.alias_or_name):
                found = columns_of(source, context).get(column.name)
                if found is not None:
                    return replace(found, source=source)
        if not column.table:
            for item in level.expressions:
                if (
                    isinstance(item, exp.Alias)
                    and item.alias == column.name
                    and column.find_ancestor(exp.Alias) is not item
                ):
                    return Origin(None, kind_of(item.this, context))
    return None


def kind_of(node: Any, context: Context) -> Kind:
    """The kind of an expression as the source dialect sees it; None where it is not known."""
    if "kind" in node.meta:
        known: Kind = node.meta["kind"]
        return known
    if isinstance(node, exp.Column):
        origin = resolve(node, context)
        return origin.kind if origin else None
    if isinstance(node, exp.Literal):
        return "text" if node.is_string else "int" if node.name.isdigit() else "float"
    if isinstance(node, exp.Cast):
        return _CASTS.get(node.to.this.value)
    if isinstance(node, exp.Subquery):
        inner = node.this
        while isinstance(inner, exp.SetOperation):
            inner = inner.this
        return kind_of(inner.expressions[0], context) if isinstance(inner, exp.Select) and inner.expressions else None
    if type(node) in _FIXED:
        return _FIXED[type(node)]
    if isinstance(node, _COMPARISONS):
        return "bool"
    if isinstance(node, _SAME_AS_FIRST):
        inner = node.this if node.this is not None else next(iter(node.expressions), None)
        return kind_of(inner, context) if isinstance(inner, exp.Expr) else None
    if isinstance(node, exp.Case | exp.If):
        return _branches(node, context)
    return _number(node, context)


def _branches(node: Any, context: Context) -> Kind:
    results = (
        [node.args.get("true")] if isinstance(node, exp.If) else [branch.args["true"] for branch in node.args["ifs"]]
    )
    results.append(node.args.get("false") or node.args.get("default"))
    kinds = {kind_of(result, context) for result in results if result is not None and not isinstance(result, exp.Null)}
    if kinds <= NUMBERS and kinds:
        return "float" if "float" in kinds else "decimal" if "decimal" in kinds else "int"
    return kinds.pop() if len(kinds) == 1 else None


def _number(node: Any, context: Context) -> Kind:
    """The kind of arithmetic and of numeric aggregates."""
    if isinstance(node, exp.Round):
        return "float" if context.is_sqlite else kind_of(node.this, context)
    if isinstance(node, exp.Avg):
        inner = kind_of(node.this, context)
        return "float" if context.is_sqlite or inner == "float" else "decimal"
    if isinstance(node, exp.Sum):
        inner = kind_of(node.this, context)
        origin = resolve(node.this, context) if isinstance(node.this, exp.Column) else None
        if context.read == "postgres" and origin is not None and origin.typed == "BIGINT":
            return "decimal"
        return "int" if inner == "bool" else inner if inner in NUMBERS else None
    if isinstance(node, exp.Floor | exp.Ceil):
        return kind_of(node.this, context)
    if isinstance(node, exp.Extract):
        return "decimal"
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod):
        kinds = (kind_of(node.this, context), kind_of(node.expression, context))
        if all(kind in NUMBERS for kind in kinds):
            return "float" if "float" in kinds else "decimal" if "decimal" in kinds else "int"
        if isinstance(node, exp.Sub) and all(kind in TIMES for kind in kinds):
            return "int" if kinds == ("date", "date") else "interval"
        if isinstance(node, exp.Add | exp.Sub) and kinds[0] in TIMES:
            return "timestamp" if kinds[1] == "interval" else kinds[0] if kinds[1] == "int" else None
        if kinds[0] == "interval" and kinds[1] in NUMBERS | {"interval"}:
            return "interval"
    return None


def affinity_of(node: Any, context: Context) -> str:
    """SQLite's affinity of an operand: a column's own, a cast's, a scalar subquery's; '' for anything else.

    Source: https://sqlite.org/datatype3.html, section 3.2.
    """
    node = node.unnest() if isinstance(node, exp.Paren) else node
    if isinstance(node, exp.Column):
        origin = resolve(node, context)
        return origin.affinity if origin else ""
    if isinstance(node, exp.Cast):
        return {"text": "TEXT", "int": "INTEGER", "float": "REAL"}.get(_CASTS.get(node.to.this.value, ""), "NUMERIC")
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and node.this.expressions:
        return affinity_of(node.this.expressions[0].unalias(), context)
    return ""


def is_aggregate(node: Any) -> bool:
    """Whether a node is a call of an aggregate function, not as a window."""
    named = isinstance(node, exp.Anonymous) and node.name.upper() in (
        "TOTAL",
        "MEDIAN",
        "MAX_BY",
        "MIN_BY",
        "PERCENTILE",
    )
    if not (named or isinstance(node, exp.AggFunc)):
        return False
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.WithinGroup | exp.IgnoreNulls):
        parent = parent.parent
    return not (isinstance(parent, exp.Window) and parent.this is not None and node.find_ancestor(exp.Window) is parent)
