"""The two fixture files again, asked of a real Spark: they are measurements, and this is the instrument.

Needs the extra `spark` and Java; some minutes. Run with ``pytest -m spark tests/test_sql_spark.py``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tao.sql.engines import Reply
from tao.sql.engines.spark import SparkEngine
from tao_bench.sql.compare import EQUAL, compare

pytestmark = pytest.mark.spark
FIXTURES = Path(__file__).parent / "fixtures" / "sql"


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkEngine]:
    pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'tao-bench[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    engine = SparkEngine()
    engine.load(FIXTURES / "market.json")
    yield engine
    engine.close()


def lines(name: str, separator: str) -> list[list[str]]:
    text = (FIXTURES / name).read_text(encoding="utf-8")
    return [line.split(separator) for line in text.splitlines() if line and not line.startswith("#")]


def ask(spark: SparkEngine, sql: str) -> Reply | None:
    """The answer, or None where Spark refuses or fails; a Spark that is gone fails the test."""
    reply = spark.run(sql)
    assert not reply.is_engine_fault, reply.error
    return None if reply.error else reply


def tupled(cell: Any) -> Any:
    return tuple(tupled(item) for item in cell) if isinstance(cell, list) else cell


def test_values_are_what_spark_answers(spark: SparkEngine) -> None:
    wrong = []
    for verdict, expected, sql in lines("spark_values.txt", "\t"):
        found = ask(spark, sql)
        if verdict == "fails":
            same = found is None
        else:
            rows = [tuple(tupled(cell) for cell in row) for row in json.loads(expected)]
            same = found is not None and (
                compare(rows, found.rows, (len(rows[0]) if rows else found.width, found.width), None) in EQUAL
            )
        if not same:
            wrong.append(sql)
    assert wrong == []


def test_gate_accepts_what_spark_accepts(spark: SparkEngine) -> None:
    wrong = []
    for verdict, sql, why in lines("gate_cases.txt", " | "):
        if sql.upper().startswith(("DROP", "DELETE", "INSERT", "UPDATE", "CREATE", "SET")) or ";" in sql:
            continue  # Spark would do it
        if "reflect" in sql:
            continue  # the engine does not hand it on
        expected = verdict == "accept" or "stricter than Spark" in why
        if (ask(spark, sql) is not None) is not expected:
            wrong.append(sql)
    assert wrong == []
