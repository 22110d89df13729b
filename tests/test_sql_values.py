"""The emulator's values, against what Spark SQL 4.3 answered (tests/fixtures/sql/spark_values.txt)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tao.sql.dialect import Fault, functions
from tao.sql.engine import Engine, Limits, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import read_instance
from tao_bench.sql.compare import EQUAL, compare

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
MARKET = FIXTURES / "market.json"
SCHEMA = read_instance(MARKET).schema
CLOCK_OR_CHANCE = {"rand", "random", "uuid", "now", "getdate", "curdate", "current_date", "current_timestamp"}
BY_GRAMMAR = {"charindex", "iff", "timestampadd", "timestampdiff", "any", "some"}  # not functions of open-source Spark
LINES = [
    tuple(line.split("\t"))
    for line in (FIXTURES / "spark_values.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Limits())
    yield made
    made.close()


def canonical(cell: Any) -> Any:
    return tuple(canonical(item) for item in cell) if isinstance(cell, list) else cell


@pytest.mark.parametrize(("verdict", "expected", "sql"), LINES)
def test_same_as_spark(engine: Engine, verdict: str, expected: str, sql: str) -> None:
    checked = check(sql, SCHEMA)
    ran = None if isinstance(checked, Fault) else engine.run(str(MARKET), checked.duckdb)
    if verdict == "fails":
        assert ran is None or ran.outcome is RunOutcome.FAILED
        return
    assert ran is not None, checked
    assert ran.outcome in (RunOutcome.OK, RunOutcome.EMPTY), ran.error
    rows = [canonical(row) for row in json.loads(expected)]
    width = len(rows[0]) if rows else ran.width
    ties = [1] * len(rows) if "ORDER BY" in sql and not isinstance(checked, Fault) and checked.ordered else None
    assert compare(rows, ran.rows, (width, ran.width), ties) in EQUAL, ran.rows


def test_every_emulated_function_is_proved_by_a_line() -> None:
    proved = {name.lower() for _, _, sql in LINES for name in re.findall(r"([A-Za-z_]\w*)\s*\(", sql)}
    emulated = {name for name, function in functions().items() if function.emulated}
    assert emulated - proved - CLOCK_OR_CHANCE - BY_GRAMMAR == set()


@pytest.mark.parametrize(
    "sql", ["SELECT IFF(1 > 2, 'a', 'b')", "SELECT CHARINDEX('c', 'abc')", "SELECT GETDATE() IS NULL"]
)
def test_databricks_names_on_top_of_spark_run(engine: Engine, sql: str) -> None:
    checked = check(sql, SCHEMA)
    assert not isinstance(checked, Fault)
    assert engine.run(str(MARKET), checked.duckdb).outcome is RunOutcome.OK
