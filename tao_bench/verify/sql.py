"""Verifier ``sql@2``: a Databricks query, judged by what it returns.

Gold: ``{"sql": "...", "databases": ["labels/instances/x.json", ...]}``, paths relative to the task's
data folder (``"database": "..."`` for a single one). A response is correct if its result equals the
gold's on every one of these databases; see `tao_bench.sql.compare` for what equal means. ``"sql"`` may
be a list of golds, and a gold may hold column options in braces (`tao_bench.sql.gold_options`): then
any one of them must match on every database. With more than one, a correct verdict's reason ends in
``@k``, the number of the one that matched; a wrong one's is that of the nearest.

The gold runs once, before any prediction, in a worker process of its own, and is kept. A response is
taken as it is, but for outer white space, one ```` ```sql ```` fence and one last semicolon.

Statuses and reasons: ``unparsable`` (not one query that Databricks' grammar takes); ``wrong`` with
``dialect`` (parsed, but refused: a function, type name or idiom of another dialect), ``execution_error``
(unknown table or column, or an error of the engine), ``row_count``, ``extra_columns``,
``missing_columns``, ``values``, ``equal_after_rounding``, ``order`` or ``refusal`` (words that decline,
instead of a query); ``timeout``; ``truncated``; ``verifier_error`` where the gold or the sandbox fails,
where the response uses what the emulator lacks (``not_emulated``), or where the comparison is
``undecided``: no evidence either way.

Option ``policy`` puts the published rule of another grader in the place of this one (`tao_bench.sql.policies`).
What the rule does not decide stays as it is: the gate, the sandbox, gold first and apart, all databases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from tao.prompts import Prompt
from tao.sql.cache import Cache
from tao.sql.dialect import Family, Fault, clean
from tao.sql.engine import NOT_EMULATED, TOO_MANY_ROWS, Limits, Ran, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import Schema, read_instance
from tao.sql.result import Row
from tao.sql.sandbox import Sandbox
from tao_bench.sql.compare import EQUAL, Match, RowOrder
from tao_bench.sql.gold_options import gold_alternatives
from tao_bench.sql.gold_order import GoldStatement, gold_order, gold_statement, may_cut
from tao_bench.sql.policies import Context, Policy, Result, policy_named
from tao_bench.verify.verdict import Status, Verdict, correct, failed

_REFUSAL = re.compile(
    r"\b(can(?:not|'t| ?not)|could not|couldn't|unable|impossible|insufficient|not (?:enough|possible|available)|"
    r"i (?:do not|don't) (?:know|have)|sorry)\b",
    re.IGNORECASE,
)
_VERDICTS = 65_536  # on a gold and a statement, kept
_GOLD_CELLS = 2_000_000  # of golds' results, kept
_KEPT_MB = 32.0  # of predictions' results, by database and statement

# Of several golds, the reason of the nearest: the first of these that any of them gives.
_NEAREST_FIRST = (
    Match.ORDER,
    Match.EQUAL_AFTER_ROUNDING,
    Match.VALUES,
    Match.EXTRA_COLUMNS,
    Match.MISSING_COLUMNS,
    Match.ROW_COUNT,
)


@dataclass(frozen=True, slots=True)
class GoldResult:
    """What a gold returns on one database.

    Attributes:
        path: The instance file.
        rows: Canonical rows, sort keys cut off.
        names: Names of the columns.
        order: How far order and choice of the rows are fixed.
    """

    path: str
    rows: tuple[Row, ...]
    names: tuple[str, ...]
    order: RowOrder

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    @property
    def ties(self) -> tuple[int, ...] | None:
        """Sizes of the groups of rows with equal sort keys; None where order does not count."""
        return self.order.ties


@dataclass(frozen=True, slots=True)
class _Key:
    """What identifies a gold: its texts, its databases and the hashes of their content."""

    sql: tuple[str, ...]
    databases: tuple[str, ...]
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Gold:
    """A gold that has run: for each alternative its text and, for each database, its result."""

    schema: Schema
    texts: tuple[str, ...]
    results: tuple[tuple[GoldResult, ...], ...]


class _GoldFault(Exception):
    """The gold cannot be used; the text is the reason code."""


class SqlVerifier:
    """Implements `tao_bench.verify.verdict.Verifier` for SQL answers.

    Args:
        data: The task's data folder, which the golds' database paths are relative to.
        cpu_s: Processor time of one statement.
        rows: Most rows of a result.
        policy: Name of the rule that compares results, one of `tao_bench.sql.policies.POLICIES`.

    Raises:
        InputError: No such policy.
    """

    name = "sql"
    version = "2"

    def __init__(self, data: Path, *, cpu_s: float = 2.0, rows: int = 10_000, policy: str = "strict") -> None:
        self._data = data
        self._policy, self._prepare = policy_named(policy)
        self._reads_words = policy != "strict"
        self._limits = Limits(cpu_s=cpu_s, rows=rows)
        self._gold_box = Sandbox(self._limits)
        self._box = Sandbox(self._limits, kept_mb=_KEPT_MB)
        self._golds: Cache[_Key, _Gold | str] = Cache(_GOLD_CELLS)
        self._verdicts: Cache[tuple[_Key, str, str, str], tuple[Status, str]] = Cache(_VERDICTS)

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response. Never raises for what a response holds."""
        extracted = clean(response)
        if finish_reason == "length":
            return failed(Status.TRUNCATED, extracted, "length")
        key = self._key(gold)
        known = self._gold(key)
        if key is None or isinstance(known, str):
            return failed(Status.VERIFIER_ERROR, extracted, known if isinstance(known, str) else "gold_malformed")
        statement = self._prepare(response)
        checked = check(statement, known.schema)
        if isinstance(checked, Fault):
            status, reason = _refused(checked, extracted)
            return failed(status, extracted, reason)
        words = _words(prompt) if self._reads_words else ""
        # Published rules read the text of the statement, ours only what it returns.
        memo = (key, checked.duckdb, words, statement if self._reads_words else "")
        judged = self._verdicts.get(memo)
        if judged is None:
            ran = self._box.run([(result.path, checked.duckdb) for result in known.results[0]])
            judged = _judge(known, ran, self._policy, statement, words)
            if judged[0] in (Status.CORRECT, Status.WRONG):  # others may end otherwise next time
                self._verdicts.put(memo, judged)
        status, reason = judged
        return correct(extracted, reason) if status is Status.CORRECT else failed(status, extracted, reason)

    def close(self) -> None:
        """End the worker processes."""
        self._gold_box.close()
        self._box.close()

    def gold_results(self, gold: Any) -> tuple[GoldResult, ...] | str:
        """What a gold (the first, if there are several) returns on each of its databases, or why it cannot be used."""
        known = self._gold(self._key(gold))
        return known if isinstance(known, str) else known.results[0]

    def _gold(self, key: _Key | None) -> _Gold | str:
        if key is None:
            return "gold_malformed"
        known = self._golds.get(key)
        if known is None:
            try:
                known = self._run_gold(key)
            except _GoldFault as fault:
                known = str(fault)
            self._golds.put(key, known, _weight(known))
        return known

    def _key(self, gold: Any) -> _Key | None:
        """The gold's identity as its databases are now; None where it is malformed."""
        key = _gold_key(gold)
        if key is None:
            return None
        return replace(key, digests=tuple(self._box.digest(str(self._data / path)) for path in key.databases))

    def _run_gold(self, key: _Key) -> _Gold:
        paths = [str(self._data / database) for database in key.databases]
        try:
            schema = read_instance(Path(paths[0])).schema
        except ValueError:
            raise _GoldFault("gold_database") from None
        texts = [self._prepare(clean(sql)) for sql in key.sql]
        return _Gold(schema, tuple(texts), tuple(self._run_alternative(text, schema, paths) for text in texts))

    def _run_alternative(self, text: str, schema: Schema, paths: Sequence[str]) -> tuple[GoldResult, ...]:
        statement = gold_statement(text, schema, self._limits.rows)
        if isinstance(statement, Fault):
            raise _GoldFault("gold_refused")
        narrow = self._gold_box.run([(path, statement.text) for path in paths])
        if any(ran.outcome not in _RETURNED for ran in narrow):
            raise _GoldFault("gold_fails")
        return tuple(self._gold_result(path, ran, statement) for path, ran in zip(paths, narrow, strict=True))

    def _gold_result(self, path: str, ran: Ran, statement: GoldStatement) -> GoldResult:
        wide = None
        if may_cut(statement, ran.height):
            (more,) = self._gold_box.run([(path, statement.wide)])
            wide = more.rows if more.outcome in _RETURNED else None
        rows, order = gold_order(statement, ran.rows, wide)
        return GoldResult(path, rows, ran.names[: ran.width - statement.appended], order)


def _weight(gold: _Gold | str) -> int:
    """Cells of a gold's results."""
    if isinstance(gold, str):
        return 1
    return 1 + sum(len(one.rows) * max(1, one.width) for results in gold.results for one in results)


_RETURNED = (RunOutcome.OK, RunOutcome.EMPTY)


def _gold_key(gold: Any) -> _Key | None:
    """The gold's alternatives and databases; None where it is malformed."""
    if not isinstance(gold, Mapping):
        return None
    golds = gold.get("sql")
    if isinstance(golds, str):
        golds = [golds]
    databases = gold.get("databases", [gold.get("database")])
    if not (_are_texts(golds) and _are_texts(databases)):
        return None
    alternatives = [gold_alternatives(sql) for sql in golds]
    if any(part is None for part in alternatives):
        return None
    return _Key(tuple(sql for part in alternatives for sql in part or ()), tuple(databases))


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _words(prompt: Prompt) -> str:
    """What the last message of a prompt says: the question, and whatever the task writes around it."""
    return prompt.messages[-1].content if prompt.messages else ""


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


def _judge(gold: _Gold, found: Sequence[Ran], policy: Policy, statement: str, words: str) -> tuple[Status, str]:
    """Status and reason over all databases and alternatives."""
    for ran in found:
        if ran.outcome is RunOutcome.TIMEOUT:
            return Status.TIMEOUT, "timeout"
        if ran.outcome is RunOutcome.UNSCORED:
            return Status.VERIFIER_ERROR, "not_emulated" if ran.error.startswith(NOT_EMULATED) else "sandbox"
        if ran.outcome is RunOutcome.FAILED:
            return Status.WRONG, Match.ROW_COUNT.value if ran.error.startswith(TOO_MANY_ROWS) else "execution_error"
    reasons = []
    for number, (text, results) in enumerate(zip(gold.texts, gold.results, strict=True), start=1):
        match = _over_databases(results, found, policy, Context(text, statement, words))
        if match in EQUAL:
            return Status.CORRECT, match.value if len(gold.texts) == 1 else f"{match.value}@{number}"
        reasons.append(match)
    if Match.UNDECIDED in reasons:
        return Status.VERIFIER_ERROR, Match.UNDECIDED.value
    return Status.WRONG, next(reason for reason in _NEAREST_FIRST if reason in reasons).value


def _over_databases(golds: Sequence[GoldResult], found: Sequence[Ran], policy: Policy, context: Context) -> Match:
    """How one alternative compares: the first database where it is wrong decides, then one that is undecided."""
    matches = []
    for gold, ran in zip(golds, found, strict=True):
        matches.append(
            policy(Result(gold.rows, gold.names), Result(ran.rows, ran.names), replace(context, order=gold.order))
        )
        if matches[-1] not in EQUAL and matches[-1] is not Match.UNDECIDED:
            return matches[-1]
    for match in (Match.UNDECIDED, Match.EQUAL_PERMUTED, Match.EQUAL):
        if match in matches:
            return match
    return Match.EQUAL_EMPTY
