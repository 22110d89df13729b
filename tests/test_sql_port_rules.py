"""Porting rules over typed schemas: flat pairs; those of SQLite are also run on both engines and compared."""

import datetime as dt
import re
import sqlite3
from pathlib import Path

import pytest
import sqlglot

from tao.sql.engines.emulator import EmulatorEngine, port_limits
from tao.sql.engines.sqlite import SqliteEngine
from tao.sql.readers import write_instance
from tao.sql.readers.postgres_script import read_postgres_script
from tao.sql.readers.sqlite import read_sqlite
from tao.sql.sandbox import Sandbox
from tao_bench.sql.agreement import disagreement, with_times
from tao_bench.sql.port import RULES, Context, port_gold, render
from tao_bench.sql.port.clock import asks_for_clock, with_clock

FIXTURES = Path(__file__).parent / "fixtures" / "sql_port"
CLOCK = dt.datetime(2025, 6, 18, 12)


def pairs() -> list[tuple[str, list[str], str, str]]:
    """(dialect, rules, before, after)."""
    found = []
    for block in (FIXTURES / "source_rules.sql").read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("--")]
        if lines:
            remark, before, after = lines
            dialect, _, rules = remark[1:].strip().partition(": ")
            found.append((dialect, [] if rules == "none" else rules.split(", "), before, after))
    return found


def run_script(path: Path, name: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((FIXTURES / name).read_text())
    connection.close()
    return path


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    path = run_script(tmp_path_factory.mktemp("shop") / "shop.sqlite", "shop.sqlite.sql")
    shop = read_sqlite(path)
    return {"sqlite": shop, "mysql": shop, "postgres": read_postgres_script(FIXTURES / "shop.postgres.sql", CLOCK)}


@pytest.fixture(scope="module")
def engines(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    source = SqliteEngine(run_script(folder / "shop.sqlite", "shop.sqlite.sql"), CLOCK)
    write_instance(folder / "shop.json", databases["sqlite"].instance)
    with Sandbox(port_limits()) as sandbox:
        yield source, EmulatorEngine(folder / "shop.json", sandbox)
    source.close()


def context(databases, dialect: str) -> Context:
    database = databases[dialect]
    affinity = database.affinity if dialect == "sqlite" else {}
    return Context(dialect, database.instance.schema.columns, affinity, database.digits)


@pytest.mark.parametrize(("dialect", "rules", "before", "after"), pairs())
def test_pairs(databases, dialect, rules, before, after):
    ported = port_gold(before, context(databases, dialect))
    assert (ported.sql, list(ported.rules)) == (after, rules)


@pytest.mark.parametrize(("before", "after"), [(b, a) for dialect, _, b, a in pairs() if dialect == "sqlite"])
def test_sqlite_and_the_emulator_agree(engines, before, after):
    source, emulator = engines
    pinned = render(with_clock(sqlglot.parse_one(after, read="databricks"), CLOCK))
    expected, found = source.run(before), emulator.run(pinned)
    assert (expected.error, found.error) == ("", "")
    assert expected.rows, "a pair that returns nothing tests nothing"
    assert disagreement(found, with_times(expected, found)) == ""


def test_every_rule_has_a_pair():
    both = (FIXTURES / "rules.sql").read_text() + (FIXTURES / "source_rules.sql").read_text()
    shown = {name for line in re.findall(r"^# .*$", both, re.MULTILINE) for name in re.findall(r"\w+", line)}
    assert {rule.__name__ for rule in RULES} <= shown


@pytest.mark.parametrize(("dialect", "rules", "before", "after"), pairs())
def test_a_ported_query_that_is_read_again_stays(databases, dialect, rules, before, after):
    """Databricks text is not touched by rules for other dialects, whatever they would say of its functions."""
    again = port_gold(
        after, context(databases, dialect).__class__("databricks", databases[dialect].instance.schema.columns)
    )
    assert render(sqlglot.parse_one(again.sql, read="databricks")) == render(
        sqlglot.parse_one(after, read="databricks")
    )


def test_the_clock_is_found_and_stopped():
    root = sqlglot.parse_one("SELECT CURRENT_DATE, NOW() - INTERVAL '1' DAY, 'now' FROM t", read="databricks")
    assert asks_for_clock(root)
    stopped = with_clock(root, CLOCK)
    assert not asks_for_clock(stopped) and asks_for_clock(root)
    assert "CAST('2025-06-18' AS DATE)" in render(stopped) and "2025-06-18 12:00:00" in render(stopped)
    assert not asks_for_clock(sqlglot.parse_one("SELECT day FROM t", read="databricks"))
