"""Reads SQL answers for label-free signals: what a query amounts to on the prompt's tuning databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt
from tao.sql.cache import Cache
from tao.sql.dialect import Family, Fault
from tao.sql.engine import Limits, Ran, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import Schema, read_instance
from tao.sql.messages import short_error
from tao.sql.result import combine
from tao.sql.sandbox import Sandbox

HANDLE = "database"
_KEPT_MB = 32.0  # of results, by instance and statement: some fifty thousand
_SCHEMAS = 1_024  # kept, by their instance

_OUTCOMES = {
    RunOutcome.FAILED: Outcome.FAILED,
    RunOutcome.TIMEOUT: Outcome.TIMEOUT,
    RunOutcome.UNSCORED: Outcome.UNSCORED,
}
_WORST_FIRST = (RunOutcome.UNSCORED, RunOutcome.TIMEOUT, RunOutcome.FAILED)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a query came to on all instances: a reading, still without its key."""

    outcome: Outcome
    rows: str = ""  # joint fingerprint as multisets of rows
    sequence: str = ""  # joint fingerprint as sequences of rows
    tall: bool = False  # some result has two rows or more, so that their order can matter
    detail: str = ""


class SqlInterpreter:
    """Implements `tao.meaning.Interpreter` for SQL answers.

    An answer is gated, then run in a sandboxed worker on every instance that the prompt's handles
    ``database``, ``database_2``, ... point at. Its key is the joint fingerprint of its results: two
    answers agree when they give the same rows on every instance, whatever their text, column order
    or column names.

    Row order: whether order matters to the question is not known without the gold, so the answers
    say it themselves. Among the answers of one call that give the same rows, those with an ORDER BY
    in their outermost query are told apart by their order only if they are more than half; else all
    of them agree. Keys are therefore comparable within one call of `read`, not across calls. Results
    of at most one row always agree.

    Equal statements are run once on instances of equal content, also across calls (`tao.sql.sandbox` says
    what is kept); time-outs and failures of the sandbox are tried again.

    Args:
        limits: What a statement may use.
    """

    name = "sql"
    version = "2"

    def __init__(self, limits: Limits | None = None) -> None:
        self._sandbox = Sandbox(limits, kept_mb=_KEPT_MB)
        self._schemas: Cache[str, Schema] = Cache(_SCHEMAS)

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order. Never raises for what an answer holds.

        Raises:
            InputError: The prompt has no database handle, or its file is not an instance.
        """
        paths = [prompt.handles[name] for name in sorted(prompt.handles) if name.startswith(HANDLE)]
        if not paths:
            raise InputError("the prompt has no database", prompt.id, f'add a handle "{HANDLE}"')
        schema = self._schema(paths[0])
        checked = [check(answer, schema) for answer in answers]
        meanings = self._run(paths, list(dict.fromkeys(c.duckdb for c in checked if not isinstance(c, Fault))))
        found = [(_refused(c), False) if isinstance(c, Fault) else (meanings[c.duckdb], c.ordered) for c in checked]
        return _keyed(found)

    def close(self) -> None:
        """End the worker process."""
        self._sandbox.close()

    def _run(self, paths: Sequence[str], statements: Sequence[str]) -> dict[str, _Meaning]:
        """The meaning of each statement; on the second and later instances only what ran on those before."""
        ran: dict[str, list[Ran]] = {sql: [] for sql in statements}
        pending = list(ran)
        for path in paths:
            for sql, one in zip(pending, self._sandbox.run([(path, sql) for sql in pending], rows=False), strict=True):
                ran[sql].append(one)
            pending = [sql for sql in pending if ran[sql][-1].outcome in (RunOutcome.OK, RunOutcome.EMPTY)]
        return {sql: _joint(outcomes) for sql, outcomes in ran.items()}

    def _schema(self, path: str) -> Schema:
        digest = self._sandbox.digest(path)
        schema = self._schemas.get(digest)
        if schema is None:
            schema = read_instance(Path(path), digest).schema
            self._schemas.put(digest, schema)
        return schema


def _refused(fault: Fault) -> _Meaning:
    outcome = Outcome.UNSCORED if fault.family is Family.EMULATOR else Outcome.INVALID
    return _Meaning(outcome, detail=fault.message)


def _joint(ran: Sequence[Ran]) -> _Meaning:
    """One meaning for the outcomes on all instances: the worst, or all results together."""
    for bad in _WORST_FIRST:
        for one in ran:
            if one.outcome is bad:
                detail, is_name = short_error(one.error)
                return _Meaning(Outcome.INVALID if is_name else _OUTCOMES[bad], detail=detail)
    prints = [one.prints for one in ran if one.prints is not None]
    return _Meaning(
        Outcome.EMPTY if all(one.outcome is RunOutcome.EMPTY for one in ran) else Outcome.OK,
        rows=combine(rows for rows, _ in prints),
        sequence=combine(sequence for _, sequence in prints),
        tall=any(one.height > 1 for one in ran),
    )


def _keyed(found: Sequence[tuple[_Meaning, bool]]) -> list[Reading]:
    """Turn meanings (and whether each answer asks for an order) into readings with keys."""
    total = Counter(meaning.rows for meaning, _ in found)
    with_order = Counter(meaning.rows for meaning, ordered in found if ordered)
    readings = []
    for meaning, ordered in found:
        if meaning.outcome not in (Outcome.OK, Outcome.EMPTY):
            readings.append(Reading(meaning.outcome, detail=meaning.detail))
            continue
        by_order = meaning.tall and ordered and 2 * with_order[meaning.rows] > total[meaning.rows]
        key = f"ordered:{meaning.sequence}" if by_order else f"rows:{meaning.rows}"
        readings.append(Reading(meaning.outcome, key, "empty result" if meaning.outcome is Outcome.EMPTY else ""))
    return readings
