"""The two fixture files again, asked of a real Spark: they are measurements, and this is the instrument.

Needs the extra `spark` and Java; some minutes. Run with ``pytest -m spark tests/test_sql_spark.py``.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tao.sql.result import canonical_cell
from tao_bench.sql.compare import EQUAL, compare

pytestmark = pytest.mark.spark
FIXTURES = Path(__file__).parent / "fixtures" / "sql"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="needs the extra spark: pip install 'tao-bench[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    for option, value in {"ansi.enabled": "true", "session.timeZone": "UTC", "shuffle.partitions": "1"}.items():
        builder = builder.config(f"spark.sql.{option}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    tables = json.loads((FIXTURES / "market.json").read_text(encoding="utf-8"))["tables"]
    for name, table in tables.items():
        dates = [number for number, (_, kind) in enumerate(table["columns"]) if kind == "DATE"]
        rows = [
            [dt.date.fromisoformat(cell) if number in dates and cell else cell for number, cell in enumerate(row)]
            for row in table["rows"]
        ]
        columns = ", ".join(f"{column} {kind}" for column, kind in table["columns"])
        session.createDataFrame(rows, columns).coalesce(1).createOrReplaceTempView(name)
    yield session
    session.stop()


def lines(name: str, separator: str) -> list[list[str]]:
    text = (FIXTURES / name).read_text(encoding="utf-8")
    return [line.split(separator) for line in text.splitlines() if line and not line.startswith("#")]


def ask(spark: Any, sql: str) -> list[tuple[Any, ...]] | None:
    """Canonical rows, or None where Spark refuses or fails."""
    try:
        return [tuple(canonical_cell(cell) for cell in row) for row in spark.sql(sql).collect()]
    except Exception:
        return None


def tupled(cell: Any) -> Any:
    return tuple(tupled(item) for item in cell) if isinstance(cell, list) else cell


def test_values_are_what_spark_answers(spark: Any) -> None:
    wrong = []
    for verdict, expected, sql in lines("spark_values.txt", "\t"):
        found = ask(spark, sql)
        if verdict == "fails":
            same = found is None
        else:
            rows = [tuple(tupled(cell) for cell in row) for row in json.loads(expected)]
            width = len(rows[0]) if rows else 0
            same = found is not None and compare(rows, found, (width, len(found[0]) if found else 0), None) in EQUAL
        if not same:
            wrong.append(sql)
    assert wrong == []


def test_gate_accepts_what_spark_accepts(spark: Any) -> None:
    wrong = []
    for verdict, sql, why in lines("gate_cases.txt", " | "):
        if sql.upper().startswith(("DROP", "DELETE", "INSERT", "UPDATE", "CREATE", "SET")) or ";" in sql:
            continue  # Spark would do it
        expected = verdict == "accept" or "stricter than Spark" in why
        if (ask(spark, sql) is not None) is not expected:
            wrong.append(sql)
    assert wrong == []
