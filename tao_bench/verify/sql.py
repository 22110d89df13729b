"""Verifier ``sql@1``: a Databricks query, judged by what it returns.

Gold: ``{"sql": "...", "databases": ["labels/instances/x.json", ...]}``, paths relative to the task's
data folder (``"database": "..."`` for a single one). A response is correct if its result equals the
gold's on every one of these databases; see `tao_bench.sql.compare` for what equal means.

The gold runs once, before any prediction, in a worker process of its own, and is kept. A response is
taken as it is, but for outer white space, one ```` ```sql ```` fence and one last semicolon.

Statuses and reasons: ``unparsable`` (not one query that Databricks' grammar takes); ``wrong`` with
``dialect`` (parsed, but refused: a function, type name or idiom of another dialect), ``execution_error``
(unknown table or column, or an error of the engine), ``row_count``, ``extra_columns``,
``missing_columns``, ``values``, ``order`` or ``refusal`` (words that decline, instead of a query);
``timeout``; ``truncated``; ``verifier_error`` where the gold or the sandbox fails, or where the response
uses what the emulator lacks (``not_emulated``): no evidence either way.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.prompts import Prompt
from tao.sql.dialect import Family, Fault, clean
from tao.sql.engine import NOT_EMULATED, TOO_MANY_ROWS, Limits, Ran, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import Schema, read_instance
from tao.sql.result import Row, quantise
from tao.sql.sandbox import Sandbox
from tao_bench.sql.compare import EQUAL, Match, compare
from tao_bench.sql.gold_order import GoldStatement, gold_statement
from tao_bench.verify.verdict import Status, Verdict, correct, failed

_REFUSAL = re.compile(
    r"\b(can(?:not|'t| ?not)|could not|couldn't|unable|impossible|insufficient|not (?:enough|possible|available)|"
    r"i (?:do not|don't) (?:know|have)|sorry)\b",
    re.IGNORECASE,
)
_KEPT = 65_536  # verdicts on (gold, statement) kept


@dataclass(frozen=True, slots=True)
class GoldResult:
    """What a gold returns on one database.

    Attributes:
        path: The instance file.
        rows: Canonical rows, sort keys cut off.
        width: Number of columns.
        ties: Sizes of the groups of rows with equal sort keys; None where order does not count.
    """

    path: str
    rows: tuple[Row, ...]
    width: int
    ties: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class _Gold:
    schema: Schema
    results: tuple[GoldResult, ...]


class _GoldFault(Exception):
    """The gold cannot be used; the text is the reason code."""


class SqlVerifier:
    """Implements `tao_bench.verify.verdict.Verifier` for SQL answers.

    Args:
        data: The task's data folder, which the golds' database paths are relative to.
        cpu_s: Processor time of one statement.
        rows: Most rows of a result.
    """

    name = "sql"
    version = "1"

    def __init__(self, data: Path, *, cpu_s: float = 2.0, rows: int = 10_000) -> None:
        self._data = data
        limits = Limits(cpu_s=cpu_s, rows=rows)
        self._gold_box = Sandbox(limits)
        self._box = Sandbox(limits)
        self._golds: dict[tuple[str, ...], _Gold | str] = {}
        self._verdicts: OrderedDict[tuple[tuple[str, ...], str], tuple[Status, str]] = OrderedDict()

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response. Never raises for what a response holds."""
        extracted = clean(response)
        if finish_reason == "length":
            return failed(Status.TRUNCATED, extracted, "length")
        key = _gold_key(gold)
        known = self._gold(key)
        if isinstance(known, str):
            return failed(Status.VERIFIER_ERROR, extracted, known)
        checked = check(response, known.schema)
        if isinstance(checked, Fault):
            status, reason = _refused(checked, extracted)
            return failed(status, extracted, reason)
        memo = (key, checked.duckdb)
        judged = self._verdicts.get(memo)
        if judged is None:
            jobs = [(result.path, checked.duckdb) for result in known.results]
            judged = _judge(known.results, self._box.run(jobs))
            if judged[0] in (Status.CORRECT, Status.WRONG):  # others may end otherwise next time
                self._verdicts[memo] = judged
            if len(self._verdicts) > _KEPT:
                self._verdicts.popitem(last=False)
        status, reason = judged
        return correct(extracted, reason) if status is Status.CORRECT else failed(status, extracted, reason)

    def close(self) -> None:
        """End the worker processes."""
        self._gold_box.close()
        self._box.close()

    def gold_results(self, gold: Any) -> tuple[GoldResult, ...] | str:
        """What a gold returns on each of its databases, or the reason code why it cannot be used."""
        known = self._gold(_gold_key(gold))
        return known if isinstance(known, str) else known.results

    def _gold(self, key: tuple[str, ...]) -> _Gold | str:
        if key not in self._golds:
            try:
                self._golds[key] = self._run_gold(key)
            except _GoldFault as fault:
                self._golds[key] = str(fault)
        return self._golds[key]

    def _run_gold(self, key: tuple[str, ...]) -> _Gold:
        if len(key) < 2:
            raise _GoldFault("gold_malformed")
        sql, *databases = key
        paths = [str(self._data / database) for database in databases]
        try:
            schema = read_instance(Path(paths[0])).schema
        except ValueError:
            raise _GoldFault("gold_database") from None
        statement = gold_statement(clean(sql), schema)
        if isinstance(statement, Fault):
            raise _GoldFault("gold_refused")
        results = []
        for path, ran in zip(paths, self._gold_box.run([(path, statement.duckdb) for path in paths]), strict=True):
            if ran.outcome not in (RunOutcome.OK, RunOutcome.EMPTY):
                raise _GoldFault("gold_fails")
            results.append(_gold_result(path, ran, statement))
        return _Gold(schema, tuple(results))


def _gold_key(gold: Any) -> tuple[str, ...]:
    """The gold's statement and databases; shorter than two where it is malformed."""
    if not isinstance(gold, Mapping) or not isinstance(gold.get("sql"), str):
        return ()
    databases = gold.get("databases", [gold.get("database")])
    if not isinstance(databases, list) or not all(isinstance(path, str) for path in databases):
        return ()
    return (gold["sql"], *databases)


def _gold_result(path: str, ran: Ran, statement: GoldStatement) -> GoldResult:
    width = ran.width - statement.appended
    rows = tuple(row[:width] for row in ran.rows)
    if not statement.ordered:
        return GoldResult(path, rows, width, None)
    if statement.keys is None:
        return GoldResult(path, rows, width, (1,) * len(rows))
    sizes: list[int] = []
    last: tuple[Any, ...] | None = None
    for row in ran.rows:
        sort_key = tuple(quantise(row[column]) for column in statement.keys)
        if sizes and sort_key == last:
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = sort_key
    return GoldResult(path, rows, width, tuple(sizes))


def _refused(fault: Fault, text: str) -> tuple[Status, str]:
    if fault.family is Family.SYNTAX:
        if not text[:6].upper().startswith(("SELECT", "WITH", "(")) and _REFUSAL.search(text):
            return Status.WRONG, "refusal"
        return Status.UNPARSABLE, fault.code
    if fault.family is Family.DIALECT:
        return Status.WRONG, "dialect"
    if fault.family is Family.NAME:
        return Status.WRONG, "execution_error"
    return Status.VERIFIER_ERROR, "not_emulated"


def _judge(golds: Sequence[GoldResult], found: Sequence[Ran]) -> tuple[Status, str]:
    """Status and reason over all databases: the first that is not equal decides."""
    matches = []
    for gold, ran in zip(golds, found, strict=True):
        if ran.outcome is RunOutcome.TIMEOUT:
            return Status.TIMEOUT, "timeout"
        if ran.outcome is RunOutcome.UNSCORED:
            return Status.VERIFIER_ERROR, "not_emulated" if ran.error.startswith(NOT_EMULATED) else "sandbox"
        if ran.outcome is RunOutcome.FAILED:
            return Status.WRONG, Match.ROW_COUNT.value if ran.error.startswith(TOO_MANY_ROWS) else "execution_error"
        match = compare(gold.rows, ran.rows, (gold.width, ran.width), gold.ties)
        if match is Match.UNDECIDED:
            return Status.VERIFIER_ERROR, match.value
        if match not in EQUAL:
            return Status.WRONG, match.value
        matches.append(match)
    for match in (Match.EQUAL_PERMUTED, Match.EQUAL):
        if match in matches:
            return Status.CORRECT, match.value
    return Status.CORRECT, Match.EQUAL_EMPTY.value
