"""Where the time of judging a prediction goes: every stage alone, for sql_speed.py."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tao.sql.dialect import Fault, databricks, surface_fault, tokenize
from tao.sql.emulate import Refuse
from tao.sql.engine import Engine, Limits
from tao.sql.gate import _mark_calls, check, to_duckdb
from tao.sql.idioms import idiom_fault
from tao.sql.instance import read_instance
from tao.sql.resolve import Resolver
from tao.sql.result import canonical_rows, fingerprint
from tao.sql.sandbox import _row
from tao.sql.worker import encode
from tao_bench.sql.compare import RowOrder
from tao_bench.sql.policies import Context, Result, policy_named


def stages(predictions: Sequence[str], instance: Path, gold: str, passes: int) -> list[tuple[str, float]]:
    """Stage names and milliseconds of processor time per prediction, best of the passes.

    Args:
        predictions: What is judged.
        instance: The database.
        gold: What the comparison is with; whether it matches does not matter to its cost by much.
        passes: How often each stage is timed.
    """
    schema = read_instance(instance).schema
    key = str(instance)
    engine = Engine(Limits())
    engine.run(key, "SELECT 1")
    cursor = engine._cursors[key][0]
    best: dict[str, float] = {}

    def timed(name: str, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        started = time.process_time()
        done = [work(item) for item in items]
        spent = 1000 * (time.process_time() - started) / len(predictions)
        best[name] = min(spent, best.get(name, spent))
        return done

    columns = {name for table in schema.columns.values() for name in table}
    policy, _ = policy_named("strict")
    wanted = engine.run(key, _text(gold, schema))
    context = Context(gold, "", "", order=RowOrder())
    for _ in range(passes):
        texts = list(predictions)
        tokens = timed("gate: tokenise", tokenize, texts)
        found = list(zip(texts, tokens, strict=True))
        faults = timed(
            "gate: functions, types and idioms on tokens",
            lambda pair: surface_fault(*pair, columns) or idiom_fault(*pair),
            found,
        )
        left = [pair for pair, fault in zip(found, faults, strict=True) if fault is None]
        timed("gate: mark calls", lambda pair: _mark_calls(pair[1]), left)
        trees = timed("gate: parse", lambda pair: databricks().parser().parse(pair[1], pair[0])[0], left)
        resolved = timed("gate: resolve names and types, emulate", lambda tree: _resolve(tree, schema), trees)
        accepted = timed("gate: write DuckDB's SQL", to_duckdb, [tree for tree in resolved if tree is not None])
        parsed = timed("worker: DuckDB parses", lambda sql: cursor.extract_statements(sql)[0], accepted)
        timed("worker: DuckDB plans, runs, fetches", lambda one: cursor.execute(one).fetchmany(10_001), parsed)
        raw = [cursor.execute(sql).fetchmany(10_001) for sql in accepted]
        timed("worker: canonical rows", canonical_rows, raw)
        ran = [engine.run(key, sql) for sql in accepted]
        lines = timed("worker: result to JSON", lambda one: encode(one, True, 1e9), ran)
        timed("worker: fingerprint (interpreter only)", lambda one: fingerprint(one.rows), ran)
        timed("parent: job to JSON", lambda sql: json.dumps({"jobs": [[key, "0" * 64, sql]], "rows": True}), accepted)
        timed("parent: JSON to result", lambda line: [_row(row) for row in json.loads(line)["r"]], lines)
        timed(
            "parent: compare with gold (verifier only)",
            lambda one: policy(Result(wanted.rows, wanted.names), Result(one.rows, one.names), context),
            ran,
        )
    engine.close()
    return list(best.items())


def _text(sql: str, schema: Any) -> str:
    checked = check(sql, schema)
    if isinstance(checked, Fault):
        raise ValueError(f"the gold is refused: {checked.message}")
    return checked.duckdb


def _resolve(tree: Any, schema: Any) -> Any:
    try:
        Resolver(schema).query(tree, {}, None)
    except Refuse:
        return None
    return tree
