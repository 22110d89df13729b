"""Instance files: every column type and every name arrives in the engine as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tao.errors import InputError
from tao.sql.dialect import Fault
from tao.sql.engine import _LOAD_ROWS, Engine, Limits, Ran, RunOutcome
from tao.sql.gate import check
from tao.sql.instance import parse_instance, read_instance

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
DEPOT = FIXTURES / "depot.json"
SCHEMA = read_instance(DEPOT).schema


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Limits())
    yield made
    made.close()


def ask(engine: Engine, sql: str) -> Ran:
    checked = check(sql, SCHEMA)
    assert not isinstance(checked, Fault), checked
    return engine.run(str(DEPOT), checked.duckdb)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("line no.", [9007199254740993, 9007199254740992, -(2**63)]),
        ("Unit Price", [0.1, ("d", "1234567890.12"), None]),
        (
            "Placed At",
            [("t", "2024-02-29T23:59:59.500000"), ("t", "2024-03-01T00:00:00"), ("t", "2024-12-31T00:00:00")],
        ),
        ("seen", [("t", "2024-02-29T00:00:00"), None, ("t", "1999-12-31T12:00:00")]),
        ("WEIGHT", [1.5, 0.25, None]),
        ("Shelf", [3, -3, None]),
        ("tag``s", ["a", "B", None]),
        ("body", [("b", "00ff"), ("b", ""), None]),
        ("big", [12345678901234567890123456789, -7, 10**38 - 1]),
        ("bin", [-128, 127, None]),
        ("share", [0.1, None, float("inf")]),  # NaN is NULL once canonical
    ],
)
def test_cells_arrive_exactly(engine: Engine, column: str, values: list[Any]) -> None:
    ran = ask(engine, f"SELECT `{column}` FROM `order LINES`")
    assert [row[0] for row in ran.rows] == values, ran.error
    assert [type(row[0]) for row in ran.rows] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT SUM(`Line No.`) FROM `Order Lines` WHERE Shelf IS NOT NULL", ((2 * 9007199254740992 + 1,),)),
        ("SELECT SUM(`Unit Price`) FROM `Order Lines`", ((("d", "1234567890.22"),),)),
        ("SELECT COUNT(*) FROM `Order Lines` o WHERE o.`Unit Price` > '1.5' AND o.`Line No.` > '5'", ((1,),)),
        ("SELECT YEAR(`placed at`) FROM `Order Lines` WHERE `placed at` >= '2024-12-31'", ((2024,),)),
        ("SELECT MAX(o.`Line No.`) AS `Top Line` FROM `Order Lines` AS o ORDER BY `Top Line`", ((2**53 + 1,),)),
    ],
)
def test_types_are_inferred_and_compared_as_databricks_does(engine: Engine, sql: str, rows: tuple[Any, ...]) -> None:
    ran = ask(engine, sql)
    assert (ran.outcome, ran.rows) == (RunOutcome.OK, rows), ran.error


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM `Order Lines` WHERE `placed at` > 5",
        "SELECT AVG(`placed at`) FROM `Order Lines`",
        "SELECT 1 FROM `Order Lines` WHERE `Unit Price` = TRUE",
        "SELECT `Unit Price` FROM `Order Line`",
        "SELECT `Unit  Price` FROM `Order Lines`",
    ],
)
def test_wrong_types_and_names_are_refused(sql: str) -> None:
    assert isinstance(check(sql, SCHEMA), Fault)


def one_column(kind: str, cell: Any = None) -> dict[str, Any]:
    return {"tables": {"t": {"columns": [["a", kind]], "rows": [[cell]]}}}


@pytest.mark.parametrize(
    "kind", ["int", "DECIMAL", "DECIMAL(p,s)", "DECIMAL(39,0)", "DECIMAL(3,4)", "DECIMAL(0)", "TEXT"]
)
def test_unknown_types_are_refused(kind: str) -> None:
    with pytest.raises(InputError):
        parse_instance(one_column(kind), "here")


@pytest.mark.parametrize("cell", ["2024-01-01T00:00:00+02:00", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00-0800"])
def test_a_time_zone_is_refused_not_dropped(cell: str) -> None:
    with pytest.raises(InputError, match="time zone"):
        parse_instance(one_column("TIMESTAMP", cell), "here")


def test_one_spelling_of_a_type_and_old_digests() -> None:
    assert (
        parse_instance(one_column("DECIMAL(5, 0)"), "a").schema == parse_instance(one_column("DECIMAL(5)"), "b").schema
    )
    assert read_instance(FIXTURES / "market.json").schema.digest == "767fcb2b27f9d6f7"


def test_large_tables_load_whole(engine: Engine, tmp_path: Path) -> None:
    count = 2 * _LOAD_ROWS + 1
    path = tmp_path / "large.json"
    tables = {"t": {"columns": [["a", "BIGINT"]], "rows": [[number] for number in range(count)]}}
    path.write_text(json.dumps({"tables": tables}), encoding="utf-8")
    assert engine.run(str(path), "SELECT COUNT(*), SUM(a) FROM t").rows == ((count, count * (count - 1) // 2),)
