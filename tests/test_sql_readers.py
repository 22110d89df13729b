"""Readers of published databases: SQLite files by what they hold, PostgreSQL scripts without a server."""

import datetime as dt
import sqlite3
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.errors import InputError
from tao.sql.engines.sqlite import SqliteEngine
from tao.sql.instance import read_instance
from tao.sql.readers import make_instance, write_instance
from tao.sql.readers.postgres_script import read_postgres_script
from tao.sql.readers.sqlite import affinity_of, build_sqlite, read_sqlite, shuffled_copy
from tao.sql.result import canonical_rows

FIXTURES = Path(__file__).parent / "fixtures" / "sql_port"
CLOCK = dt.datetime(2025, 6, 18, 12)


def make(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


@pytest.mark.parametrize(
    ("declared", "values", "kind", "cells"),
    [
        ("INTEGER", "1, 2, NULL", "INT", [1, 2, None]),
        ("INTEGER", "1, 3000000000", "BIGINT", [1, 3000000000]),
        ("INTEGER", "1, 'unknown'", "STRING", ["1", "unknown"]),
        ("DECIMAL(9,2)", "1, 2.5", "DOUBLE", [1.0, 2.5]),
        ("DECIMAL(9,2)", "1, 2", "INT", [1, 2]),
        ("TEXT", "'007', 7", "STRING", ["007", "7"]),
        ("DATE", "'2020-01-01', '2020-02-01'", "STRING", ["2020-01-01", "2020-02-01"]),
        ("BLOB", "x'00ff'", "BINARY", ["00ff"]),
        ("", "1.5, 'x', 2.0, 1e20", "STRING", ["1.5", "x", "2.0", "1.0e+20"]),
        ("VARCHAR(3)", "NULL", "STRING", [None]),
        ("REAL", "NULL", "DOUBLE", [None]),
        ("NUMERIC(4)", "NULL", "DOUBLE", [None]),
        ("DATETIME", "NULL", "STRING", [None]),
    ],
)
def test_a_column_gets_the_type_that_all_its_values_have(tmp_path, declared, values, kind, cells):
    rows = ", ".join(f"({value})" for value in values.split(", "))
    database = read_sqlite(make(tmp_path / "x.sqlite", f"CREATE TABLE t (c {declared}); INSERT INTO t VALUES {rows}"))
    assert database.instance.schema.columns["t"]["c"] == kind
    assert [row[0] for row in database.instance.rows["t"]] == cells
    write_instance(tmp_path / "x.json", database.instance)
    assert read_instance(tmp_path / "x.json").rows["t"] == database.instance.rows["t"]


def test_numbers_become_the_text_that_sqlite_writes(tmp_path):
    path = make(
        tmp_path / "x.sqlite", "CREATE TABLE t (c); INSERT INTO t VALUES ('x'), (0.1), (1e15), (-2.0), (1e-7), (12)"
    )
    connection = sqlite3.connect(path)
    expected = [row[0] for row in connection.execute("SELECT CAST(c AS TEXT) FROM t")]
    connection.close()
    assert [row[0] for row in read_sqlite(path).instance.rows["t"]] == expected


def test_names_views_and_bytes_that_are_not_text(tmp_path):
    script = 'CREATE TABLE "two words" ("a b" INTEGER, w TEXT, n TEXT); CREATE VIEW v AS SELECT w FROM "two words";'
    script += "INSERT INTO \"two words\" VALUES (1, CAST(x'e9' AS TEXT), ' 12.5 '), (2, 'ok', NULL)"
    database = read_sqlite(make(tmp_path / "x.sqlite", script))
    assert list(database.instance.rows) == ["two words", "v"]
    assert database.instance.rows["v"] == [["�"], ["ok"]] and database.replaced == 2
    assert database.digits == {"two words": frozenset({"n"}), "v": frozenset()}
    assert database.affinity["two words"] == {"a b": "INTEGER", "w": "TEXT", "n": "TEXT"}


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("int(11)", "INTEGER"),
        ("varchar(9)", "TEXT"),
        ("", "BLOB"),
        ("double", "REAL"),
        ("date", "NUMERIC"),
        ("CHARINT", "INTEGER"),
    ],
)
def test_affinity(declared, affinity):
    assert affinity_of(declared) == affinity


def test_damaged_files_are_named(tmp_path):
    path = make(tmp_path / "x.sqlite", "CREATE TABLE t (c TEXT);" + "INSERT INTO t VALUES (hex(randomblob(3000)));" * 9)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"is damaged|cannot be read"):
        read_sqlite(path)


def test_a_shuffled_copy_has_the_rows_but_not_their_order(tmp_path):
    rows = ", ".join(f"({n}, 'w{n}')" for n in range(60))
    path = make(tmp_path / "x.sqlite", f"CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT); INSERT INTO t VALUES {rows}")
    plain, other = SqliteEngine(path), SqliteEngine(shuffled_copy(path, Random(1)))
    left, right = plain.run("SELECT * FROM t"), other.run("SELECT * FROM t")
    assert sorted(left.rows) == sorted(right.rows) and left.rows != right.rows
    for engine in (plain, other):
        engine.close()


CELLS = {
    "INT": st.integers(-(2**31), 2**31 - 1), "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False), "BOOLEAN": st.booleans(),
    "STRING": st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8),
    "DATE": st.dates().map(dt.date.isoformat),
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.fixed_dictionaries({kind: st.none() | cells for kind, cells in CELLS.items()}), max_size=6))
def test_an_instance_as_sqlite_holds_the_same_values(rows):
    columns = tuple((kind.lower(), kind) for kind in CELLS)
    cells = [[row[kind] for kind in CELLS] for row in rows]
    engine = SqliteEngine(build_sqlite(make_instance({"t": (columns, cells)})))
    assert list(engine.run("SELECT * FROM t").rows) == canonical_rows(cells)
    engine.close()


@pytest.fixture(scope="module")
def script():
    return read_postgres_script(FIXTURES / "shop.postgres.sql", CLOCK)


def test_a_script_is_evaluated_at_the_stated_clock(script):
    assert script.schema_name == "store"
    table = script.instance.schema.columns["employee"]
    assert [table[name] for name in ("id", "name", "salary", "staff_no", "started_at", "score")] == [
        *("INT", "STRING", "DECIMAL(10,2)", "BIGINT", "TIMESTAMP", "DOUBLE")
    ]
    rows = script.instance.rows["employee"]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    ann, bob, oneil, dee, eve = rows
    assert ann[1:8] == ["Ann", "2020-01-31", "2021-03-01", "1980-02-29", "1000.50", 7000000000, True]
    assert (bob[2], bob[8], bob[9]) == ("2025-06-08", "2025-06-18T11:45:00", "2025-06-18T12:00:00")
    assert (oneil[1], oneil[2], oneil[3], oneil[10]) == ("O'Neil", "2025-06-01", "2025-06-18", "June     ")
    assert (dee[1], dee[5], dee[10], dee[7]) == ("Dee", "10.25", "tab\there", True)
    assert (eve[5], eve[10], eve[7]) == (None, None, False)
    assert script.instance.rows["empty_table"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("CREATE TABLE t (a tsvector);", "is not known"),
        ("CREATE TABLE t (a int); INSERT INTO t VALUES ('x');", "cannot be evaluated"),
        ("CREATE TABLE t (a int", "cannot be evaluated"),
        (b"CREATE TABLE t (a text); -- \xff", "is not UTF-8"),
    ],
)
def test_scripts_that_cannot_be_read_are_named(tmp_path, body, message):
    path = tmp_path / "x.sql"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    with pytest.raises(InputError, match=message):
        read_postgres_script(path, CLOCK)
