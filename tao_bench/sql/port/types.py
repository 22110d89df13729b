"""Rules about types: Databricks in ANSI mode casts less, and elsewhere, than the sources do."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from tao_bench.sql.port.context import NUMBERS, TIMES, Context, affinity_of, call, cast, kind_of, resolve, text

_NUMERIC_AFFINITY = frozenset(("INTEGER", "REAL", "NUMERIC"))
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_MIRRORED = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE}
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_NUMBER_TEXT = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*\Z")
_LEADING_NUMBER = "^ *[-+]?[0-9]+([.][0-9]*)?"
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?\Z")


def function_names(root: Any, context: Context) -> bool:
    """Functions of SQLite and MySQL that sqlglot passes on and Databricks does not have."""
    changed = False
    for node in list(root.find_all(exp.Anonymous)):
        name, arguments = node.name.upper(), node.expressions
        if name == "TOTAL" and len(arguments) == 1:
            inner = exp.Sum(this=exp.Cast(this=arguments[0].copy(), to=exp.DataType.build("DOUBLE")))
            node.replace(exp.Coalesce(this=inner, expressions=[exp.Literal.number("0.0")]))
        elif name in ("PRINTF", "FORMAT") and context.is_sqlite:
            node.replace(call("FORMAT_STRING", *(item.copy() for item in arguments), kind="text"))
        elif name == "CHAR_LENGTH" and len(arguments) == 1:
            node.replace(exp.Length(this=arguments[0].copy()))
        else:
            continue
        changed = True
    return changed


def float_is_double(root: Any, context: Context) -> bool:
    """``CAST(x AS FLOAT)`` and a bare ``DECIMAL`` keep their digits as DOUBLE.

    FLOAT has 32 bits in Databricks and 64 in SQLite and PostgreSQL; a DECIMAL without precision has no digits
    after the point in Databricks and all of them in PostgreSQL.
    """
    changed = False
    for node in root.find_all(exp.Cast):
        kind = node.to.this.value
        loose = kind == "DECIMAL" and not node.to.expressions and context.read in ("postgres", "sqlite")
        if (kind == "FLOAT" and context.read != "mysql") or loose:
            node.set("to", exp.DataType.build("DOUBLE"))
            changed = True
    return changed


def cast_of_text(root: Any, context: Context) -> bool:
    """SQLite's CAST of text to a number never fails: it reads the leading number, or 0."""
    if not context.is_sqlite:
        return False
    changed = False
    for node in list(root.find_all(exp.Cast)):
        if isinstance(node, exp.TryCast) or node.to.this.value not in ("INT", "BIGINT", "DOUBLE"):
            continue
        inner = node.this
        if kind_of(inner, context) != "text" or inner.meta.get("digits"):
            continue
        if node.to.this.value == "DOUBLE":
            number = cast(inner.copy(), "DOUBLE", may_fail=True)
        else:
            number = cast(cast(inner.copy(), "DOUBLE", may_fail=True), "BIGINT")
        node.replace(number)
        changed = True
    return changed


def text_in_arithmetic(root: Any, context: Context) -> bool:
    """Text in arithmetic, SUM, AVG, ABS or ROUND as a number: SQLite and MySQL convert it, ANSI mode fails on it."""
    if context.read not in ("sqlite", "mysql"):
        return False
    changed = False
    for node in list(root.find_all(*_ARITHMETIC, exp.Sum, exp.Avg, exp.Abs, exp.Round, exp.Neg)):
        operands = [node.this, node.expression] if isinstance(node, _ARITHMETIC) else [node.this]
        if any(isinstance(side, exp.Interval) or kind_of(side, context) in TIMES for side in operands):
            continue
        for side in operands:
            inner = side.expressions[0] if isinstance(side, exp.Distinct) else side
            if kind_of(inner, context) == "text":
                inner.replace(_as_number(inner, context))
                changed = True
    return changed


def _as_number(words: Any, context: Context) -> Any:
    """Text as a number; SQLite takes its leading number, or 0, and 0 counts in an average."""
    inner = words.unnest()
    if inner.meta.get("digits"):
        return _digits_as_number(inner)
    origin = resolve(inner, context) if isinstance(inner, exp.Column) else None
    if origin is not None and origin.is_digits:
        return cast(words.copy(), "DOUBLE")
    if not context.is_sqlite or origin is None or not origin.typed:
        return cast(words.copy(), "DOUBLE", may_fail=True)
    leading = call("REGEXP_EXTRACT", words.copy(), text(_LEADING_NUMBER), exp.Literal.number(0))
    number = cast(leading, "DOUBLE", may_fail=True)
    zero = exp.Coalesce(this=number, expressions=[exp.Literal.number(0)])
    has_value = exp.Not(this=exp.Is(this=words.copy(), expression=exp.Null()))
    return exp.Case(ifs=[exp.If(this=has_value, true=zero)])


def _digits_as_number(words: Any) -> Any:
    """Text that `sqlite_dates` made of a number, as that number; digits of a date as one."""
    return words.this.copy() if isinstance(words, exp.Cast) else cast(words.copy(), "INT")


def wide_integers(root: Any, context: Context) -> bool:
    """A product of whole numbers has 64 bits in SQLite, 32 in Databricks where both factors have: a cast of one."""
    if not context.is_sqlite:
        return False
    changed = False
    for node in list(root.find_all(exp.Mul)):
        factors = [node.this.unnest(), node.expression.unnest()]
        if all(_is_narrow(factor, context) for factor in factors) and not all(
            isinstance(factor, exp.Literal) for factor in factors
        ):
            column = node.this if not isinstance(factors[0], exp.Literal) else node.expression
            column.replace(cast(column.copy(), "BIGINT"))
            changed = True
    return changed


def _is_narrow(node: Any, context: Context) -> bool:
    if isinstance(node, exp.Column):
        origin = resolve(node, context)
        return origin is not None and origin.typed == "INT"
    return isinstance(node, exp.Literal) and kind_of(node, context) == "int"


def rounding_cast(root: Any, context: Context) -> bool:
    """A cast to a whole number rounds in PostgreSQL and cuts off in Databricks."""
    if context.read != "postgres":
        return False
    changed = False
    for node in list(root.find_all(exp.Cast)):
        is_whole = isinstance(node.this, exp.Round | exp.Floor | exp.Ceil | exp.Extract)
        if is_whole or node.to.this.value not in ("INT", "BIGINT", "SMALLINT"):
            continue
        if kind_of(node.this, context) in ("float", "decimal"):
            node.set("this", exp.Round(this=node.this.copy()))
            changed = True
    return changed


def truth_value_as_number(root: Any, context: Context) -> bool:
    """``SUM(x = 'a')`` and other uses of a truth value as 0 or 1: a cast, for ANSI mode has none of its own."""
    changed = False
    for node in list(root.find_all(*_ARITHMETIC, exp.Sum, exp.Avg)):
        for side in [node.this, node.expression] if isinstance(node, _ARITHMETIC) else [node.this]:
            inner = side.expressions[0] if isinstance(side, exp.Distinct) else side
            if kind_of(inner, context) == "bool":
                inner.replace(cast(inner.unnest().copy(), "INT"))
                changed = True
    return changed


def number_as_truth_value(root: Any, context: Context) -> bool:
    """A BOOLEAN compared with 0 or 1 is compared with FALSE or TRUE; a number as a condition gets ``<> 0``."""
    changed = False
    for node in list(root.find_all(*_COMPARED)):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            literal = other.unnest()
            if kind_of(side, context) != "bool" or not isinstance(literal, exp.Literal):
                continue
            if literal.name.lower() in ("0", "1", "t", "f", "true", "false"):
                other.replace(exp.Boolean(this=literal.name.lower() in ("1", "t", "true")))
                changed = True
    conditions = [node.this for node in root.find_all(exp.Where, exp.Having, exp.Not)]
    conditions += [side for node in root.find_all(exp.And, exp.Or) for side in (node.this, node.expression)]
    for condition in conditions:
        inner = condition.unnest()
        if not isinstance(inner, exp.Predicate | exp.Connector) and kind_of(inner, context) in NUMBERS:
            condition.replace(exp.NEQ(this=inner.copy(), expression=exp.Literal.number(0)))
            changed = True
    return changed


def integer_division(root: Any, context: Context) -> bool:
    """Whole by whole is whole in SQLite and PostgreSQL: ``DIV``; a division by 0 gives NULL in SQLite and MySQL."""
    changed = False
    for node in list(root.find_all(exp.Div)):
        kinds = (kind_of(node.this, context), kind_of(node.expression, context))
        literal = node.expression.unnest()
        nonzero = isinstance(literal, exp.Literal) and not literal.is_string and float(literal.name) != 0
        node.set("typed", False)
        if kinds == ("int", "int") and context.read in ("sqlite", "postgres"):
            divisor = node.expression.copy()
            if context.is_sqlite and not nonzero:
                divisor = exp.Nullif(this=divisor.unnest(), expression=exp.Literal.number(0))
            quotient: Any = exp.IntDiv(this=node.this.copy(), expression=divisor)
            quotient.meta["kind"] = "int"
            node.replace(exp.paren(quotient, copy=False) if isinstance(node.parent, exp.Binary) else quotient)
            changed = True
        elif nonzero and node.args.get("safe"):
            node.set("safe", False)  # sqlglot guards every divisor
            changed = True
    return changed


def _pairs(root: Any) -> list[tuple[Any, list[Any]]]:
    """Every comparison as its left side and the sides it is compared with."""
    found = []
    for node in root.find_all(*_COMPARED):
        found.append((node.this, [node.expression]))
    for node in root.find_all(exp.Between):
        found.append((node.this, [node.args["low"], node.args["high"]]))
    for node in root.find_all(exp.In):
        found.append((node.this, list(node.expressions)))
    return found


def text_compared_with_number(root: Any, context: Context) -> bool:
    """Text compared with a number, as the source compares them.

    SQLite by affinity (https://sqlite.org/datatype3.html, section 4.2): a numeric column makes the text a number,
    a TEXT column makes the number text. MySQL makes both numbers.
    """
    if context.read not in ("sqlite", "mysql"):
        return False
    changed = False
    for left, others in _pairs(root):
        for right in others:
            for one, other in ((left, right), (right, left)):
                if one.parent is None or other.parent is None:
                    continue
                if kind_of(one, context) == "text" and kind_of(other, context) in NUMBERS:
                    changed = _align(one, other, context) or changed
                    break
                if kind_of(one, context) == "text" and affinity_of(one, context) in _NUMERIC_AFFINITY:
                    changed = _align_mixed(one, other, context) or changed
                    break
    return changed


def _align(words: Any, number: Any, context: Context) -> bool:
    """Give text and a number one type."""
    literal = words.unnest()
    if context.read == "mysql":
        words.replace(cast(words.copy(), "DOUBLE", may_fail=True))
        return True
    forms = (affinity_of(words, context), affinity_of(number, context))
    if forms[1] in _NUMERIC_AFFINITY:
        if isinstance(literal, exp.Literal):
            if _NUMBER_TEXT.match(literal.name):
                words.replace(exp.Literal.number(literal.name.strip()))
            else:
                number.replace(cast(number.copy(), "STRING"))
        elif literal.meta.get("digits"):
            words.replace(_digits_as_number(literal))
        else:
            words.replace(cast(words.copy(), "DOUBLE", may_fail=True))
        return True
    if forms[0] in _NUMERIC_AFFINITY:  # a numeric column that holds some text
        words.replace(_ordered_number(words, context))
        return True
    if forms[0] == "TEXT":
        inner = number.unnest()
        number.replace(text(inner.name) if isinstance(inner, exp.Literal) else cast(number.copy(), "STRING"))
        return True
    return False


def _ordered_number(column: Any, context: Context) -> Any:
    """A numeric column that holds some text, for a comparison: SQLite puts text after every number."""
    origin = resolve(column.unnest(), context)
    if origin is not None and origin.is_digits:
        return cast(column.copy(), "DOUBLE")
    has_value = exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null()))
    last = exp.Case(ifs=[exp.If(this=has_value, true=cast(text("Infinity"), "DOUBLE"))])
    return exp.Coalesce(this=cast(column.copy(), "DOUBLE", may_fail=True), expressions=[last])


def _align_mixed(column: Any, other: Any, context: Context) -> bool:
    """A numeric column that holds some text, compared with a literal that reads as a number."""
    literal = other.unnest()
    if isinstance(literal, exp.Literal) and literal.is_string and _NUMBER_TEXT.match(literal.name):
        other.replace(exp.Literal.number(literal.name.strip()))
        column.replace(_ordered_number(column, context))
        return True
    return False


def date_compared_with_text(root: Any, context: Context) -> bool:
    """A date compared with text that is no literal date is compared as text, as SQLite does."""
    if not context.is_sqlite:
        return False
    changed = False
    for left, others in _pairs(root):
        for right in others:
            for one, other in ((left, right), (right, left)):
                if kind_of(one, context) not in TIMES or kind_of(other, context) != "text":
                    continue
                literal = other.unnest()
                if isinstance(literal, exp.Literal) and _ISO.match(literal.name):
                    continue
                if kind_of(one, context) == "date":
                    one.replace(cast(one.copy(), "STRING"))
                else:
                    one.replace(call("DATE_FORMAT", one.copy(), text("yyyy-MM-dd HH:mm:ss"), kind="text"))
                changed = True
                break
    return changed


def like_ignores_case(root: Any, context: Context) -> bool:
    """LIKE of SQLite and MySQL ignores case: ILIKE, where the pattern has letters; a number is matched as text."""
    if context.read not in ("sqlite", "mysql"):
        return False
    changed = False
    for node in list(root.find_all(exp.Like)):
        pattern = node.expression.unnest()
        if kind_of(node.this, context) in NUMBERS | TIMES:
            node.this.replace(cast(node.this.copy(), "STRING"))
            changed = True
        if isinstance(pattern, exp.Literal) and not re.search(r"[A-Za-z]", pattern.name):
            continue
        node.replace(exp.ILike(**node.copy().args))  # all of them: NOT is one
        changed = True
    return changed


def percentile(root: Any, context: Context) -> bool:
    """``PERCENTILE_CONT(p) WITHIN GROUP (ORDER BY x)`` as ``PERCENTILE(x, p)``, which is exact; sqlglot's is not."""
    changed = False
    for node in list(root.find_all(exp.WithinGroup)):
        if isinstance(node.this, exp.PercentileCont) and isinstance(node.expression, exp.Order):
            key = node.expression.expressions[0].this
            node.replace(call("PERCENTILE", key.copy(), node.this.this.copy(), kind="float"))
            changed = True
    return changed
