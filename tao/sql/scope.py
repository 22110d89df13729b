"""What a name may mean at one place of a query: the tables, columns and aliases in scope there."""

from __future__ import annotations

from sqlglot import exp

from tao.sql.dialect import Family, Fault
from tao.sql.emulate import Refuse

Kind = str | None  # INT, DOUBLE, STRING, DATE, TIMESTAMP, BOOLEAN, BINARY; None where it is not known
Outputs = list[tuple[str, Kind]]  # output columns in order; the name is '' where there is none
Tables = dict[str, dict[str, Kind] | None]  # columns by table; None where they are not known


def refuse(code: str, message: str, family: Family = Family.DIALECT) -> Refuse:
    """The exception that ends the walk over a query."""
    return Refuse(Fault(family, code, message))


class Scope:
    """The names of one SELECT; `outer` is the scope around it, if it may see it.

    Args:
        ctes: Common table expressions in reach.
        outer: Scope of the query around a correlated subquery.
    """

    __slots__ = ("alias_first", "aliases", "ctes", "merged", "outer", "sources")

    def __init__(self, ctes: Tables, outer: Scope | None) -> None:
        self.sources: Tables = {}
        self.merged: set[str] = set()
        self.aliases: dict[str, Kind] = {}
        self.alias_first = False
        self.ctes = ctes
        self.outer = outer

    def column(self, name: str) -> Kind:
        """The type of an unqualified column.

        Raises:
            Refuse: No such column, or more than one.
        """
        scope: Scope | None = self
        while scope is not None:
            if scope.alias_first and name in scope.aliases:
                return scope.aliases[name]
            hits = [columns[name] for columns in scope.sources.values() if columns is not None and name in columns]
            if len(hits) > 1 and name not in scope.merged:
                raise refuse("ambiguous_column", f"column {name} is ambiguous", Family.NAME)
            if hits:
                return hits[0]
            if any(columns is None for columns in scope.sources.values()):
                return None
            if name in scope.aliases:
                return scope.aliases[name]
            scope = scope.outer
        raise refuse("unknown_column", f"column {name} not found", Family.NAME)

    def qualified(self, table: str, name: str, strict: bool) -> Kind:
        """The type of `table.name`; `strict` is False where the schema is not known.

        Raises:
            Refuse: No such table in scope, or no such column in it.
        """
        scope: Scope | None = self
        while scope is not None:
            if table in scope.sources:
                columns = scope.sources[table]
                if columns is not None and name not in columns:
                    raise refuse("unknown_column", f"column {table}.{name} not found", Family.NAME)
                return columns[name] if columns is not None else None
            scope = scope.outer
        if not strict:
            return None
        raise refuse("unknown_table", f"table {table} not found", Family.NAME)

    def star(self, item: exp.Expr) -> Outputs | None:
        """The columns that ``*`` or ``t.*`` stands for; None where they are not known.

        Raises:
            Refuse: No such table in scope.
        """
        table = item.args["table"].name.lower() if item.args.get("table") else ""
        if table and table not in self.sources:
            raise refuse("unknown_table", f"table {table} not found", Family.NAME)
        star = item.this if isinstance(item, exp.Column) else item
        if star.args.get("replace") or star.args.get("rename") or star.args.get("ilike"):
            raise refuse("star", "* can be followed by EXCEPT only")
        gone = {column.name.lower() for column in star.args.get("except_") or ()}
        outputs: Outputs = []
        seen: set[str] = set()
        for alias, columns in self.sources.items():
            if table in ("", alias):
                if columns is None:
                    return None
                for name, kind in columns.items():
                    if name not in gone and not (name in self.merged and name in seen):
                        outputs.append((name, kind))
                        seen.add(name)
        return outputs


def as_columns(outputs: Outputs | None, alias: exp.Expr | None) -> dict[str, Kind] | None:
    """Output columns by name, renamed by an alias' column list.

    Raises:
        Refuse: The list has another length.
    """
    if outputs is None:
        return None
    names = alias.args.get("columns") if alias is not None else None
    if names:
        if len(names) != len(outputs):
            raise refuse("alias_width", f"{len(names)} names for {len(outputs)} columns")
        return {name.name.lower(): kind for name, (_, kind) in zip(names, outputs, strict=True)}
    return dict(outputs)


def check_distinct_order(node: exp.Select, order: exp.Expr, outputs: Outputs | None) -> None:
    """Refuse what Databricks cannot sort a SELECT DISTINCT by: anything but functions of its output columns.

    Raises:
        Refuse: A sort key needs a column or aggregate that is not in the output.
    """
    if outputs is None:
        return
    names = {name for name, _ in outputs if name}
    plain = {item.name.lower() for item in node.expressions if isinstance(item, exp.Column)}
    for key in order.expressions:
        if any(True for _ in key.find_all(exp.AggFunc)):
            raise refuse("order_outside_distinct", "a SELECT DISTINCT cannot be sorted by an aggregate, name it first")
        for column in key.find_all(exp.Column):
            name = column.name.lower()
            if name not in (plain if column.args.get("table") is not None else names):
                raise refuse("order_outside_distinct", f"ORDER BY {name} must be among the SELECT DISTINCT columns")
