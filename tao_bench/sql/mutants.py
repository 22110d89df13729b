"""One-step faults of a gold query: what a model that almost understood the question would write.

A task's data must tell them from the gold, or it cannot tell a model that knows from one that guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlglot import exp, parse_one

Change = Callable[[Any], object]
Siblings = Mapping[str, Sequence[str]]
"""Column name to the other columns of its table that have its type (lower-case)."""

_SWAPPED: dict[type[Any], type[Any]] = {
    exp.Sum: exp.Avg, exp.Avg: exp.Sum, exp.Max: exp.Min, exp.Min: exp.Max,
}  # fmt: skip
_FLIPPED: dict[type[Any], tuple[type[Any], ...]] = {  # the opposite first, then the other boundary
    exp.GT: (exp.LT, exp.GTE), exp.LT: (exp.GT, exp.LTE), exp.GTE: (exp.LTE, exp.GT), exp.LTE: (exp.GTE, exp.LT),
    exp.EQ: (exp.NEQ,), exp.NEQ: (exp.EQ,),
}  # fmt: skip


def mutants(sql: str, siblings: Siblings) -> Iterator[tuple[str, str]]:
    """(kind, query) of every one-step fault of a query, the query itself left out; each text once.

    Args:
        sql: The gold, in the Databricks dialect.
        siblings: Columns that could be taken one for the other.

    Raises:
        sqlglot.errors.ParseError: The gold does not parse.
    """
    query = parse_one(sql, read="databricks")
    seen = {query.sql("databricks")}
    for kind, mutant in _every(query, sql, siblings):
        if mutant not in seen:
            seen.add(mutant)
            yield kind, mutant


def _every(query: Any, sql: str, siblings: Siblings) -> Iterator[tuple[str, str]]:
    yield "empty result", exp.select("*").from_(query.subquery("q")).where("FALSE").sql("databricks")
    yield "extra column", _with_column(query)
    for place, node in enumerate(query.walk()):
        for kind, change in _changes(node):
            yield kind, _mutated(query, place, change)
        others = siblings.get(node.name.lower()) if isinstance(node, exp.Column) else None
        if others and not node.find_ancestor(exp.Group, exp.Order):
            kind = "column of filter" if node.find_ancestor(exp.Where) else "column"
            yield kind, _renamed(query, node.name, others[len(sql) % len(others)])


def _mutated(query: Any, place: int, change: Change) -> str:
    """The query with its `place`-th node changed."""
    copy = query.copy()
    change(list(copy.walk())[place])
    return str(copy.sql("databricks"))


def _changes(node: Any) -> Iterator[tuple[str, Change]]:
    """The faults that start at one node."""
    kind = type(node)
    if kind in _SWAPPED:
        yield "aggregate", lambda n: n.replace(_SWAPPED[type(n)](this=n.this))
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Column | exp.Distinct):
        yield "aggregate", lambda n: n.set("this", exp.Star())
    yield from _comparisons(node)
    if isinstance(node, exp.Where) and not isinstance(node.this, exp.Not):
        for part in range(len(_parts(node))):
            yield "filter dropped", partial(_drop, part=part)
    if isinstance(node, exp.Having):
        yield "filter dropped", lambda n: n.pop()
    if isinstance(node, exp.Not):
        yield "negation", lambda n: n.replace(n.this)
    if isinstance(node, exp.And):
        yield "connective", lambda n: n.replace(exp.Or(this=n.this, expression=n.expression))
    if isinstance(node, exp.Or):
        yield "connective", lambda n: n.replace(exp.And(this=n.this, expression=n.expression))
    if isinstance(node, exp.Sub | exp.Div):
        yield "operands", lambda n: n.replace(type(n)(this=n.expression.copy(), expression=n.this.copy()))
    if isinstance(node, exp.Distinct) and isinstance(node.parent, exp.Select):
        yield "distinct", lambda n: n.parent.set("distinct", None)
    if isinstance(node, exp.Ordered):
        yield "direction", lambda n: n.set("desc", not n.args.get("desc"))
    if isinstance(node, exp.Limit) and node.expression.name.isdigit():
        yield "limit", lambda n: n.set("expression", exp.Literal.number(int(n.expression.name) + 1))
    if isinstance(node, exp.Join) and (node.args.get("on") or node.args.get("using")):
        yield "join", lambda n: n.set("side", None if n.args.get("side") else "LEFT")
    if isinstance(node, exp.Union):
        yield "union", lambda n: n.set("distinct", not n.args.get("distinct"))
    if isinstance(node, exp.Select) and node.parent is None:
        yield "every column", lambda n: n.set("expressions", [exp.Star()])
        if len(node.expressions) > 1:
            yield "missing column", lambda n: n.set("expressions", n.expressions[:-1])


def _comparisons(node: Any) -> Iterator[tuple[str, Change]]:
    flips = _FLIPPED.get(type(node), ())
    if isinstance(node.expression, exp.Subquery):
        flips = flips[:1]  # nothing equals an average to the last digit
    if isinstance(node.parent, exp.Join):
        flips = ()  # a join on an inequality is no fault anybody makes
    for place, flip in enumerate(flips):
        yield "boundary" if place else "operator", partial(_flip, to=flip)
    if isinstance(node, exp.Literal) and not node.is_string and isinstance(node.parent, exp.GT | exp.LT):
        yield "bound", lambda n: n.replace(exp.Literal.number(round(float(n.name) * 1.3) + 1))


def _flip(node: Any, to: type[Any]) -> None:
    node.replace(to(this=node.this, expression=node.expression))


def _parts(where: Any) -> list[Any]:
    return list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]


def _drop(where: Any, part: int) -> None:
    rest = [p for i, p in enumerate(_parts(where)) if i != part]
    if rest:
        where.set("this", exp.and_(*rest))
    else:
        where.pop()


def _renamed(query: Any, name: str, other: str) -> str:
    copy = query.copy()
    for column in copy.find_all(exp.Column):
        if column.name == name:
            column.set("this", exp.to_identifier(other))
    return str(copy.sql("databricks"))


def _with_column(query: Any) -> str:
    one = exp.alias_(exp.Literal.number(1), "one")
    if isinstance(query, exp.Select):
        copy = query.copy()
        copy.set("expressions", [*copy.expressions, one])
        return str(copy.sql("databricks"))
    return str(exp.select("*", one).from_(query.subquery("q")).sql("databricks"))


def siblings_of(columns: Mapping[str, Mapping[str, str]], keys: bool = True) -> dict[str, list[str]]:
    """Columns that could be taken one for the other: of one table and one type.

    Args:
        columns: Table to column to type, lower-case (`tao.sql.instance.Schema.columns`).
        keys: Whether columns called ``..._id`` take part.
    """
    found: dict[str, list[str]] = {}
    for table in columns.values():
        for name, kind in table.items():
            alike = [n for n, k in table.items() if k == kind and n != name and (keys or not n.endswith("_id"))]
            found[name] = alike if keys or not name.endswith("_id") else []
    return found
