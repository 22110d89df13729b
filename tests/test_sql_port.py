"""Porting golds and rewriting them short: flat before/after pairs, and equal results on random data."""

from collections import Counter
from pathlib import Path

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_bench.sql.compact import compact
from tao_bench.sql.port import port, render

FIXTURES = Path(__file__).parent / "fixtures" / "sql_port"
TABLES = {
    "state": ["state_name", "population", "area", "capital"],
    "city": ["city_name", "population", "state_name"],
    "border_info": ["state_name", "border"],
    "river": ["river_name", "length", "traverse"],
}
NUMBERS = {"population", "area", "length"}


def pairs(name: str) -> list[tuple[str, str, str]]:
    """(remark, before, after) of a fixture file."""
    found, remark = [], ""
    for block in (FIXTURES / name).read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("--")]
        if lines:
            remark = lines.pop(0)[1:].strip() if lines[0].startswith("#") else remark
            before, after = lines
            found.append((remark, before, after))
    return found


@pytest.mark.parametrize(("remark", "before", "after"), pairs("compact.sql"))
def test_compact(remark, before, after):
    root, rules = port(before, "mysql", TABLES)
    assert (compact(root, TABLES), rules) == (after, []), remark


@pytest.mark.parametrize(("rule", "before", "after"), pairs("rules.sql"))
def test_rules(rule, before, after):
    root, rules = port(before, "mysql", TABLES)
    assert (render(root), rules) == (after, [] if rule == "none" else [rule])


@pytest.mark.parametrize(("remark", "before", "after"), pairs("compact.sql"))
def test_compact_queries_stay_as_they_are(remark, before, after):
    root, _ = port(after, "databricks", TABLES)
    assert compact(root, TABLES) == after, remark


NAMES = st.sampled_from(["iowa", "ohio", "utah"])
DATA = st.fixed_dictionaries(
    {
        table: st.lists(st.tuples(*(st.integers(0, 12) if c in NUMBERS else NAMES for c in columns)), max_size=5)
        for table, columns in TABLES.items()
    }
)


@settings(max_examples=25, deadline=None)
@given(DATA)
def test_compact_means_the_same_on_any_data(data):
    connection = duckdb.connect(config={"threads": 1})
    for table, columns in TABLES.items():
        connection.execute(
            f"CREATE TABLE {table} ({', '.join(f'{c} INT' if c in NUMBERS else f'{c} TEXT' for c in columns)})"
        )
        for row in data[table]:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", list(row))
    for _, before, after in pairs("compact.sql"):
        gold, short = (
            Counter(connection.execute(sqlglot.transpile(sql, read=dialect, write="duckdb")[0]).fetchall())
            for sql, dialect in ((before, "mysql"), (after, "databricks"))
        )
        assert gold == short, after
    connection.close()
