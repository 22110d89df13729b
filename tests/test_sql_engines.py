"""Engines behind the protocol, each on a real database; Spark and PostgreSQL where they are there."""

import datetime as dt
import json
import os
import sqlite3
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.sql.engines import Reply
from tao.sql.engines.dbapi import DbApiEngine, Driver, read_driver
from tao.sql.engines.remembered import Remembered
from tao.sql.engines.spark import SparkEngine
from tao.sql.engines.sqlite import SqliteEngine
from tao.sql.readers import make_instance, write_instance

CLOCK = dt.datetime(2025, 6, 18, 12, 30, 5)
TABLES = {"t": ((("id", "INT"), ("word", "STRING"), ("Ratio", "DOUBLE")), [[1, "it's", 0.5], [2, None, 1e300]])}


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE t (id INTEGER, word TEXT); INSERT INTO t VALUES (1, 'a'), (2, CAST(x'ff61' AS TEXT))"
    )
    connection.close()
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t", "DROP TABLE t", "INSERT INTO t VALUES (3, 'c')", "CREATE TEMP TABLE t2 AS SELECT 1",
        "ATTACH ':memory:' AS other", "PRAGMA table_info(t)", "SELECT load_extension('x')", "SELECT 1; DELETE FROM t",
        "SELECT zeroblob(1000000000)", "SELECT replace(hex(zeroblob(9000000)), '0', 'xxxx')", 
        "WITH x AS (SELECT 1) DELETE FROM t", "",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    ],
)  # fmt: skip
def test_sqlite_refuses_what_writes_reaches_out_or_runs_on(shop, sql):
    before = shop.read_bytes()
    engine = SqliteEngine(shop, cpu_s=0.3)
    assert engine.run(sql).error
    assert engine.run("SELECT COUNT(*) FROM t") == Reply(((2,),), 1)
    engine.close()
    assert shop.read_bytes() == before


def test_sqlite_reads_text_that_is_not_utf8_and_limits_rows(shop):
    engine = SqliteEngine(shop, rows=1)
    assert engine.run("SELECT word FROM t WHERE id = 2") == Reply((("�a",),), 1)
    assert engine.run("SELECT word FROM t").error == "more than 1 rows"
    engine.close()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT date('now'), date(), DATE('NOW', '-18 days')", ("2025-06-18", "2025-06-18", "2025-05-31")),
        ("SELECT datetime('now'), time('now')", ("2025-06-18 12:30:05", "12:30:05")),
        ("SELECT CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP", ("2025-06-18", "12:30:05", "2025-06-18 12:30:05")),
        ("SELECT strftime('%w'), strftime('%Y', 'now'), strftime('%d', '2020-02-29')", ("3", "2025", "29")),
        ("SELECT julianday('now') - julianday('2025-06-17 12:30:05')", (1,)),
        ("SELECT date(NULL), date('no date')", (None, None)),
    ],
)
def test_the_clock_of_sqlite_stands(shop, sql, expected):
    engine = SqliteEngine(shop, CLOCK)
    assert engine.run(sql).rows == (expected,)
    engine.close()


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"not a database at all" * 99)
    with pytest.raises(InputError, match="cannot be read as SQLite"):
        SqliteEngine(tmp_path / "x.sqlite")
    with pytest.raises(InputError, match="no such database file"):
        SqliteEngine(tmp_path / "y.sqlite")


def test_any_driver_serves_and_rolls_back():
    engine = DbApiEngine(Driver("sqlite3", {"database": ":memory:"}, ("CREATE TABLE u (a INTEGER)",)))
    engine.load(make_instance(TABLES))
    assert engine.run("SELECT id, word, ratio FROM t ORDER BY id") == Reply(((1, "it's", 0.5), (2, None, 1e300)), 3)
    assert engine.run("INSERT INTO u VALUES (1) RETURNING a").rows == ((1,),)
    assert engine.run("SELECT COUNT(*) FROM u").rows == ((0,),)
    assert "no such table" in engine.run("SELECT * FROM nowhere").error
    assert engine.run("DELETE FROM u").error == "not a query"
    engine.close()


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (Driver("no_such_driver"), "pip install the driver"),
        (Driver("sqlite3", {"database": "/no/such/folder/x"}), "cannot connect"),
    ],
)
def test_a_driver_that_does_not_serve_is_named(driver, message):
    with pytest.raises(InputError, match=message):
        DbApiEngine(driver)


def test_a_driver_file_is_validated():
    assert read_driver({"module": "m", "setup": ["x"]}, "f") == Driver("m", {}, ("x",))
    for raw in ([], {"connect": {}}, {"module": "m", "user": "x"}):
        with pytest.raises(InputError, match=r'write \{"module"'):
            read_driver(raw, "f")


class Counted:
    name = "counted"

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked = reply, 0

    def run(self, sql: str) -> Reply:
        self.asked += 1
        return self.reply

    def close(self) -> None: ...


def test_replies_are_remembered_for_the_same_tables_only(tmp_path):
    reply = Reply(((1, ("t", "2020-01-01T00:00:00")),), 2)
    first, path, loads = Counted(reply), tmp_path / "kept.jsonl", []
    for tables, asked, loaded in (("a", 1, 1), ("a", 1, 1), ("b", 2, 2)):
        engine = Remembered(first, path, tables, lambda: loads.append(1))
        assert [engine.run("SELECT 1"), engine.run("SELECT 1")] == [reply, reply]
        assert (first.asked, len(loads)) == (asked, loaded)


def test_torn_lines_and_failures_of_the_engine_are_asked_again(tmp_path):
    path = tmp_path / "kept.jsonl"
    broken = Counted(Reply(error="gone", is_engine_fault=True))
    engine = Remembered(broken, path, "a", lambda: None)
    assert engine.run("x").error == engine.run("x").error == "gone"
    assert broken.asked == 2 and not path.exists()
    path.write_text('{"key": "torn')
    assert Remembered(Counted(Reply((), 1)), path, "a", lambda: None).run("x").width == 1
    again = Counted(Reply((), 2))
    assert Remembered(again, path, "a", lambda: None).run("x").width == 1 and again.asked == 0


def test_spark_that_is_not_there_is_named(tmp_path):
    write_instance(tmp_path / "i.json", make_instance(TABLES))
    (tmp_path / "python").write_text("#!/bin/sh\necho no pyspark here >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    engine = SparkEngine(str(tmp_path / "python"))
    with pytest.raises(InputError, match="no pyspark here"):
        engine.load(tmp_path / "i.json")
    assert engine.run("SELECT 1").is_engine_fault
    engine.close()


@pytest.mark.spark
def test_spark_answers_in_ansi_mode_and_survives_a_lost_process(tmp_path):
    pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'tao-bench[spark]'")
    kinds = [("d", "DATE"), ("at", "TIMESTAMP"), ("m", "DECIMAL(5,2)"), ("b", "BINARY"), ("odd name", "INT")]
    row = ["2020-02-29", "2020-02-29T01:02:03", "1.50", "ff", 7]
    write_instance(tmp_path / "i.json", make_instance({"t": (tuple(kinds), [row, [None] * 5])}))
    engine = SparkEngine()
    try:
        engine.load(tmp_path / "i.json")
        assert engine.run("SELECT d, at, m, b, `odd name` FROM t WHERE d IS NOT NULL").width == 5
        assert "DIVIDE_BY_ZERO" in engine.run("SELECT 1 / 0").error
        assert engine.run("SELECT reflect('java.lang.System', 'exit', 3)").error.startswith("refused")
        engine.close()
        assert engine.run("SELECT COUNT(*) FROM t").rows == ((2,),)
    finally:
        engine.close()


@pytest.mark.skipif(
    not os.environ.get("TAO_BENCH_POSTGRES"), reason="TAO_BENCH_POSTGRES names no driver file of a PostgreSQL server"
)
def test_postgres_where_there_is_one():
    raw = json.loads(Path(os.environ["TAO_BENCH_POSTGRES"]).read_text())
    engine = DbApiEngine(read_driver(raw, "TAO_BENCH_POSTGRES"))
    engine.load(make_instance(TABLES), "tao_test")
    assert engine.run("SELECT id, ratio FROM tao_test.t ORDER BY id").rows == ((1, 0.5), (2, 1e300))
    assert "division by zero" in engine.run("SELECT 1 / 0").error
    assert engine.run("SELECT COUNT(*) FROM t").rows == ((2,),)
    engine.close()
