"""Mutants of golds: made of every kind, told from the gold by data, and a verifier that lets one through is caught."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from sqlglot import parse_one
from stalls_task import write_stalls

from tao_bench.check import check_task
from tao_bench.check_mutants import describe, write_survivors
from tao_bench.check_sql import judge_mutants
from tao_bench.registry import Task, load_task
from tao_bench.sql.mutants import mutants, siblings_of
from tao_bench.task import read_labels
from tao_bench.verify.sql import SqlVerifier
from tao_bench.verify.verdict import Verdict, correct

RICH = """\
SELECT DISTINCT a, SUM(b - c) FROM t JOIN u USING (k) WHERE a > 5 AND NOT d = 'x' GROUP BY a HAVING COUNT(b) > 1
UNION ALL SELECT a, MAX(b) FROM t ORDER BY a LIMIT 3"""
KINDS = {
    "empty result", "extra column", "aggregate", "operator", "boundary", "bound", "filter dropped", "negation",
    "connective", "operands", "distinct", "direction", "limit", "join", "union", "column",
}  # fmt: skip


@pytest.fixture
def stalls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    return load_task("stalls", [write_stalls(tmp_path / "stalls")])


def test_every_kind_is_made_and_no_mutant_is_the_gold() -> None:
    made = list(mutants(RICH, {"b": ["c"], "c": ["b"], "a": []}))
    assert {kind for kind, _ in made} >= KINDS
    texts = [sql for _, sql in made]
    assert len(set(texts)) == len(texts)
    assert parse_one(RICH, read="databricks").sql("databricks") not in texts
    assert all(parse_one(sql, read="databricks") for sql in texts)


def test_columns_taken_one_for_the_other_share_table_and_type() -> None:
    columns = {"t": {"a_id": "INT", "b": "INT", "c": "STRING"}, "u": {"d": "INT"}}
    assert siblings_of(columns) == {"a_id": ["b"], "b": ["a_id"], "c": [], "d": []}
    assert siblings_of(columns, keys=False) == {"a_id": [], "b": [], "c": [], "d": []}


def judged(task: Task) -> list:
    labels = read_labels(task.data, "test")
    return [(item, labels[item.prompt.id]) for item in task.items("test")]


def test_mutants_fail_but_for_those_with_the_same_rows(stalls: Task, tmp_path: Path) -> None:
    found = judge_mutants(stalls, judged(stalls))
    faults, words = describe(found)
    assert faults == []
    assert f"{len(found)} mutants of 3 golds" in words
    kinds = Counter(m.kind for m in found if not m.same)
    assert {"filter dropped", "empty result", "extra column", "every column", "boundary", "direction"} <= set(kinds) | {
        m.kind for m in found if m.same
    }
    write_survivors(tmp_path / "s.jsonl", found)
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert all(row["status"] == "correct" for row in rows) and len(rows) == sum(bool(m.same) for m in found)


def test_a_verifier_that_takes_anything_is_caught(stalls: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(self: SqlVerifier, prompt: object, gold: object, response: str, finish_reason: str) -> Verdict:
        return correct(response)

    monkeypatch.setattr(SqlVerifier, "grade", lenient)
    faults, _ = describe(judge_mutants(stalls, judged(stalls)))
    assert any("passes, meaning something else (empty result)" in fault for fault in faults)
    [finding] = [f for f in check_task(stalls) if f.check == "mutants fail"]
    assert not finding.ok
