"""Verifier sql@2 end to end, on small instances that only it opens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tao.prompts import Message, Prompt
from tao_bench.verify.sql import SqlVerifier
from tao_bench.verify.verdict import Status

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
PROMPT = Prompt("p", (Message("user", "Question: which?"),))
BOTH = ["labels/instances/one.json", "labels/instances/two.json"]
BY_COUNT = "SELECT title, COUNT(*) AS n FROM stall JOIN region USING (region_id) GROUP BY title ORDER BY n DESC"


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlVerifier]:
    data = tmp_path_factory.mktemp("data")
    (data / "labels" / "instances").mkdir(parents=True)
    shutil.copy(FIXTURES / "market.json", data / BOTH[0])
    shutil.copy(FIXTURES / "market_2.json", data / BOTH[1])
    made = SqlVerifier(data)
    yield made
    made.close()


def grade(verifier: SqlVerifier, gold: str, response: str, databases: list[str] | None = None) -> tuple[Status, str]:
    verdict = verifier.grade(PROMPT, {"sql": gold, "databases": databases or BOTH}, response, "stop")
    assert (verdict.score == 1.0) is (verdict.status is Status.CORRECT)
    return verdict.status, verdict.reason


NAMES = "SELECT name, opened FROM stall"
SORTED = "SELECT name, opened FROM stall ORDER BY opened"
HIDDEN_KEY = "SELECT title FROM stall JOIN region USING (region_id) GROUP BY title ORDER BY COUNT(*) DESC"


@pytest.mark.parametrize(
    ("gold", "response", "status", "reason"),
    [
        (NAMES, NAMES, Status.CORRECT, "equal"),
        (NAMES, f"```sql\n{NAMES};\n```", Status.CORRECT, "equal"),
        (NAMES, NAMES + " ORDER BY name DESC", Status.CORRECT, "equal"),
        (NAMES, "SELECT opened AS d, name FROM stall", Status.CORRECT, "equal_permuted"),
        (NAMES, "SELECT name FROM stall", Status.WRONG, "missing_columns"),
        (NAMES, "SELECT name, opened, 1 FROM stall", Status.WRONG, "extra_columns"),
        (NAMES, NAMES + " WHERE opened IS NOT NULL", Status.WRONG, "row_count"),
        (NAMES, "SELECT name, NULL FROM stall", Status.WRONG, "values"),
        (NAMES, "SELECT title, NULL FROM region", Status.WRONG, "row_count"),
        (NAMES, "SELECT nam, opened FROM stall", Status.WRONG, "execution_error"),
        (NAMES, "SELECT name, opened FROM stalls", Status.WRONG, "execution_error"),
        (NAMES, "SELECT name, MAX(opened) FROM stall", Status.WRONG, "execution_error"),
        (NAMES, "SELECT name, units / 0 FROM stall JOIN sale USING (stall_id)", Status.WRONG, "execution_error"),
        (NAMES, "SELECT name, STRFTIME(opened, '%Y') FROM stall", Status.WRONG, "dialect"),
        (NAMES, "SELECT name, opened FROM stall LIMIT 0, 10", Status.WRONG, "dialect"),
        (NAMES, "SELECT name, opened FROM main.stall", Status.WRONG, "dialect"),
        (NAMES, "SELECT TOP 10 name, opened FROM stall", Status.UNPARSABLE, "parse"),
        (NAMES, "SELECT name opened stall", Status.UNPARSABLE, "parse"),
        (NAMES, f"{NAMES}; {NAMES}", Status.UNPARSABLE, "several_statements"),
        (NAMES, "DROP TABLE stall", Status.UNPARSABLE, "not_a_query"),
        (NAMES, f"Here is the query: {NAMES}", Status.UNPARSABLE, "not_a_query"),
        (NAMES, "", Status.UNPARSABLE, "empty"),
        (NAMES, "I cannot answer this from the schema.", Status.WRONG, "refusal"),
        (NAMES, "Sorry, I don't know.", Status.WRONG, "refusal"),
        (NAMES, "SELECT SOUNDEX(name), opened FROM stall", Status.VERIFIER_ERROR, "not_emulated"),
        (SORTED, SORTED, Status.CORRECT, "equal"),
        (SORTED, SORTED + ", name DESC", Status.CORRECT, "equal"),  # Birch and Cedar tie
        (SORTED, NAMES + " ORDER BY opened DESC", Status.WRONG, "order"),
        (SORTED, NAMES + " ORDER BY name", Status.WRONG, "order"),
        (BY_COUNT, BY_COUNT + ", title", Status.CORRECT, "equal"),
        (BY_COUNT, BY_COUNT.replace("DESC", "ASC"), Status.WRONG, "order"),
        (HIDDEN_KEY, HIDDEN_KEY + ", title DESC", Status.CORRECT, "equal"),
        (HIDDEN_KEY, HIDDEN_KEY.replace("DESC", "ASC"), Status.WRONG, "order"),
        ("SELECT COUNT(*) FROM stall", "SELECT 7", Status.WRONG, "values"),  # right on the first database only
        ("SELECT COUNT(*) FROM stall", "SELECT COUNT(name) * 1.0 FROM stall", Status.CORRECT, "equal"),
        (
            "SELECT AVG(amount) FROM sale",
            "SELECT ROUND(AVG(amount), 2) FROM sale",
            Status.WRONG,
            "equal_after_rounding",
        ),
        ("SELECT name FROM stall WHERE FALSE", "SELECT title FROM region WHERE FALSE", Status.CORRECT, "equal_empty"),
        ("SELECT name FROM stall WHERE FALSE", "SELECT name FROM stall", Status.WRONG, "row_count"),
    ],
)
def test_verdicts(verifier: SqlVerifier, gold: str, response: str, status: Status, reason: str) -> None:
    assert grade(verifier, gold, response) == (status, reason)


@pytest.mark.parametrize(
    "degenerate", ["SELECT 1", "SELECT NULL", "SELECT * FROM stall", "SELECT name FROM stall WHERE FALSE"]
)
def test_policies_that_know_nothing_fail(verifier: SqlVerifier, degenerate: str) -> None:
    for gold in (NAMES, SORTED, BY_COUNT, "SELECT COUNT(*) FROM sale", "SELECT MAX(amount) FROM sale"):
        assert grade(verifier, gold, degenerate)[0] is Status.WRONG


def test_a_constant_right_on_one_database_passes_there_alone(verifier: SqlVerifier) -> None:
    gold = "SELECT COUNT(*) FROM stall"
    assert grade(verifier, gold, "SELECT 7", BOTH[:1])[0] is Status.CORRECT
    assert grade(verifier, gold, "SELECT 7", BOTH)[0] is Status.WRONG


def test_cut_off_is_truncated_even_if_it_happens_to_be_right(verifier: SqlVerifier) -> None:
    verdict = verifier.grade(PROMPT, {"sql": NAMES, "databases": BOTH}, NAMES, "length")
    assert (verdict.status, verdict.extracted) == (Status.TRUNCATED, NAMES)


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        ({"sql": "SELECT nope FROM stall", "databases": BOTH}, "gold_refused"),
        ({"sql": "SELECT 1 / 0", "databases": BOTH}, "gold_fails"),
        ({"sql": NAMES, "databases": ["labels/instances/none.json"]}, "gold_database"),
        ({"sql": NAMES, "databases": []}, "gold_malformed"),
        ({"sql": NAMES}, "gold_malformed"),
        ({"databases": BOTH}, "gold_malformed"),
        ("SELECT 1", "gold_malformed"),
    ],
)
def test_a_faulty_gold_is_missing_data(verifier: SqlVerifier, gold: Any, reason: str) -> None:
    verdict = verifier.grade(PROMPT, gold, NAMES, "stop")
    assert (verdict.status, verdict.reason) == (Status.VERIFIER_ERROR, reason)


def test_a_single_database_may_stand_alone(verifier: SqlVerifier) -> None:
    verdict = verifier.grade(PROMPT, {"sql": NAMES, "database": BOTH[0]}, NAMES, "stop")
    assert verdict.status is Status.CORRECT


def test_endless_queries_time_out_and_the_next_is_judged(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "market.json", tmp_path / "x.json")
    verifier = SqlVerifier(tmp_path, cpu_s=0.3)
    gold = {"sql": NAMES, "databases": ["x.json"]}
    endless = (
        "SELECT COUNT(*) FROM "
        + " CROSS JOIN ".join(f"sale s{n}" for n in range(12))
        + " WHERE s1.units + s2.units > s3.units"
    )
    assert verifier.grade(PROMPT, gold, endless, "stop").status is Status.TIMEOUT
    assert verifier.grade(PROMPT, gold, NAMES, "stop").status is Status.CORRECT
    verifier.close()


def test_too_many_rows_are_the_wrong_number_of_rows(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "market.json", tmp_path / "x.json")
    verifier = SqlVerifier(tmp_path, rows=50)
    gold = {"sql": NAMES, "databases": ["x.json"]}
    verdict = verifier.grade(PROMPT, gold, "SELECT a.units, b.units FROM sale a CROSS JOIN sale b", "stop")
    assert (verdict.status, verdict.reason) == (Status.WRONG, "row_count")
    verifier.close()


def test_ties_of_the_gold_are_known(verifier: SqlVerifier) -> None:
    (first, _) = verifier.gold_results({"sql": SORTED, "databases": BOTH})
    assert not isinstance(first, str)
    assert first.ties == (1, 1, 2, 1, 1, 1)
    (hidden, _) = verifier.gold_results({"sql": HIDDEN_KEY, "databases": BOTH})
    assert not isinstance(hidden, str)
    assert hidden.width == 1 and hidden.ties == (3,)
    (plain, _) = verifier.gold_results({"sql": NAMES, "databases": BOTH})
    assert not isinstance(plain, str)
    assert plain.ties is None


def test_a_prediction_cannot_touch_what_the_gold_reads(verifier: SqlVerifier) -> None:
    for attack in ("DELETE FROM stall", "CREATE TEMP TABLE stall AS SELECT 1", "DROP TABLE stall"):
        assert grade(verifier, NAMES, attack)[0] is Status.UNPARSABLE
        assert grade(verifier, NAMES, NAMES)[0] is Status.CORRECT


EARLIEST = "SELECT name FROM stall WHERE opened >= '2020-01-01' ORDER BY opened LIMIT 1"  # Birch or Cedar
UNION = "SELECT name FROM stall UNION SELECT title FROM region ORDER BY LENGTH({}) LIMIT 20"


@pytest.mark.parametrize(
    ("gold", "response", "status", "reason"),
    [
        (EARLIEST, "SELECT 'Birch'", Status.CORRECT, "equal"),
        (EARLIEST, "SELECT 'Cedar'", Status.CORRECT, "equal"),
        (EARLIEST, "SELECT 'Dogwood'", Status.WRONG, "values"),
        (EARLIEST.replace("1", "2"), "SELECT 'Cedar'", Status.WRONG, "row_count"),
        (SORTED + " LIMIT 3", SORTED + ", name DESC LIMIT 3", Status.CORRECT, "equal"),
        (SORTED + " LIMIT 3", SORTED + " LIMIT 2 OFFSET 1", Status.WRONG, "row_count"),
        (SORTED + " LIMIT 2 OFFSET 3", SORTED + ", name DESC LIMIT 2 OFFSET 3", Status.CORRECT, "equal"),
        (SORTED + " LIMIT 2 OFFSET 3", SORTED + " LIMIT 2 OFFSET 4", Status.WRONG, "values"),
        (
            "SELECT title FROM region LIMIT 1",
            "SELECT title FROM region ORDER BY title DESC LIMIT 1",
            Status.CORRECT,
            "equal",
        ),
        ("SELECT title FROM region LIMIT 1", "SELECT 'Oslo'", Status.WRONG, "values"),
        (UNION.format("name"), UNION.format("name"), Status.CORRECT, "equal"),
        (UNION.format("name"), UNION.format("name") + " OFFSET 0", Status.CORRECT, "equal"),
        (UNION.format("name"), UNION.format("name").replace("LIMIT", ", name LIMIT"), Status.CORRECT, "equal"),
        (UNION.format("name"), UNION.format("name").replace("LIMIT", "DESC LIMIT"), Status.WRONG, "order"),
        (
            "SELECT DISTINCT name FROM stall ORDER BY LENGTH(name)",
            "SELECT name FROM stall GROUP BY name ORDER BY LENGTH(name), name DESC",
            Status.CORRECT,
            "equal",
        ),
        (
            "SELECT DISTINCT name FROM stall ORDER BY LENGTH(name)",
            "SELECT DISTINCT name FROM stall ORDER BY name DESC",
            Status.WRONG,
            "order",
        ),
        ("SELECT name FROM stall ORDER BY ALL", "SELECT name FROM stall ORDER BY name", Status.CORRECT, "equal"),
        ("SELECT name FROM stall ORDER BY ALL", "SELECT name FROM stall ORDER BY name DESC", Status.WRONG, "order"),
        ("SELECT {name, opened} FROM stall", "SELECT opened FROM stall", Status.CORRECT, "equal@2"),
        ("SELECT {name, opened} FROM stall", NAMES, Status.CORRECT, "equal@3"),
        ("SELECT {name, opened} FROM stall", "SELECT opened, name FROM stall", Status.CORRECT, "equal_permuted@3"),
        ("SELECT {name, opened} FROM stall", "SELECT active FROM stall", Status.WRONG, "values"),
        (
            "SELECT {region_id, title}, COUNT(*) FROM region JOIN stall USING (region_id) GROUP BY {}",
            "SELECT title, COUNT(*) FROM region JOIN stall USING (region_id) GROUP BY title",
            Status.CORRECT,
            "equal@2",
        ),
        (["SELECT name FROM stall", "SELECT title FROM region"], "SELECT title FROM region", Status.CORRECT, "equal@2"),
        (["SELECT name FROM stall", "SELECT title FROM region"], "SELECT 1", Status.WRONG, "row_count"),
        (["SELECT 7", "SELECT COUNT(*) FROM stall"], "SELECT 7", Status.CORRECT, "equal@1"),
    ],
)
def test_ties_cut_by_limit_hidden_keys_and_several_golds(
    verifier: SqlVerifier, gold: str | list[str], response: str, status: Status, reason: str
) -> None:
    verdict = verifier.grade(PROMPT, {"sql": gold, "databases": BOTH[:1]}, response, "stop")
    assert (verdict.status, verdict.reason) == (status, reason)


def test_one_gold_must_match_on_every_database(verifier: SqlVerifier) -> None:
    one_each = {"sql": ["SELECT 7", "SELECT COUNT(*) FROM stall"], "databases": BOTH}
    assert verifier.grade(PROMPT, one_each, "SELECT COUNT(*) FROM stall", "stop").reason == "equal@2"
    gold = {"sql": ["SELECT COUNT(*) FROM stall", "SELECT COUNT(*) * 0 FROM stall"], "databases": BOTH}
    assert verifier.grade(PROMPT, gold, "SELECT 7", "stop").status is Status.WRONG


def test_a_cut_tie_that_cannot_be_fetched_is_no_evidence(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "market.json", tmp_path / "x.json")
    verifier = SqlVerifier(tmp_path, rows=50)
    gold = {
        "sql": "SELECT a.units, b.sale_id FROM sale a CROSS JOIN sale b ORDER BY 1 * 0 LIMIT 5",
        "databases": ["x.json"],
    }
    (result,) = verifier.gold_results(gold)
    assert not isinstance(result, str) and result.order.is_open and result.order.cuts_tie
    other = "SELECT -1, sale_id FROM sale LIMIT 5"
    verdict = verifier.grade(PROMPT, gold, other, "stop")
    assert (verdict.status, verdict.reason) == (Status.VERIFIER_ERROR, "undecided")
    assert verifier.grade(PROMPT, gold, "SELECT 1, 2", "stop").reason == "row_count"
    verifier.close()


@pytest.mark.parametrize("sql", ["SELECT {} FROM stall", "SELECT {name FROM stall", ["SELECT 1", 2], [], None])
def test_malformed_options_are_missing_data(verifier: SqlVerifier, sql: Any) -> None:
    verdict = verifier.grade(PROMPT, {"sql": sql, "databases": BOTH}, NAMES, "stop")
    assert (verdict.status, verdict.reason) == (Status.VERIFIER_ERROR, "gold_malformed")
