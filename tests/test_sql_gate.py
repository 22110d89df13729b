"""The strict gate, against what Spark SQL 4.3 said of the same queries (tests/fixtures/sql/gate_cases.txt)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import attacks
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.sql.dialect import Family, Fault, clean, functions
from tao.sql.engine import Engine, Limits, RunOutcome
from tao.sql.gate import Accepted, check
from tao.sql.instance import read_instance

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
MARKET = FIXTURES / "market.json"
SCHEMA = read_instance(MARKET).schema


def cases(name: str) -> list[tuple[str, ...]]:
    lines = (FIXTURES / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" | ")) for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Limits())
    yield made
    made.close()


@pytest.mark.parametrize(("verdict", "sql", "why"), cases("gate_cases.txt"))
def test_case(engine: Engine, verdict: str, sql: str, why: str) -> None:
    checked = check(sql, SCHEMA)
    if isinstance(checked, Fault):
        assert f"refuse {checked.family} {checked.code}" == verdict, checked.message
        return
    ran = engine.run(str(MARKET), checked.duckdb)
    ok = ran.outcome in (RunOutcome.OK, RunOutcome.EMPTY)
    assert ("accept" if ok else "accept, fails") == verdict, ran.error


def test_fixture_is_wide_enough() -> None:
    found = cases("gate_cases.txt")
    assert len(found) >= 250
    assert sum(verdict == "accept" for verdict, _, _ in found) >= 80
    assert sum(verdict.startswith("refuse dialect") for verdict, _, _ in found) >= 80


@pytest.mark.parametrize(("wall", "sql", "why"), attacks("gate"))
def test_hostile_statement_is_refused(wall: str, sql: str, why: str) -> None:
    assert isinstance(check(sql, SCHEMA), Fault)
    assert isinstance(check(sql), Fault), "without a schema too"


@pytest.mark.parametrize(
    ("response", "query"),
    [
        ("SELECT 1", "SELECT 1"),
        ("  SELECT 1 ;\n", "SELECT 1"),
        ("```sql\nSELECT 1;\n```", "SELECT 1"),
        ("```\nSELECT 1\n```", "SELECT 1"),
        ("```SQL SELECT 1```", "SELECT 1"),
        ("SELECT 1;;", "SELECT 1;"),
        ("The answer is SELECT 1", "The answer is SELECT 1"),
        ("```sql\nSELECT 1\n```\nIt counts.", "```sql\nSELECT 1\n```\nIt counts."),
    ],
)
def test_clean_takes_off_fence_and_semicolon_only(response: str, query: str) -> None:
    assert clean(response) == query


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT foo FROM stall", "column foo not found"),
        ("SELECT s.foo FROM stall s", "column s.foo not found"),
        ("SELECT name FROM stal", "table stal not found"),
        ("SELECT region_id FROM stall s JOIN region r ON s.region_id = r.region_id", "column region_id is ambiguous"),
        ("SELECT units AS u FROM sale WHERE u > 1", "column u not found"),
        ("SELECT STRFTIME('%Y', sold) FROM sale", "function strftime not found"),
        ("SELECT UPPER(name, 1) FROM stall", "function upper takes 1 argument, not 2"),
        ("SELECT CAST(units AS TEXT) FROM sale", "type TEXT not found, use STRING"),
        ("SELECT name FROM stall GROUP name", "syntax error near name"),
    ],
)
def test_messages_fit_a_repair_prompt(sql: str, message: str) -> None:
    checked = check(sql, SCHEMA)
    assert isinstance(checked, Fault)
    assert checked.message == message


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT name FROM stall ORDER BY name", True),
        ("(SELECT name FROM stall ORDER BY name)", True),
        ("SELECT name FROM stall UNION SELECT title FROM region ORDER BY 1", True),
        ("WITH x AS (SELECT name FROM stall ORDER BY name) SELECT * FROM x", False),
        ("SELECT name, ROW_NUMBER() OVER (ORDER BY name) FROM stall", False),
        ("SELECT name FROM (SELECT name FROM stall ORDER BY name LIMIT 2) AS t", False),
        ("SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY name) FROM stall", False),
    ],
)
def test_ordered_means_the_outermost_query(sql: str, ordered: bool) -> None:
    checked = check(sql, SCHEMA)
    assert isinstance(checked, Accepted)
    assert checked.ordered is ordered


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT sale_id FROM sale WHERE units IN (SELECT code FROM sale WHERE code = 3)", ((10,),)),
        ("SELECT sale_id FROM sale WHERE code IN (SELECT units FROM sale WHERE units = 3) AND amount < 0.15", ((13,),)),
        ("SELECT stall_id FROM stall WHERE opened LIKE '2021-12%'", ((4,),)),
        ("SELECT LEFT(opened, 4) FROM stall WHERE stall_id = 1", (("2019",),)),
        ("SELECT SUM(code) FROM sale WHERE sale_id <= 11", ((19,),)),
    ],
)
def test_casts_that_databricks_makes_by_itself(engine: Engine, sql: str, rows: tuple[tuple[object, ...], ...]) -> None:
    checked = check(sql, SCHEMA)
    assert isinstance(checked, Accepted)
    assert engine.run(str(MARKET), checked.duckdb).rows == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 200_000 + "1" + ")" * 200_000,
        "SELECT " + "(" * 39 + "1" + ")" * 39,
        "SELECT " + "1+" * 5_000 + "1",
        "SELECT " + "CASE WHEN TRUE THEN " * 300 + "1" + " END" * 300,
        "SELECT " + "NOT " * 900 + "TRUE",
        "SELECT * FROM stall WHERE " + " AND ".join(["stall_id = 1"] * 450),
        "SELECT " + "-" * 20_000,
        "SELECT '" + "x" * 30_000,
        "SELECT \x00 FROM stall",
        "SELECT '\ud800'",
    ],
)
def test_extreme_text_is_judged_not_raised(sql: str) -> None:
    assert isinstance(check(sql, SCHEMA), Accepted | Fault)


WORDS = st.sampled_from(
    "SELECT FROM WHERE GROUP BY ORDER HAVING JOIN USING ON AS AND OR NOT IN IS NULL LIKE BETWEEN CASE WHEN THEN END "
    "COUNT( SUM( ( ) * , = > 'a' \"b\" `c` 1 2.5 stall region name stall_id units DISTINCT UNION WITH x LIMIT DATE "
    "INTERVAL DAY OVER( CAST( INT :: [ ] . ; -- /* */".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_gets_a_verdict(text: str) -> None:
    for schema in (SCHEMA, None):
        checked = check("SELECT " + text, schema)
        assert isinstance(checked, Accepted) or checked.message


def test_equal_schemas_are_one_cache_key() -> None:
    other = read_instance(FIXTURES / "market_2.json").schema
    assert other == SCHEMA and hash(other) == hash(SCHEMA)
    assert check("SELECT  name FROM stall", SCHEMA) is check("SELECT  name FROM stall", other)


def test_functions_file_is_sorted_and_plausible() -> None:
    table = functions()
    assert list(table) == sorted(table)
    assert all(f.high is None or f.low <= f.high for f in table.values())
    assert sum(f.emulated for f in table.values()) >= 250


def test_what_the_emulator_lacks_is_no_evidence() -> None:
    checked = check("SELECT SOUNDEX(name) FROM stall", SCHEMA)
    assert isinstance(checked, Fault)
    assert checked.family is Family.EMULATOR
