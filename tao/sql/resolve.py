"""Names and types of a parsed query: what Databricks would refuse before running it.

One walk over the tree resolves every table and column against the schema, infers the types it can,
and on the way does what needs types: refuses comparisons and sums that Databricks refuses, and
inserts the casts that Databricks would do by itself and DuckDB would not. Where a type or a scope is
not known (a generator function, a lambda) the walk accepts: it is the engine's turn then.
"""

from __future__ import annotations

from sqlglot import exp

from tao.sql.arguments import (
    RESULTS,
    SAME_AS_FIRST,
    check_union,
    column_kind,
)
from tao.sql.dialect import Family
from tao.sql.emulate import REWRITES
from tao.sql.handlers import HANDLERS, children
from tao.sql.instance import Schema
from tao.sql.scope import Kind, Outputs, Scope, Tables, as_columns, check_distinct_order, refuse

_CLAUSES = frozenset(
    "with_ distinct expressions from_ joins laterals where group having qualify windows order limit offset hint".split()
)
_NOT_EMULATED = frozenset(("sample", "cluster", "sort", "distribute", "pivots"))
_TABLE_CLAUSES = frozenset(("this", "alias", "joins"))


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
            for (_, left), (_, right) in zip(outputs or (), other or (), strict=False):
                check_union(left, right)
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
            self.visit(node.args["order"], scope)

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
            self.condition(args["where"].this, scope)
        outputs = self._projections(node, scope)
        if args.get("group") is not None:
            self.visit(args["group"], scope)
        for window in args.get("windows") or ():
            self.visit(window, scope)
        for clause in ("having", "qualify"):
            if args.get(clause) is not None:
                self.condition(args[clause].this, scope)
        order = args.get("order")
        if order is not None:
            if args.get("distinct") is not None:
                check_distinct_order(node, order, outputs)
            scope.alias_first = True
            order.set("expressions", [key for key in order.expressions if not isinstance(key.this, exp.Null)])
            if order.expressions:
                self.visit(order, scope)
            else:
                node.set("order", None)
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
            kind = self.visit(item, scope)
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
        if isinstance(node, exp.Lateral) and node.args.get("outer"):
            raise refuse("not_emulated", "LATERAL VIEW OUTER is not emulated", Family.EMULATOR)
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
            self.condition(join.args["on"], scope)
        if join.kind in ("SEMI", "ANTI"):
            del scope.sources[alias]

    # -- expressions -----------------------------------------------------------------------------

    def visit(self, node: exp.Expr, scope: Scope) -> Kind:
        """Resolve an expression; returns its type, None where it is not known."""
        handler = HANDLERS.get(type(node))
        if isinstance(node, exp.Column):
            kind = self._column(node, scope)
        elif handler is not None:
            kind = handler(self, node, scope)
        elif isinstance(node, exp.Query):
            outputs = self.query(node, scope.ctes, scope)
            return outputs[0][1] if outputs else None
        else:
            kinds = [self.visit(child, scope) for child in children(node)]
            same = isinstance(node, SAME_AS_FIRST) and kinds
            kind = kinds[0] if same else RESULTS.get(type(node))
        rewrite = REWRITES.get(type(node))
        if rewrite is not None:
            rewrite(node)
        return kind

    def condition(self, node: exp.Expr, scope: Scope) -> Kind:
        """Resolve an expression that must be BOOLEAN.

        Raises:
            Refuse: It has another type.
        """
        kind = self.visit(node, scope)
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
