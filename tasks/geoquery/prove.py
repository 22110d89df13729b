"""Prove golds by execution: they run, say something, and say the same in any row order and in compact style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.sql.engine import Engine, Limits, RunOutcome
from tao.sql.gate import Accepted, check
from tao.sql.instance import Instance, Schema
from tao.sql.result import fingerprint

from .source import Table

Result = str | None
"""Fingerprint of a result as a multiset of rows; None where the query is refused or fails."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What execution showed of one gold.

    Attributes:
        fault: '' if it can judge answers; else ``does not run``, ``empty`` (any query that finds nothing
            would pass) or ``unstable`` (the result depends on the order of rows).
        short_equal: The compact spelling gives the same rows on both instances.
    """

    fault: str
    short_equal: bool

    @property
    def runs(self) -> bool:
        """Whether it runs on the real database."""
        return self.fault != "does not run"


def instance_of(tables: Mapping[str, Table]) -> Instance:
    """Tables as the engine loads them."""
    schema = Schema(tuple((name, table.columns) for name, table in tables.items()))
    return Instance(schema, {name: [list(row) for row in table.rows] for name, table in tables.items()})


def prove(
    golds: Sequence[str],
    short: Sequence[str],
    real: Mapping[str, Table],
    second: Mapping[str, Table],
    orders: Sequence[Mapping[str, Table]],
) -> list[Proof]:
    """Prove golds (Databricks SQL) and their compact spellings, through the same gate and engine as answers.

    Args:
        golds: Queries as ported.
        short: The same queries in compact style.
        real: The real database.
        second: An instance with other data.
        orders: The real data in other row orders.
    """
    instances = [instance_of(tables) for tables in (real, second, *orders)]
    engine = Engine(Limits())
    try:
        names = [f"instance {index}" for index in range(len(instances))]
        for name, instance in zip(names, instances, strict=True):
            engine.load(name, instance)
        known: dict[tuple[str, str], Proof] = {}
        for pair in zip(golds, short, strict=True):
            if pair not in known:
                known[pair] = _prove_one(engine, names, instances[0].schema, *pair)
    finally:
        engine.close()
    return [known[pair] for pair in zip(golds, short, strict=True)]


def _results(engine: Engine, names: Sequence[str], schema: Schema, sql: str) -> tuple[list[Result], bool]:
    """The query's result on each instance, and whether the first says anything."""
    accepted = check(sql, schema)
    if not isinstance(accepted, Accepted):
        return [None] * len(names), False
    ran = [engine.run(name, accepted.duckdb) for name in names]
    fine = (RunOutcome.OK, RunOutcome.EMPTY)
    return [fingerprint(r.rows)[0] if r.outcome in fine else None for r in ran], ran[0].outcome is RunOutcome.OK


def _prove_one(engine: Engine, names: Sequence[str], schema: Schema, gold: str, text: str) -> Proof:
    results, says_something = _results(engine, names, schema, gold)
    if results[0] is None:
        return Proof("does not run", False)
    equal = _results(engine, names[:2], schema, text)[0] == results[:2]
    if not says_something:
        return Proof("empty", equal)
    return Proof("" if all(result == results[0] for result in results[2:]) else "unstable", equal)
