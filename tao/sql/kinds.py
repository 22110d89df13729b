"""The types that the gate knows, and the casts that Databricks makes by itself and DuckDB does not."""

from __future__ import annotations

from sqlglot import exp

from tao.sql.scope import Kind, refuse

NUMERIC = frozenset(("INT", "DOUBLE"))
DATES = frozenset(("DATE", "TIMESTAMP"))
CAST_KINDS = {  # whole numbers are one kind, fractional ones another: Databricks widens within them, as DuckDB does
    "INT": "INT", "BIGINT": "INT", "SMALLINT": "INT", "TINYINT": "INT", "DOUBLE": "DOUBLE", "FLOAT": "DOUBLE",
    "DECIMAL": "DOUBLE", "STRING": "STRING", "TIMESTAMP_NTZ": "TIMESTAMP", "BINARY": "BINARY",
    "TEXT": "STRING", "VARCHAR": "STRING", "CHAR": "STRING", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMP", "TIMESTAMPLTZ": "TIMESTAMP", "TIMESTAMPNTZ": "TIMESTAMP",
    "BOOLEAN": "BOOLEAN",
}  # fmt: skip
RESULTS: dict[type[exp.Expr], Kind] = {
    **dict.fromkeys((exp.Count, exp.CountIf, exp.Length, exp.Year, exp.Month, exp.Day, exp.Quarter, exp.Hour), "INT"),
    **dict.fromkeys((exp.DayOfWeek, exp.DayOfMonth, exp.DayOfYear, exp.Extract, exp.DateDiff, exp.TsOrDsDiff), "INT"),
    **dict.fromkeys((exp.RowNumber, exp.Rank, exp.DenseRank, exp.IntDiv, exp.StrPosition, exp.Floor), "INT"),
    **dict.fromkeys((exp.Div, exp.Avg, exp.Stddev, exp.Variance, exp.Sqrt, exp.Median, exp.Pow, exp.Ln), "DOUBLE"),
    **dict.fromkeys((exp.Upper, exp.Lower, exp.Concat, exp.Substring, exp.Left, exp.Right, exp.Trim), "STRING"),
    **dict.fromkeys((exp.DPipe, exp.TimeToStr, exp.Replace, exp.Initcap, exp.GroupConcat, exp.Pad), "STRING"),
    **dict.fromkeys((exp.CurrentDate, exp.TsOrDsToDate, exp.LastDay, exp.TsOrDsAdd, exp.DateAdd), "DATE"),
    **dict.fromkeys((exp.CurrentTimestamp, exp.TimestampTrunc, exp.StrToTime), "TIMESTAMP"),
    exp.DateTrunc: "DATE",
    exp.StrToDate: "DATE",
    exp.Boolean: "BOOLEAN",
}
SAME_AS_FIRST: tuple[type[exp.Expr], ...] = (
    *(exp.Paren, exp.Min, exp.Max, exp.AnyValue, exp.First, exp.Last, exp.Distinct, exp.Filter, exp.Lag, exp.Lead),
    *(exp.FirstValue, exp.LastValue, exp.Abs, exp.Round, exp.Neg, exp.Nullif, exp.Ordered),
)


def column_kind(type_name: str) -> Kind:
    """The kind of an instance file's column type, e.g. DOUBLE for ``DECIMAL(10,2)``."""
    return CAST_KINDS.get(type_name.split("(", 1)[0])


def cast_node(node: exp.Expr, to: str) -> None:
    """Put a cast around a node, in its place."""
    node.replace(exp.Cast(this=node.copy(), to=exp.DataType.build(to)))


def is_text_literal(node: exp.Expr) -> bool:
    """Whether a node is a string literal: DuckDB casts those by itself."""
    return isinstance(node, exp.Literal) and bool(node.is_string)


def common_kind(kinds: list[Kind]) -> Kind:
    """The type of a value that is one of several; None where it is not known.

    Raises:
        Refuse: Databricks has no common type for them.
    """
    known = {kind for kind in kinds if kind is not None}
    if known & NUMERIC and known & (DATES | {"BOOLEAN"}):
        raise refuse("type_mismatch", f"no common type of {' and '.join(sorted(known))}")
    if len(known) == 1 and len(kinds) >= 1:
        return next(iter(known))
    return "DOUBLE" if known and known <= NUMERIC else None


def match_kinds(sides: list[exp.Expr], kinds: list[Kind]) -> None:
    """Refuse or cast the sides of a comparison so that DuckDB compares as Databricks does.

    Raises:
        Refuse: Databricks does not compare these types.
    """
    known = {kind for kind in kinds if kind is not None}
    if "BOOLEAN" in known and known & (NUMERIC | DATES):
        raise refuse("type_mismatch", "cannot compare BOOLEAN with " + next(iter(known - {"BOOLEAN", "STRING"})))
    if known & DATES and known & NUMERIC:
        raise refuse("type_mismatch", "cannot compare DATE with a number")
    others = known - {"STRING"}
    if "STRING" in known and others:
        to = "DOUBLE" if "DOUBLE" in others else "BIGINT" if "INT" in others else next(iter(others))
        for side, kind in zip(sides, kinds, strict=True):
            if kind == "STRING" and not is_text_literal(side):
                cast_node(side, to)
