from __future__ import annotations

from dataclasses import replace

import pytest

from tao_bench.gate import Figures, as_markdown, faults, other_dialects

GOOD = Figures("t@1", "all", 100, 16, greedy=0.45, pass_1=0.4, maj=0.55, pass_n=0.7, errors=55, dialect=5, cpu_s=30.0)


def test_a_task_with_fuel_passes() -> None:
    assert faults(GOOD) == []
    assert "| passes |" in as_markdown("reference", "abc", [GOOD])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"greedy": 0.29}, "greedy outside 30%-60%"),
        ({"greedy": 0.61, "maj": 0.75, "pass_n": 0.9}, "greedy outside 30%-60%"),
        ({"maj": 0.52}, "maj@n less than 8 points above greedy"),
        ({"pass_n": 0.64}, "pass@n less than 10 points above maj@n"),
        ({"dialect": 11}, "20% of the errors are mended by dialect alone"),
        ({"cpu_s": 121.0}, "an evaluation takes 121 CPU seconds"),
    ],
)
def test_each_threshold_is_watched(change: dict[str, float], words: str) -> None:
    found = faults(replace(GOOD, **change))
    assert words in found


def test_no_errors_is_no_dialect_problem() -> None:
    assert replace(GOOD, errors=0, dialect=0).dialect_share == 0


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ("SELECT TOP 3 name FROM t", "SELECT name FROM t LIMIT 3"),
        ("SELECT name FROM t WHERE name ~ 'a'", "SELECT name FROM t WHERE REGEXP_LIKE(name, 'a')"),
    ],
)
def test_other_dialects_are_tried(answer: str, written: str) -> None:
    assert written in other_dialects(answer)


@pytest.mark.parametrize("answer", ["SELECT COUNT(*) FROM t", "SELECT ((", "", "SELECT 1; DROP TABLE t"])
def test_an_answer_that_reads_the_same_or_not_at_all_gives_nothing_new(answer: str) -> None:
    assert other_dialects(answer) == []
