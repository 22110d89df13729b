"""Certificates: was a gold ported faithfully, and is it a gold worth having? Two questions, answered apart.

*Port certificate*: the ported gold runs on the embedded engine and on a real Spark in ANSI mode, and both give
what the source engine gives. *Quality flags* say what is doubtful about the gold itself, on its own engine.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tao.sql.dialect import Fault
from tao.sql.engines import QueryEngine, Reply
from tao.sql.engines.emulator import EmulatorEngine
from tao.sql.result import is_empty
from tao_bench.sql.agreement import disagreement, with_times
from tao_bench.sql.compare import Match, RowOrder
from tao_bench.sql.gold_order import gold_order, gold_statement, may_cut

CERTIFIED = "certified"
WITHOUT_SPARK = "certified_without_spark"
UNCERTIFIED = "uncertified"
FLAGS = ("empty", "unstable", "limit_cuts_tie", "clock_dependent", "fails_on_source")
SHUFFLES = 4
"""Row orders of all tables in which a gold must give one result."""
_CLOCK_WORDS = re.compile(r"'now'|\bnow\s*\(|\bcurrent_(?:date|time|timestamp)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of one gold.

    Attributes:
        id: The gold's id.
        database: Its database.
        half: ``rules`` or ``held_out``: which half of the databases it belongs to, see `half_of`.
        status: ``certified``, ``certified_without_spark`` or ``uncertified``.
        reason: Why it is not certified, '' otherwise.
        flags: What is doubtful about the gold itself (`FLAGS`).
        source: The engine that the port was held against, '' where there was none.
        sql: The gold in the Databricks dialect, '' where it could not be ported.
        rules: Porting rules that changed it.
        clock: The instant that now meant while it was proved, '' where it does not ask.
    """

    id: str
    database: str
    half: str
    status: str
    reason: str = ""
    flags: tuple[str, ...] = ()
    source: str = ""
    sql: str = ""
    rules: tuple[str, ...] = ()
    clock: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the source said about a gold.

    Attributes:
        reply: On the database as published; None without a source engine.
        shuffled: On the same tables with their rows in other orders.
    """

    reply: Reply | None = None
    shuffled: Sequence[Reply] = ()

    def flags(self) -> set[str]:
        """Quality flags that need nothing but the source."""
        if self.reply is None:
            return set()
        if self.reply.error:
            return {"fails_on_source"}
        found = {"empty"} if is_empty(self.reply.rows) else set()
        if any(other.error or disagreement(self.reply, other) for other in self.shuffled):
            found.add("unstable")
        return found

    def varies_in_order(self, order: RowOrder) -> bool:
        """Whether the source puts the same rows in other orders, beyond those of rows that tie in the ported gold."""
        if self.reply is None or order.ties is None or sum(order.ties) != len(self.reply.rows):
            return False
        ties = RowOrder(order.ties)
        return any(disagreement(self.reply, other, ties) == Match.ORDER for other in self.shuffled if not other.error)


def half_of(database: str) -> str:
    """The half a database belongs to, by a hash of its name: rules may be written on one, rates are owed on both."""
    return "rules" if int(hashlib.sha256(database.lower().encode()).hexdigest(), 16) % 2 == 0 else "held_out"


def asks_clock(sql: str) -> bool:
    """Whether a query in the source dialect asks what time it is."""
    return _CLOCK_WORDS.search(sql) is not None


@dataclass(frozen=True, slots=True)
class Proof:
    """Outcome of running a ported gold: status, reason, and the flags that only the emulator can see."""

    status: str
    reason: str
    flags: tuple[str, ...] = ()


def prove(pinned: str, evidence: Evidence, emulator: EmulatorEngine, spark: QueryEngine | None) -> Proof:
    """Run a ported gold and hold it against the source.

    Args:
        pinned: Databricks text in which now is the stated instant.
        evidence: What the source said.
        emulator: The embedded engine on the instance.
        spark: A Spark that has the same instance loaded; None to do without.
    """
    if evidence.reply is not None and evidence.reply.error:
        return Proof(UNCERTIFIED, f"fails_on_source: {evidence.reply.error}")
    here, order, cuts = _on_emulator(pinned, emulator)
    flags = ("limit_cuts_tie",) if cuts else ()
    if not here.error and evidence.varies_in_order(order):
        flags = ("unstable", *flags)
    there = spark.run(pinned) if spark is not None else None
    base, order = (here, order) if not here.error else (there or here, RowOrder())
    reasons = []
    if here.error:
        reasons.append(f"duckdb: {here.error}")
    if there is not None and there.error:
        reasons.append(f"spark: {there.error}")
    if not here.error and there is not None and not there.error and (gap := disagreement(here, there, order)):
        reasons.append(f"spark and duckdb differ: {gap}")
    # The port is the gold here: where its LIMIT cuts through a tie, each of the tied rows is a right answer.
    source = evidence.reply
    if source is not None and not base.error and (gap := disagreement(base, with_times(source, base), order)):
        reasons.append(f"source and {'duckdb' if base is here else 'spark'} differ: {gap}")
    if reasons:
        return Proof(UNCERTIFIED, "; ".join(reasons), flags)
    return Proof(CERTIFIED if there is not None else WITHOUT_SPARK, "", flags)


def _on_emulator(pinned: str, emulator: EmulatorEngine) -> tuple[Reply, RowOrder, bool]:
    """The reply without hidden sort keys, how far its order is fixed, and whether its LIMIT cuts through a tie."""
    statement = gold_statement(pinned, emulator.schema)
    if isinstance(statement, Fault):
        return Reply(error=f"{statement.code}: {statement.message}"), RowOrder(), False
    reply = emulator.run_accepted(statement.text)
    if reply.error:
        return reply, RowOrder(), False
    wide: Any = None
    if may_cut(statement, len(reply.rows)):
        found = emulator.run_accepted(statement.wide)
        wide = None if found.error else found.rows
    rows, order = gold_order(statement, reply.rows, wide)
    last = rows[len(rows) - (order.ties or (len(rows),))[-1] :] if rows else ()
    cuts = bool(order.before) or (len(set(order.after) | set(last)) > 1 and bool(order.after))
    plain = Reply(tuple(rows), reply.width - statement.appended)
    if order.is_open:  # which rows tie beyond the LIMIT is not known: then the very rows must come
        order, cuts = RowOrder(order.ties, order.known), True
    return plain, order if order.known else RowOrder(), cuts


def pinned_instant(text: str) -> dt.datetime:
    """The clock of a run, e.g. ``2025-06-18T12:00:00``, in UTC.

    Raises:
        ValueError: Not an ISO date and time.
    """
    instant = dt.datetime.fromisoformat(text)
    return instant.astimezone(dt.UTC).replace(tzinfo=None) if instant.tzinfo is not None else instant
