"""Rules about grouped and ordered queries, where the sources are looser than Databricks."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from tao_bench.sql.port.context import Context, columns_of, is_aggregate, is_star, own, resolve, sources_of


def star_in_grouped_query(root: Any, context: Context) -> bool:
    """``SELECT * ... GROUP BY`` spelled out, so that each column can be made an aggregate."""
    changed = False
    for select in list(root.find_all(exp.Select)):
        if select.args.get("group") is None or not any(is_star(item) for item in select.expressions):
            continue
        items: list[Any] = []
        for item in select.expressions:
            if not is_star(item):
                items.append(item)
                continue
            for source in sources_of(select):
                if isinstance(item, exp.Star) or item.table == source.alias_or_name:
                    names = columns_of(source, context)
                    items += [exp.column(name, table=source.alias_or_name) for name in names]
        select.set("expressions", items)
        changed = True
    return changed


def bare_grouped_column(root: Any, context: Context) -> bool:
    """A column outside GROUP BY, which MySQL, SQLite and (on a key) PostgreSQL allow, as ``ANY_VALUE(column)``.

    SQLite takes it from the row of the largest or smallest value where the query has exactly one MAX or MIN
    (https://sqlite.org/lang_select.html, section 2.5): then it is ``MAX_BY`` or ``MIN_BY``.
    """
    changed = False
    for select in list(root.find_all(exp.Select)):
        group = select.args.get("group")
        aggregates = [node for node in own(select, exp.Func) if is_aggregate(node)]
        if group is None and not aggregates:
            continue
        keys = _keys(select, group, context)
        extreme = _only_extreme(aggregates) if context.is_sqlite else None
        names = {item.alias_or_name for item in select.expressions if isinstance(item, exp.Alias)}
        places = [*select.expressions, select.args.get("having"), select.args.get("order")]
        for place in [place for place in places if place is not None]:
            found = [place, *own(place, exp.Column)] if isinstance(place, exp.Column) else list(own(place, exp.Column))
            for column in found:
                in_output = place in select.expressions
                if not in_output and not column.table and column.name in names:
                    continue
                if is_star(column) or _is_covered(column, select, keys, context):
                    continue
                column.replace(_one_of(column.copy(), extreme))
                changed = True
    return changed


def _keys(select: Any, group: Any, context: Context) -> list[Any]:
    """Grouping expressions, ordinals and aliases followed to what they name."""
    keys: list[Any] = []
    items = select.expressions
    aliases = {item.alias: item.this for item in items if isinstance(item, exp.Alias)}
    for given in group.expressions if group is not None else []:
        key = given.unnest()
        if isinstance(key, exp.Literal) and not key.is_string and 0 < int(key.name) <= len(items):
            keys.append(items[int(key.name) - 1].unalias().unnest())
            continue
        elif isinstance(key, exp.Column) and not key.table and key.name in aliases:
            origin = resolve(key, context)
            if origin is None or origin.source is None:
                keys.append(aliases[key.name].unnest())
                continue
        keys.append(key)
    return keys


def _is_covered(column: Any, select: Any, keys: list[Any], context: Context) -> bool:
    """Whether a column stands in an aggregate, in a window, in a grouping expression or belongs to an outer query."""
    node = column
    while node is not None and node is not select:
        if is_aggregate(node) or isinstance(node, exp.Filter) or (isinstance(node, exp.Window) and node is not column):
            return True
        if any(node == key for key in keys):
            return True
        node = node.parent
    mine = {source.alias_or_name for source in sources_of(select)}
    if column.table:
        if column.table not in mine:
            return True
        return any(isinstance(key, exp.Column) and _same(column, key, context) for key in keys)
    if any(isinstance(key, exp.Column) and key.name == column.name and _same(column, key, context) for key in keys):
        return True
    origin = resolve(column, context)
    return origin is not None and origin.source is not None and origin.source.alias_or_name not in mine


def _same(column: Any, key: Any, context: Context) -> bool:
    """Whether two names mean one column: the same name, from the same source where that is known."""
    if column.name != key.name:
        return False
    if column.table and key.table:
        return bool(column.table == key.table)
    left, right = resolve(column, context), resolve(key, context)
    return left is None or right is None or left.source is right.source


def _only_extreme(aggregates: list[Any]) -> Any:
    """The single MAX or MIN of a query, or None."""
    found = [node for node in aggregates if isinstance(node, exp.Max | exp.Min)]
    return found[0] if len(found) == 1 and not found[0].expressions else None


def _one_of(column: Any, extreme: Any) -> Any:
    if extreme is None:
        return exp.AnyValue(this=column)
    kind = exp.ArgMax if isinstance(extreme, exp.Max) else exp.ArgMin
    return kind(this=column, expression=extreme.this.copy())


def order_by_outside_distinct(root: Any, context: Context) -> bool:
    """``SELECT DISTINCT a ... ORDER BY b``: grouped by what is selected, ordered by the least (DESC: greatest) key."""
    changed = False
    for select in list(root.find_all(exp.Select)):
        order, distinct = select.args.get("order"), select.args.get("distinct")
        if order is None or distinct is None or distinct.args.get("on") is not None:
            continue
        outputs = {item.alias_or_name for item in select.expressions} | {
            item.unalias().sql() for item in select.expressions
        }
        keys = [(term, term.this) for term in order.expressions if isinstance(term, exp.Ordered)]
        outside = [
            (term, key)
            for term, key in keys
            if not isinstance(key, exp.Literal) and key.sql() not in outputs and key.name not in outputs
        ]
        if not outside or any(is_star(item) for item in select.expressions):
            continue
        grouped = select.args.get("group") is not None or any(is_aggregate(node) for node in own(select, exp.Func))
        if grouped:
            _nest(select, outside)
        else:
            for term, key in outside:
                term.set("this", (exp.Max if term.args.get("desc") else exp.Min)(this=key.copy()))
            select.set("distinct", None)
            select.set("group", exp.Group(expressions=[item.unalias().copy() for item in select.expressions]))
        changed = True
    return changed


def _nest(select: Any, outside: list[tuple[Any, Any]]) -> None:
    """Move a grouped SELECT DISTINCT into a subquery that hands its sort keys out."""
    names = []
    spelt = {item.unalias().sql(): number for number, item in enumerate(select.expressions)}
    for number, item in enumerate(list(select.expressions)):
        names.append(item.alias_or_name or f"c{number}")
        if not item.alias_or_name:
            item.replace(exp.alias_(item.copy(), names[-1]))
    for term in select.args["order"].expressions:
        key = term.this if isinstance(term, exp.Ordered) else term
        if key.sql() in spelt:
            key.replace(exp.column(names[spelt[key.sql()]]))
    order, limit, offset = (select.args.get(part) for part in ("order", "limit", "offset"))
    inner = select.copy()
    for part in ("order", "limit", "offset", "distinct", "with_"):
        inner.set(part, None)
    for number, (term, key) in enumerate(outside):
        inner.append("expressions", exp.alias_(key.copy(), f"k{number}"))
        least = (exp.Max if term.args.get("desc") else exp.Min)(this=exp.column(f"k{number}"))
        term.set("this", least)
    with_ = select.args.get("with_")
    outer = (
        exp.select(*(exp.column(name) for name in names))
        .from_(inner.subquery("d"))
        .group_by(*(exp.column(name) for name in names))
    )
    for part in list(select.args):
        select.set(part, None)
    for part, value in outer.args.items():
        select.set(part, value)
    for part, value in (("order", order), ("limit", limit), ("offset", offset), ("with_", with_)):
        select.set(part, value)


def scalar_subquery_first_row(root: Any, context: Context) -> bool:
    """SQLite takes the first row of a subquery that stands for one value; Databricks refuses several rows."""
    if not context.is_sqlite:
        return False
    changed = False
    for subquery in list(root.find_all(exp.Subquery)):
        query = subquery.this
        compared = isinstance(subquery.parent, exp.Binary | exp.Select | exp.Alias | exp.Between)
        if not compared or not isinstance(query, exp.Select) or query.args.get("limit") is not None:
            continue
        if query.args.get("group") is None and any(is_aggregate(node) for node in own(query, exp.Func)):
            continue
        if _is_correlated(query):
            continue
        query.set("limit", exp.Limit(expression=exp.Literal.number(1)))
        changed = True
    return changed


def _is_correlated(query: Any) -> bool:
    inside = {source.alias_or_name for select in query.find_all(exp.Select) for source in sources_of(select)}
    return any(column.table and column.table not in inside for column in query.find_all(exp.Column))


def quantified_comparison(root: Any, context: Context) -> bool:
    """``x > ALL (SELECT y ...)`` as ``x > (SELECT MAX(y) ...)``: Databricks has no ALL over a query.

    They differ where the subquery is empty (ALL is then true) or holds NULL.
    """
    changed = False
    extremes = {exp.GT: exp.Max, exp.GTE: exp.Max, exp.LT: exp.Min, exp.LTE: exp.Min}
    for quantifier in list(root.find_all(exp.All)):
        extreme = extremes.get(type(quantifier.parent))
        query = quantifier.this.unnest()
        if extreme and isinstance(query, exp.Select) and len(query.expressions) == 1:
            query.set("expressions", [extreme(this=query.expressions[0].unalias())])
            quantifier.replace(exp.Subquery(this=query))
            changed = True
    return changed
