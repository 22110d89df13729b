"""The published rules of other graders: what each accepts, faults included, and what closes each fault here."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.sql.compare import EQUAL
from tao_bench.sql.gold_options import MAX_ALTERNATIVES, gold_alternatives
from tao_bench.sql.policies import POLICIES, Context, Result, policy_named, tidied, without_distinct
from tao_bench.verify.sql import SqlVerifier
from tao_bench.verify.verdict import Status

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
Rows = Sequence[tuple[Any, ...]]


def result(rows: Rows, names: str = "") -> Result:
    width = len(rows[0]) if rows else max(1, len(names.split()))
    return Result(rows, names.split() or [f"c{number}" for number in range(width)])


def accepts(name: str, gold: Result, found: Result, **context: Any) -> bool:
    return POLICIES[name](gold, found, Context(**context)) in EQUAL


def cases() -> list[tuple[str, str, dict[str, Any]]]:
    """Lines of policies.txt: which policies accept, then gold and found rows."""
    found = []
    for line in (FIXTURES / "policies.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            wanted, gold, other, more, why = [part.strip() for part in line.split("|")]
            found.append((why, wanted, {"gold": gold, "found": other, "context": more}))
    return found


@pytest.mark.parametrize(("why", "wanted", "case"), cases(), ids=lambda value: value if isinstance(value, str) else "")
def test_who_accepts(why: str, wanted: str, case: dict[str, str]) -> None:
    del why
    gold, found = result(eval(case["gold"])), result(eval(case["found"]))
    context = {"gold_sql": case["context"]} if case["context"] else {}
    letters = {"bird_ex": "B", "spider_suite": "S", "defog_exact": "E", "defog": "D", "strict": "T"}
    assert {letters[name] for name in letters if accepts(name, gold, found, **context)} == set(wanted.replace("-", ""))


TABLES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.none() | st.integers(0, 1)), max_size=5)


@settings(max_examples=200, deadline=None)
@given(TABLES, TABLES)
def test_bird_is_equality_of_sets(gold: Rows, found: Rows) -> None:
    assert accepts("bird_ex", result(gold), result(found)) is (set(gold) == set(found))


@settings(max_examples=100, deadline=None)
@given(TABLES, st.randoms(use_true_random=False), st.booleans())
def test_spider_is_equality_of_bags_under_some_order_of_the_columns(gold: Rows, rng: Any, ordered: bool) -> None:
    order = rng.sample(range(3), 3)
    moved = [tuple(row[column] for column in order) for row in gold]
    shuffled = rng.sample(moved, len(moved))
    sql = "SELECT a FROM (SELECT b FROM t ORDER BY c)" if ordered else "SELECT a FROM t"
    assert accepts("spider_suite", result(gold), result(moved), gold_sql=sql)
    assert accepts("spider_suite", result(gold), result(shuffled), gold_sql=sql) >= (not ordered)
    assert not accepts("spider_suite", result(gold), result([*moved, (9, 9, 9)]), gold_sql=sql)


def test_spider_strips_distinct_and_mends_operators_outside_quotes() -> None:
    assert without_distinct("SELECT DISTINCT a, COUNT(distinct b) FROM t WHERE c = 'distinct' AND d > = 1") == (
        "SELECT  a, COUNT( b) FROM t WHERE c = 'distinct' AND d >= 1"
    )
    assert without_distinct('SELECT "Distinct" FROM t') == 'SELECT "Distinct" FROM t'
    assert tidied("SELECT DISTINCT YEAR ( CURDATE ( ) ) - age FROM t") == "SELECT DISTINCT 2020- age FROM t"


def test_defog_reads_the_question_and_the_order_by_of_each_text() -> None:
    gold, reverse = result([(1, "x"), (2, "y")], "n name"), result([(2, "y"), (1, "x")], "n name")
    assert accepts("defog_exact", gold, reverse, question="Which ones?")
    assert not accepts("defog_exact", gold, reverse, question="Which ones, in order?")
    texts = {"gold_sql": "SELECT n, name FROM t ORDER BY n", "found_sql": "SELECT n, name FROM t ORDER BY n"}
    assert accepts("defog_exact", gold, reverse, question="Sort them.", **texts)  # both are sorted again
    assert not accepts("strict", gold, reverse, order=_by_first())


def _by_first() -> Any:
    from tao_bench.sql.compare import RowOrder

    return RowOrder((1, 1))


def test_defog_finds_renamed_columns_by_value() -> None:
    gold, found = result([(1, "x"), (2, "y")], "n name"), result([("y", 2), ("x", 1)], "a b")
    assert not accepts("defog_exact", gold, found)
    assert accepts("defog", gold, found)
    assert not accepts("defog", gold, result([("y", 1), ("x", 2)], "a b"))


# -- faults of the published procedures ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    shutil.copy(FIXTURES / "market.json", folder / "x.json")
    return folder


@pytest.fixture(scope="module")
def verifiers(data: Path) -> Iterator[dict[str, SqlVerifier]]:
    made = {name: SqlVerifier(data, policy=name) for name in POLICIES}
    yield made
    for verifier in made.values():
        verifier.close()


NAMES = "SELECT name FROM stall"


def status(verifier: SqlVerifier, gold: str, response: str, question: str = "Which?") -> Status:
    prompt = Prompt("p", (Message("user", question),))
    return verifier.grade(prompt, {"sql": gold, "database": "x.json"}, response, "stop").status


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM stall",
        "CREATE TEMP TABLE stall AS SELECT * FROM main.stall WHERE 0",
        "CREATE TEMP VIEW stall AS SELECT * FROM main.stall WHERE 0",
    ],
)
def test_a_prediction_cannot_empty_what_the_gold_reads(attack: str, verifiers: dict[str, SqlVerifier]) -> None:
    """As published, BIRD's script runs the prediction first, then the gold, on one connection that may write."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE stall (name TEXT)")
    connection.execute("INSERT INTO stall VALUES ('Ash')")
    found = connection.execute(attack).fetchall()
    gold = connection.execute(NAMES).fetchall()
    assert accepts("bird_ex", result(gold), result(found))  # both are empty by now
    for verifier in verifiers.values():
        assert status(verifier, NAMES, attack) is Status.UNPARSABLE
        assert status(verifier, NAMES, NAMES) is Status.CORRECT


def test_an_empty_result_is_no_match_for_a_gold_of_one_row(verifiers: dict[str, SqlVerifier]) -> None:
    """As published, Defog's script compares arrays that NumPy broadcasts: nothing equals any one row."""
    gold = "SELECT COUNT(*) FROM stall"
    for name, verifier in verifiers.items():
        expected = Status.CORRECT if name.startswith("defog") else Status.WRONG
        assert status(verifier, gold, "SELECT 1 WHERE 1 = 0") is expected
    assert status(verifiers["defog"], gold, "SELECT 7 FROM sale") is Status.CORRECT  # a column full of the value
    assert status(verifiers["strict"], gold, "SELECT 7 FROM sale") is Status.WRONG


@pytest.mark.parametrize(
    ("gold", "response", "accepting"),
    [
        (NAMES, "SELECT DISTINCT name FROM stall", "bird_ex spider_suite defog_exact defog"),
        (NAMES, "SELECT name FROM stall UNION ALL SELECT name FROM stall", "bird_ex defog_exact defog"),
        (NAMES + " ORDER BY name", NAMES + " ORDER BY name DESC", "bird_ex defog_exact defog"),
        (NAMES, "SELECT * FROM stall", "defog"),
        ("SELECT name FROM (SELECT name FROM stall ORDER BY opened)", NAMES + " ORDER BY name DESC",
         "strict bird_ex defog_exact defog"),
        ("SELECT name FROM stall WHERE FALSE", "SELECT title FROM region WHERE FALSE",
         "strict bird_ex spider_suite spider_suite_keep_distinct defog_exact defog"),
        ("SELECT AVG(amount) FROM sale", "SELECT SUM(amount) / COUNT(amount) + 1e-12 FROM sale", "strict defog"),
    ],
)  # fmt: skip
def test_official_and_strict_verdicts_side_by_side(
    verifiers: dict[str, SqlVerifier], gold: str, response: str, accepting: str
) -> None:
    found = {name for name, verifier in verifiers.items() if status(verifier, gold, response) is Status.CORRECT}
    assert found == set(accepting.split())


def test_an_unknown_policy_is_named(data: Path) -> None:
    with pytest.raises(InputError, match=r"unknown comparison policy 'bird'\n  fix: use strict, bird_ex"):
        SqlVerifier(data, policy="bird")
    assert policy_named("strict")[1]("SELECT DISTINCT 1") == "SELECT DISTINCT 1"


# -- column options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a FROM t", ["SELECT a FROM t"]),
        ("SELECT {a, b} FROM t", ["SELECT a FROM t", "SELECT b FROM t", "SELECT a, b FROM t"]),
        ("SELECT {a AS x, b}, c FROM t GROUP BY {}, c", [
            "SELECT a AS x, c FROM t GROUP BY a, c", "SELECT b, c FROM t GROUP BY b, c",
            "SELECT a AS x, b, c FROM t GROUP BY a, b, c"]),
        ("SELECT {f(a, b), '}'} FROM t", [
            "SELECT f(a, b) FROM t", "SELECT '}' FROM t", "SELECT f(a, b), '}' FROM t"]),
        ("SELECT {a}, {b} FROM t", ["SELECT a, b FROM t"]),
        ("SELECT '{a,b}' FROM t -- {x}", ["SELECT '{a,b}' FROM t -- {x}"]),
        ("SELECT {a FROM t", None),
        ("SELECT }a{ FROM t", None),
        ("SELECT {{a}} FROM t", None),
        ("SELECT {} FROM t", None),
        ("SELECT {" + ", ".join(f"c{n}" for n in range(9)) + "} FROM t", None),
        ("SELECT {" + ", ".join(f"c{n}" for n in range(99)) + "} FROM t", None),
    ],
)  # fmt: skip
def test_column_options(sql: str, expected: list[str] | None) -> None:
    assert gold_alternatives(sql) == expected


def test_column_options_as_many_as_allowed() -> None:
    found = gold_alternatives("SELECT {" + ", ".join(f"c{n}" for n in range(8)) + "} FROM t")
    assert found is not None and len(set(found)) == 255 < MAX_ALTERNATIVES
