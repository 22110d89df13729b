"""Names and types of a parsed query: what Databricks would refuse before running it.

One walk over the tree resolves every table and column against the schema, infers the types it can,
and on the way does what needs types: refuses comparisons and sums that Databricks refuses, and
inserts the casts that Databricks would do by itself and DuckDB would not. Where a type or a scope is
not known (a generator function, a lambda) the walk accepts: it is the engine's turn then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.dialects.databricks import Databricks

from tao.sql.dialect import Family, functions
from tao.sql.emulate import REWRITES
from tao.sql.instance import Schema
from tao.sql.kinds import (
    CAST_KINDS,
    DATES,
    NUMERIC,
    RESULTS,
    SAME_AS_FIRST,
    cast_node,
    column_kind,
    common_kind,
    match_kinds,
)  # fmt: skip
from tao.sql.scope import Kind, Outputs, Scope, Tables, as_columns, check_distinct_order, refuse

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_TEXT_FIRST = (
    *(exp.Upper, exp.Lower, exp.Length, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Replace, exp.Pad),
    *(exp.Initcap, exp.StartsWith, exp.EndsWith, exp.StrPosition, exp.Reverse, exp.Split),
)
_LIKES = (exp.Like, exp.ILike, exp.RegexpLike)
_SUMS = (exp.Sum, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.Median)
_CLAUSES = frozenset(
    "with_ distinct expressions from_ joins laterals where group having qualify windows order limit offset hint".split()
)
_NOT_EMULATED = frozenset(("sample", "cluster", "sort", "distribute", "pivots"))
_TABLE_CLAUSES = frozenset(("this", "alias", "joins"))
_NEEDS_ORDER = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.Ntile, exp.PercentRank, exp.CumeDist)


def children(node: exp.Expr) -> Iterator[exp.Expr]:
    """The direct children of a node that are expressions (a snapshot: they may be replaced meanwhile)."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        if isinstance(value, list):
            found.extend(item for item in value if isinstance(item, exp.Expr))
        elif isinstance(value, exp.Expr):
            found.append(value)
    return iter(found)


def _check_clauses(node: exp.Expr, allowed: frozenset[str]) -> None:
    for clause, value in node.args.items():
        if value and clause not in allowed:
            family = Family.EMULATOR if clause in _NOT_EMULATED else Family.DIALECT
            raise refuse("clause", f"the clause {clause.strip('_').upper()} is not allowed", family)


class Resolver:
    """Resolves one query against a schema; changes the tree in place.

    Args:
        schema: The tables that exist; None where they are not known (then names are not judged).
    """

    def __init__(self, schema: Schema | None) -> None:
        self._tables = schema.columns if schema is not None else None

    # -- queries ---------------------------------------------------------------------------------

    def query(self, node: exp.Expr, ctes: Tables, outer: Scope | None) -> Outputs | None:
        """Names and types of a query's output columns; None where they are not known.

        Raises:
            Refuse: The query names what does not exist, or Databricks would refuse its types.
        """
        with_ = node.args.get("with_")
        if with_ is not None:
            ctes = dict(ctes)
            for cte in with_.expressions:
                name = cte.alias.lower()
                if with_.args.get("recursive"):
                    ctes[name] = None
                outputs = self.query(cte.this, ctes, outer)
                ctes[name] = as_columns(outputs, cte.args.get("alias"))
        if isinstance(node, exp.Select):
            return self._select(node, ctes, outer)
        if isinstance(node, exp.SetOperation):
            outputs = self.query(node.this, ctes, outer)
            other = self.query(node.expression, ctes, outer)
            if outputs is not None and other is not None and len(outputs) != len(other):
                raise refuse("set_width", f"the two sides have {len(outputs)} and {len(other)} columns")
            self._tail(node, outputs, ctes)
            return outputs
        if isinstance(node, exp.Subquery):
            outputs = self.query(node.this, ctes, outer)
            self._tail(node, outputs, ctes)
            return outputs
        if isinstance(node, exp.Values):
            return None
        raise refuse("not_a_query", "not a SELECT query", Family.SYNTAX)

    def _tail(self, node: exp.Expr, outputs: Outputs | None, ctes: Tables) -> None:
        """Resolve the ORDER BY of a set operation or of a query in parentheses."""
        if node.args.get("order") is not None:
            scope = Scope(ctes, None)
            scope.sources[""] = None if outputs is None else dict(outputs)
            self._visit(node.args["order"], scope)

    def _select(self, node: exp.Select, ctes: Tables, outer: Scope | None) -> Outputs | None:
        scope = Scope(ctes, outer)
        args = node.args
        _check_clauses(node, _CLAUSES)
        if args.get("distinct") is not None and args["distinct"].args.get("on") is not None:
            raise refuse("clause", "no DISTINCT ON, use ROW_NUMBER")
        if args.get("from_") is not None:
            self._source(args["from_"].this, scope)
        for join in args.get("joins") or ():
            self._join(join, scope)
        for lateral in args.get("laterals") or ():
            self._source(lateral, scope)
        if args.get("where") is not None:
            self._condition(args["where"].this, scope)
        outputs = self._projections(node, scope)
        if args.get("group") is not None:
            self._visit(args["group"], scope)
        for window in args.get("windows") or ():
            self._visit(window, scope)
        for clause in ("having", "qualify"):
            if args.get(clause) is not None:
                self._condition(args[clause].this, scope)
        order = args.get("order")
        if order is not None:
            if args.get("distinct") is not None:
                check_distinct_order(node, order, outputs)
            scope.alias_first = True
            self._visit(order, scope)
        return outputs

    def _projections(self, node: exp.Select, scope: Scope) -> Outputs | None:
        outputs: Outputs = []
        known = True
        for item in list(node.expressions):
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                star = scope.star(item)
                known = known and star is not None
                outputs.extend(star or ())
                continue
            kind = self._visit(item, scope)
            if isinstance(item, exp.Alias):
                name = item.alias.lower()
                scope.aliases[name] = kind
                outputs.append((name, kind))
            elif isinstance(item, exp.Column):
                outputs.append((item.name.lower(), kind))
            elif isinstance(item, (exp.Explode, exp.Posexplode, exp.Aliases)):
                known = False
            else:
                outputs.append(("", kind))
        return outputs if known else None

    def _source(self, node: exp.Expr, scope: Scope) -> str:
        """Add a table, subquery or generator to the scope; returns its alias."""
        alias = str(node.alias or node.name).lower()
        if node.args.get("pivots"):
            raise refuse("clause", "PIVOT is not emulated", Family.EMULATOR)
        if isinstance(node, (exp.Lateral, exp.Values)):
            if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
                scope.sources[alias] = as_columns(self.query(node.this, scope.ctes, scope), node.args.get("alias"))
                return alias
            scope.sources[alias] = None
            return alias
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            alias = alias or f"_{len(scope.sources)}"
            outputs = self.query(node, scope.ctes, scope.outer)
            scope.sources[alias] = as_columns(outputs, node.args.get("alias"))
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            if node.args.get("db") is not None:
                raise refuse("qualified_table", f"table {node.sql()} cannot have a schema or catalog")
            _check_clauses(node, _TABLE_CLAUSES)
            scope.sources[alias] = self._table(node, scope)
        elif isinstance(node, (exp.Subquery, exp.Paren)):  # FROM (a JOIN b ...)
            alias = self._source(node.this, scope)
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Literal):
            raise refuse("quoted_name", f"a name cannot be in quotes: {node.name}; use backticks")
        else:
            raise refuse("table_function", "table functions are not allowed")
        for join in node.args.get("joins") or ():
            self._join(join, scope)
        return alias

    def _table(self, node: exp.Table, scope: Scope) -> dict[str, Kind] | None:
        name = node.name.lower()
        if name in scope.ctes:
            columns = scope.ctes[name]
        elif self._tables is None:
            return None
        elif name in self._tables:
            columns = {column: column_kind(kind) for column, kind in self._tables[name].items()}
        else:
            raise refuse("unknown_table", f"table {name} not found", Family.NAME)
        alias = node.args.get("alias")
        return as_columns(list(columns.items()), alias) if columns is not None else None

    def _join(self, join: exp.Join, scope: Scope) -> None:
        left = list(scope.sources.values())
        alias = self._source(join.this, scope)
        right = scope.sources[alias]
        opaque = right is None or any(columns is None for columns in left)
        shared = {name for columns in left for name in columns or ()} & set(right or ())
        if join.args.get("method") == "NATURAL":
            scope.merged |= shared
        for column in join.args.get("using") or ():
            name = column.name.lower()
            if not opaque and name not in shared:
                raise refuse("unknown_column", f"column {name} is not in both joined tables", Family.NAME)
            scope.merged.add(name)
        if join.args.get("on") is not None:
            self._condition(join.args["on"], scope)
        if join.kind in ("SEMI", "ANTI"):
            del scope.sources[alias]

    # -- expressions -----------------------------------------------------------------------------

    def _visit(self, node: exp.Expr, scope: Scope) -> Kind:
        """Resolve an expression; returns its type, None where it is not known."""
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            kind = handler(self, node, scope)
        elif isinstance(node, exp.Query):
            outputs = self.query(node, scope.ctes, scope)
            return outputs[0][1] if outputs else None
        else:
            kinds = [self._visit(child, scope) for child in children(node)]
            same = isinstance(node, SAME_AS_FIRST) and kinds
            kind = kinds[0] if same else RESULTS.get(type(node))
        rewrite = REWRITES.get(type(node))
        if rewrite is not None:
            rewrite(node)
        return kind

    def _condition(self, node: exp.Expr, scope: Scope) -> Kind:
        kind = self._visit(node, scope)
        if kind is not None and kind != "BOOLEAN":
            raise refuse("type_mismatch", f"a condition must be BOOLEAN, not {kind}")
        return "BOOLEAN"

    def _column(self, node: exp.Column, scope: Scope) -> Kind:
        if isinstance(node.this, exp.Star):
            return None
        if node.args.get("db") is not None:
            raise refuse("qualified_column", f"column {node.sql()} cannot have a schema or catalog")
        table = node.args.get("table")
        if table is not None:
            return scope.qualified(table.name.lower(), node.name.lower(), self._tables is not None)
        return scope.column(node.name.lower())

    def _literal(self, node: exp.Literal, scope: Scope) -> Kind:
        if node.is_string:
            return "STRING"
        return "INT" if node.this.isdigit() else "DOUBLE"

    def _to_type(self, node: exp.Cast, scope: Scope) -> Kind:
        source = self._visit(node.this, scope)
        target = CAST_KINDS.get(node.to.this.name)
        if target == "INT" and source == "DOUBLE":  # Databricks cuts the fraction off, DuckDB rounds
            node.this.replace(exp.Anonymous(this="trunc", expressions=[node.this.copy()]))
        return target

    def _to_char(self, node: exp.ToChar, scope: Scope) -> Kind:
        """TO_CHAR of a date is DATE_FORMAT; of a number it is not emulated."""
        if self._visit(node.this, scope) not in DATES or not isinstance(node.args.get("format"), exp.Literal):
            raise refuse("not_emulated", "TO_CHAR of a number is not emulated", Family.EMULATOR)
        pattern = Databricks.format_time(node.args["format"])
        text = exp.TimeToStr(this=exp.cast(node.this.copy(), "TIMESTAMP"), format=pattern)
        REWRITES[exp.TimeToStr](text)
        node.replace(text)
        return "STRING"

    def _unix(self, node: exp.StrToUnix, scope: Scope) -> Kind:
        """UNIX_TIMESTAMP of a date or timestamp needs no parsing."""
        if self._visit(node.this, scope) in DATES:
            node.replace(exp.Anonymous(this="epoch", expressions=[exp.cast(node.this.copy(), "TIMESTAMP")]))
        return "INT"

    def _comparison(self, node: exp.Expr, scope: Scope) -> Kind:
        right = node.args["expression"]
        if isinstance(right, (exp.Any, exp.All)):
            raise refuse("operator", "no comparison with ANY or ALL of a subquery")
        kinds = [self._visit(node.this, scope), self._visit(right, scope)]
        match_kinds([node.this, node.expression], kinds)
        return "BOOLEAN"

    def _in(self, node: exp.In, scope: Scope) -> Kind:
        kinds = [self._visit(node.this, scope)]
        if node.args.get("query") is None and not node.expressions:
            raise refuse("empty_in", "IN needs at least one value")
        query = node.args.get("query")
        if query is not None:
            self._match_query(node.this, kinds[0], query, self._visit(query, scope))
        else:
            kinds += [self._visit(item, scope) for item in list(node.expressions)]
            match_kinds([node.this, *node.expressions], kinds)
        return "BOOLEAN"

    def _match_query(self, left: exp.Expr, kind: Kind, query: exp.Expr, column: Kind) -> None:
        """Cast the text side of ``x IN (SELECT y ...)`` where the other is a number."""
        if kind == "STRING" and column in NUMERIC:
            cast_node(left, "BIGINT" if column == "INT" else "DOUBLE")
        elif column == "STRING" and kind in NUMERIC:
            while isinstance(query, exp.Subquery):
                query = query.this
            if isinstance(query, exp.Select) and not query.is_star:
                item = query.expressions[0]
                cast_node(item.this if isinstance(item, exp.Alias) else item, "BIGINT" if kind == "INT" else "DOUBLE")

    def _between(self, node: exp.Between, scope: Scope) -> Kind:
        kinds = [self._visit(node.args[key], scope) for key in ("this", "low", "high")]
        match_kinds([node.args[key] for key in ("this", "low", "high")], kinds)
        return "BOOLEAN"

    def _like(self, node: exp.Expr, scope: Scope) -> Kind:
        if self._visit(node.this, scope) not in ("STRING", None):
            cast_node(node.this, "TEXT")
        self._visit(node.args["expression"], scope)
        return "BOOLEAN"

    def _logic(self, node: exp.Expr, scope: Scope) -> Kind:
        for child in children(node):
            self._condition(child, scope)
        return "BOOLEAN"

    def _predicate(self, node: exp.Expr, scope: Scope) -> Kind:
        for child in children(node):
            self._visit(child, scope)
        return "BOOLEAN"

    def _arithmetic(self, node: exp.Expr, scope: Scope) -> Kind:
        kinds = [self._visit(node.this, scope), self._visit(node.args["expression"], scope)]
        sides = [node.this, node.expression]
        known = set(kinds)
        if known <= DATES and isinstance(node, exp.Sub):
            raise refuse("date_minus_date", "a date minus a date is an interval, use DATEDIFF")
        if "BOOLEAN" in known and known & {*NUMERIC, "STRING"}:
            raise refuse("type_mismatch", "no arithmetic with a BOOLEAN")
        if kinds == ["STRING", "STRING"]:
            raise refuse("type_mismatch", "no arithmetic with two STRINGs")
        if known & DATES:
            return "DATE" if "DATE" in known and known & {"DATE", "INT"} else None
        for side, kind in zip(sides, kinds, strict=True):
            if kind == "STRING":
                cast_node(side, "DOUBLE" if "DOUBLE" in known else "BIGINT")
        if isinstance(node, exp.Div):
            return "DOUBLE"
        if isinstance(node, exp.IntDiv) or known == {"INT"}:
            return "INT"
        return "DOUBLE" if known <= {"INT", "DOUBLE", "STRING"} else None

    def _count(self, node: exp.Count, scope: Scope) -> Kind:
        if isinstance(node.this, exp.Column) and isinstance(node.this.this, exp.Star):
            raise refuse("count_star", "count takes * or expressions, not a table's *")
        for child in children(node):
            self._visit(child, scope)
        return "INT"

    def _sum(self, node: exp.Expr, scope: Scope) -> Kind:
        kinds = [self._visit(child, scope) for child in children(node)]
        kind = kinds[0] if kinds else None
        name = node.sql_name()
        if kind == "BOOLEAN" or kind in DATES:
            raise refuse("type_mismatch", f"function {name} takes numbers, not {kind}")
        if kind == "STRING":
            inner = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
            cast_node(inner, "DOUBLE")
        return "INT" if isinstance(node, exp.Sum) and kind == "INT" else "DOUBLE"

    def _text_function(self, node: exp.Expr, scope: Scope) -> Kind:
        for child in children(node):
            kind = self._visit(child, scope)
            if child is node.this and kind not in ("STRING", None):
                cast_node(child, "TEXT")
        return RESULTS.get(type(node))

    def _case(self, node: exp.Case, scope: Scope) -> Kind:
        subject = node.args.get("this")
        if subject is not None:
            self._visit(subject, scope)
        kinds: list[Kind] = []
        for branch in node.args.get("ifs") or ():
            (self._visit if subject is not None else self._condition)(branch.this, scope)
            kinds.append(self._visit(branch.args["true"], scope))
        if node.args.get("default") is not None:
            kinds.append(self._visit(node.args["default"], scope))
        return common_kind(kinds)

    def _if(self, node: exp.If, scope: Scope) -> Kind:
        self._condition(node.this, scope)
        return common_kind([self._visit(node.args[key], scope) for key in ("true", "false") if node.args.get(key)])

    def _first_known(self, node: exp.Expr, scope: Scope) -> Kind:
        return common_kind([self._visit(child, scope) for child in children(node)])

    def _window(self, node: exp.Window, scope: Scope) -> Kind:
        function = node.this.this if isinstance(node.this, (exp.IgnoreNulls, exp.RespectNulls)) else node.this
        if isinstance(function, _NEEDS_ORDER) and node.args.get("order") is None and not node.args.get("alias"):
            raise refuse("window", f"function {function.sql_name().lower()} needs ORDER BY in its window")
        if isinstance(function, exp.AggFunc) and isinstance(function.this, exp.Distinct):
            raise refuse("window", "DISTINCT is not allowed in a window function")
        kinds = [self._visit(child, scope) for child in children(node)]
        return kinds[0] if kinds else None

    def _anonymous(self, node: exp.Anonymous, scope: Scope) -> Kind:
        name = node.name.lower()
        if name not in functions():
            raise refuse("function", f"function {name} not found")
        for child in children(node):
            self._visit(child, scope)
        return None

    def _collate(self, node: exp.Expr, scope: Scope) -> Kind:
        family = Family.EMULATOR if node.expression.name.upper().startswith("UTF8_") else Family.DIALECT
        raise refuse("collation", f"collation {node.expression.name} not found", family)

    def _skip(self, node: exp.Expr, scope: Scope) -> Kind:
        return None


_Handler = Callable[[Resolver, Any, Scope], Kind]
_HANDLERS: dict[type[exp.Expr], _Handler] = {
    exp.Column: Resolver._column,
    exp.Literal: Resolver._literal,
    exp.Cast: Resolver._to_type,
    exp.TryCast: Resolver._to_type,
    exp.Collate: Resolver._collate,
    exp.Count: Resolver._count,
    exp.ToChar: Resolver._to_char,
    exp.StrToUnix: Resolver._unix,
    exp.In: Resolver._in,
    exp.Between: Resolver._between,
    exp.Case: Resolver._case,
    exp.If: Resolver._if,
    exp.Coalesce: Resolver._first_known,
    exp.Greatest: Resolver._first_known,
    exp.Least: Resolver._first_known,
    exp.Window: Resolver._window,
    exp.Anonymous: Resolver._anonymous,
    exp.Lambda: Resolver._skip,
    exp.Identifier: Resolver._skip,
    exp.Var: Resolver._skip,
    exp.DataType: Resolver._skip,
    exp.Interval: Resolver._skip,
    exp.Star: Resolver._skip,
    **dict.fromkeys(_COMPARISONS, Resolver._comparison),
    **dict.fromkeys(_LIKES, Resolver._like),
    **dict.fromkeys((exp.And, exp.Or, exp.Not), Resolver._logic),
    **dict.fromkeys((exp.Is, exp.Exists), Resolver._predicate),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.IntDiv), Resolver._arithmetic),
    **dict.fromkeys(_SUMS, Resolver._sum),
    **dict.fromkeys(_TEXT_FIRST, Resolver._text_function),
}
