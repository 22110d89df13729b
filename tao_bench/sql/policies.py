"""The published rules of other graders, by name, beside `strict`: official and strict figures side by side.

A policy is a plain function of two results and their context. Each follows the code that its project
published, faults included; what a policy decides alone (which rows are equal) is here, and what it takes
for granted (that a prediction cannot write, that a gold runs apart) is not: the harness sees to that for
all of them. `tests/test_sql_policies.py` shows each fault, and what closes it.

Values are compared as Python compares them. The verifier hands over canonical cells, in which a date
equals its midnight timestamp and NaN is NULL; hand over rows as a driver returned them to reproduce a
published figure to the digit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tao.errors import InputError
from tao.sql.result import Row
from tao_bench.sql.compare import ANY_ORDER, EQUAL, Match, RowOrder, compare
from tao_bench.sql.pairing import EXACT, SAME_ENGINE, Rule


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returned.

    Attributes:
        rows: Its rows.
        names: Its column names, which are known even where there are no rows.
    """

    rows: Sequence[Row]
    names: Sequence[str]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Context:
    """What a policy may want to know besides the two results.

    Attributes:
        gold_sql: Text of the gold, as it was run.
        found_sql: Text of the prediction, as it was run.
        question: The question in words (`defog` looks for "order" and the like in it).
        category: The item's category, '' if it has none (`defog` knows ``order_by``).
        order: What the gold fixes about order (`strict` only; others read the text).
        rule: When two numbers are equal (`strict` only).
    """

    gold_sql: str = ""
    found_sql: str = ""
    question: str = ""
    category: str = ""
    order: RowOrder = ANY_ORDER
    rule: Rule = SAME_ENGINE


Policy = Callable[[Result, Result, Context], Match]


def strict(gold: Result, found: Result, context: Context) -> Match:
    """This project's own rule: see `tao_bench.sql.compare`."""
    return compare(gold.rows, found.rows, (gold.width, found.width), context.order, context.rule)


def bird_ex(gold: Result, found: Result, context: Context) -> Match:
    """Execution accuracy of BIRD: equal sets of rows. Duplicates and order are lost, the order of columns counts.

    Source: bird-bench/mini_dev, evaluation/evaluation_ex.py (Li et al., Can LLM already serve as a
    database interface?, NeurIPS 2023, section 4).
    """
    return _match(set(map(tuple, gold.rows)) == set(map(tuple, found.rows)), gold, found)


def spider_suite(gold: Result, found: Result, context: Context) -> Match:
    """Spider's test-suite accuracy on one database: equal bags of rows under some order of the columns.

    Row order counts if the text ``order by`` occurs anywhere in the gold. No results have rows: equal,
    whatever their width. Both statements go through `without_distinct` before they run, unless the published
    ``--keep_distinct`` is wanted.

    Source: taoyds/test-suite-sql-eval, exec_eval.py, ``result_eq`` (Zhong, Yu and Klein, Semantic
    evaluation for text-to-SQL with distilled test suites, EMNLP 2020).
    """
    if not gold.rows and not found.rows:
        return Match.EQUAL_EMPTY
    if len(gold.rows) != len(found.rows):
        return Match.ROW_COUNT
    if len(gold.rows[0]) != len(found.rows[0]):
        return Match.VALUES
    ordered = "order by" in _tidied(context.gold_sql).lower()
    left, right = [list(map(_unordered, result.rows)) for result in (gold, found)]
    if left != right if ordered else set(left) != set(right):
        return Match.VALUES
    if ordered:  # equal under some order of the columns: each column has its equal on the other side
        same = Counter(zip(*gold.rows, strict=True)) == Counter(zip(*found.rows, strict=True))
        return Match.EQUAL if same else Match.VALUES
    width = len(gold.rows[0])
    match = compare(gold.rows, found.rows, (width, width), None, EXACT)
    return match if match in EQUAL or match is Match.UNDECIDED else Match.VALUES


def _unordered(row: Row) -> tuple[Any, ...]:
    return tuple(sorted(row, key=lambda cell: str(cell) + str(type(cell))))


def defog_exact(gold: Result, found: Result, context: Context) -> Match:
    """The column ``exact_match`` of Defog's sql-eval: equal frames, at once or without duplicates and sorted."""
    from tao_bench.sql.defog import is_exact

    try:
        return _match(is_exact(gold, found, context), gold, found)
    except Exception:  # as its runner does: whatever is raised while comparing is no match
        return Match.VALUES


def defog(gold: Result, found: Result, context: Context) -> Match:
    """The column ``correct`` of Defog's sql-eval: an exact match, or the gold's columns among more.

    Source: defog-ai/sql-eval, eval/eval.py, ``compare_df`` and ``subset_df``.
    """
    from tao_bench.sql.defog import is_exact, is_subset

    try:
        return _match(is_exact(gold, found, context) or is_subset(gold, found, context), gold, found)
    except Exception:
        return Match.VALUES


def _match(same: bool, gold: Result, found: Result) -> Match:
    if not same:
        return Match.VALUES
    return Match.EQUAL if gold.rows or found.rows else Match.EQUAL_EMPTY


_DISTINCT = re.compile(
    r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)|\bdistinct\b",
    re.IGNORECASE | re.DOTALL,
)
_THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def _tidied(sql: str) -> str:
    for broken in ("> =", "< =", "! ="):
        sql = sql.replace(broken, broken.replace(" ", ""))
    return sql


def tidied(sql: str) -> str:
    """A statement as Spider's test suite runs it: split operators joined, the year of CURDATE() is 2020."""
    return _THIS_YEAR.sub("2020", _tidied(sql))


def without_distinct(sql: str) -> str:
    """The same, with every keyword DISTINCT taken out."""
    return tidied(_DISTINCT.sub(lambda found: found.group(1) or "", sql))


POLICIES: Mapping[str, Policy] = {
    "strict": strict,
    "bird_ex": bird_ex,
    "spider_suite": spider_suite,
    "spider_suite_keep_distinct": spider_suite,
    "defog_exact": defog_exact,
    "defog": defog,
}
"""Name to rule, `strict` first."""

PREPARATIONS: Mapping[str, Callable[[str], str]] = {
    "spider_suite": without_distinct,
    "spider_suite_keep_distinct": tidied,
}
"""What a policy does to both statements before they run; nothing where it is not listed."""


def policy_named(name: str) -> tuple[Policy, Callable[[str], str]]:
    """A policy and what it does to statements before they run.

    Raises:
        InputError: Unknown name.
    """
    if name not in POLICIES:
        raise InputError(f"unknown comparison policy {name!r}", "verifier option policy", f"use {', '.join(POLICIES)}")
    return POLICIES[name], PREPARATIONS.get(name, str)
