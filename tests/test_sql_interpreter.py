"""Reading SQL answers for votes: real engine, two instances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt
from tao.sql.interpreter import SqlInterpreter

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
HANDLES = {"database": str(FIXTURES / "market.json"), "database_2": str(FIXTURES / "market_2.json")}
PROMPT = Prompt("p", (Message("user", "Question: which?"),), (), HANDLES)


@pytest.fixture(scope="module")
def interpreter() -> Iterator[SqlInterpreter]:
    made = SqlInterpreter()
    yield made
    made.close()


def agree(readings: list[Reading]) -> bool:
    return len({reading.key for reading in readings}) == 1 and readings[0].key is not None


@pytest.mark.parametrize(
    "answers",
    [
        ["SELECT name FROM stall", "select s.name as n from STALL as s;", "```sql\nSELECT `name` FROM stall\n```"],
        ["SELECT COUNT(*) FROM sale", "SELECT COUNT(sale_id) FROM sale", "SELECT SUM(1) FROM sale"],
        ["SELECT name, stall_id FROM stall", "SELECT stall_id, name FROM stall"],
        ["SELECT AVG(units) FROM sale", "SELECT SUM(units) / COUNT(units) FROM sale"],
        ["SELECT MAX(area) FROM region", "SELECT area FROM region WHERE area IS NOT NULL ORDER BY area DESC LIMIT 1"],
    ],
)
def test_equal_results_agree(interpreter: SqlInterpreter, answers: list[str]) -> None:
    readings = interpreter.read(PROMPT, answers)
    assert all(reading.outcome is Outcome.OK for reading in readings)
    assert agree(readings)


@pytest.mark.parametrize(
    "answers",
    [
        ["SELECT name FROM stall", "SELECT DISTINCT name FROM stall"],
        ["SELECT COUNT(*) FROM stall", "SELECT COUNT(opened) FROM stall"],
        ["SELECT 7", "SELECT COUNT(*) FROM stall"],  # equal on the first instance only
    ],
)
def test_different_results_disagree(interpreter: SqlInterpreter, answers: list[str]) -> None:
    assert not agree(interpreter.read(PROMPT, answers))


def test_order_counts_where_most_of_equal_answers_ask_for_one(interpreter: SqlInterpreter) -> None:
    plain = "SELECT name FROM stall"
    up, up_too, down = (f"{plain} ORDER BY {key}" for key in ("stall_id", "stall_id ASC", "stall_id DESC"))
    assert agree(interpreter.read(PROMPT, [plain, up])), "presence alone does not split two answers"
    assert agree(interpreter.read(PROMPT, [plain, plain + " WHERE TRUE", up, down])), "half is not most"
    ordered = interpreter.read(PROMPT, [up, up_too, down, plain])
    assert agree(ordered[:2])
    assert len({reading.key for reading in ordered}) == 3


def test_one_row_has_no_order(interpreter: SqlInterpreter) -> None:
    answers = ["SELECT MAX(name) FROM stall ORDER BY 1", "SELECT MAX(name) FROM stall"]
    assert agree(interpreter.read(PROMPT, answers))


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        ("SELECT foo FROM stall", Outcome.INVALID, "column foo not found"),
        ("SELECT name FROM stal", Outcome.INVALID, "table stal not found"),
        ("SELECT name FROM", Outcome.INVALID, "syntax error near FROM"),
        ("no idea", Outcome.INVALID, "not a SELECT query"),
        ("", Outcome.INVALID, "no query"),
        ("SELECT STRFTIME('%Y', sold) FROM sale", Outcome.INVALID, "function strftime not found"),
        ("SELECT name, COUNT(*) FROM stall", Outcome.FAILED, "column name must be in GROUP BY"),
        ("SELECT units / 0 FROM sale", Outcome.FAILED, "division by zero"),
        ("SELECT CAST(name AS INT) FROM stall", Outcome.FAILED, "cannot convert 'Ash'"),
        ("SELECT name FROM stall WHERE FALSE", Outcome.EMPTY, "empty result"),
        ("SELECT MAX(name) FROM stall WHERE FALSE", Outcome.EMPTY, "empty result"),
        ("SELECT SOUNDEX(name) FROM stall", Outcome.UNSCORED, "function soundex is not emulated"),
    ],
)
def test_outcomes_and_details(interpreter: SqlInterpreter, answer: str, outcome: Outcome, detail: str) -> None:
    (reading,) = interpreter.read(PROMPT, [answer])
    assert reading.outcome is outcome
    assert (reading.key is None) is (outcome not in (Outcome.OK, Outcome.EMPTY))
    assert reading.detail == detail


def test_empty_on_one_instance_only_is_a_vote(interpreter: SqlInterpreter) -> None:
    (reading,) = interpreter.read(PROMPT, ["SELECT title FROM region WHERE region_id = 3"])
    assert reading.outcome is Outcome.OK


def test_equal_answers_are_run_once(interpreter: SqlInterpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    real = interpreter._sandbox._run
    monkeypatch.setattr(interpreter._sandbox, "_run", lambda jobs, rows: sent.append(len(jobs)) or real(jobs, rows))
    answers = ["SELECT 1 AS a", "SELECT 1 AS a;", "select 1 as a"] * 5
    assert agree(interpreter.read(PROMPT, answers))
    assert sent == [1, 1]
    assert agree(interpreter.read(PROMPT, answers))
    assert sum(sent) == 2, "nor again in a later call"


def test_a_prompt_without_a_database_is_refused(interpreter: SqlInterpreter) -> None:
    with pytest.raises(InputError, match="no database"):
        interpreter.read(Prompt("q", (Message("user", "x"),)), ["SELECT 1"])


def test_readings_are_the_same_again_and_in_another_process() -> None:
    answers = ["SELECT name, opened FROM stall", "SELECT AVG(amount) FROM sale"]
    keys = []
    for _ in range(2):
        reader = SqlInterpreter()
        keys.append([reading.key for reading in reader.read(PROMPT, answers)])
        reader.close()
    assert keys[0] == keys[1]
