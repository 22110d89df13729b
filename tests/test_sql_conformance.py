"""The gate and the emulator against Spark's stored answers to the project's own queries; no Java needed.

Queries: fixtures/sql/conformance.sql and foreign.sql; answers: spark_answers.jsonl, made by
``python -m tests.benchmarks.sql_conformance ask``; differences that are meant: known_differences.txt.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tao.sql.engine import Engine, Limits
from tests.benchmarks.spark_oracle import own_questions
from tests.benchmarks.sql_findings import (
    ANSWERS,
    GOOD,
    OWN,
    Finding,
    Result,
    judge_own,
    known_differences,
    read_answers,
    same_rows,
)


@pytest.fixture(scope="module")
def results() -> Iterator[list[Result]]:
    engine = Engine(Limits())
    yield judge_own(engine)
    engine.close()


CLOCK = ("SELECT DATE('now')",)
"""Queries whose answer is the day they are asked on; Spark was asked on another one."""


def test_no_difference_from_spark_that_is_not_meant(results: list[Result]) -> None:
    known = known_differences()
    unmeant = [
        f"{result.finding}: {result.question.sql} | Spark {result.spark[:200]} | emulator {result.emulator[:200]}"
        for result in results
        if result.finding not in GOOD
        and result.question.sql not in CLOCK
        and known.get(result.question.sql, (None,))[0] is not result.finding
    ]
    assert unmeant == []


def test_known_differences_are_still_there(results: list[Result]) -> None:
    found = {result.question.sql: result.finding for result in results}
    stale = [sql for sql, (finding, _) in known_differences().items() if found.get(sql) is not finding]
    assert stale == []


def test_spark_answered_every_query() -> None:
    answers = read_answers(ANSWERS)
    asked = {f"ledger\t{question.sql}" for source in OWN for question in own_questions(source)}
    assert asked == set(answers)


def test_the_sets_can_fail(results: list[Result]) -> None:
    """Enough of either kind, and most of it emulated: an empty comparison would pass every test above."""
    counts = Counter((result.question.source, result.finding) for result in results)
    assert counts["conformance", Finding.EQUAL] >= 1_200
    assert counts["foreign", Finding.BOTH_REJECT] >= 350
    assert counts["conformance", Finding.NOT_EMULATED] <= 80


@pytest.mark.parametrize(
    ("spark", "found", "ordered", "same"),
    [
        ([(1, "a")], [(1, "a")], False, True),
        ([(1,), (2,)], [(2,), (1,)], False, True),
        ([(1,), (2,)], [(2,), (1,)], True, False),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
        ([(2**60,)], [(2**60 + 1,)], False, False),
        ([(0.3333333,)], [(1 / 3,)], False, True),
        ([(0.333,)], [(1 / 3,)], False, False),
        ([(None,)], [(0,)], False, False),
        ([("1",)], [(1,)], False, False),
        ([(("l", 1, None),)], [(("l", 1, None),)], False, True),
    ],
)
def test_same_rows(spark: list[object], found: list[object], ordered: bool, same: bool) -> None:
    assert same_rows(spark, found, ordered) is same
