"""Caches of the SQL path: bounded, and keyed so that they cannot tell yesterday's result of today's database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.prompts import Message, Prompt
from tao.sql.cache import Cache, Digests, digest_of
from tao.sql.engine import Limits, RunOutcome
from tao.sql.gate import Accepted, check
from tao.sql.interpreter import SqlInterpreter
from tao.sql.macros import MACROS
from tao.sql.sandbox import _WORD, VOLATILE, Sandbox
from tao_bench.verify.sql import SqlVerifier
from tao_bench.verify.verdict import Status

SUM = "SELECT SUM(a) FROM t"


def write(path: Path, *values: int) -> str:
    path.write_text(f'{{"tables": {{"t": {{"columns": [["a", "INT"]], "rows": {[[v] for v in values]}}}}}}}')
    return str(path)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_s=0.3, wall_s=2.0), kept_mb=1.0) as made:
        yield made


@pytest.fixture
def sent(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements that reach the worker."""
    seen: list[str] = []
    real = box._run
    monkeypatch.setattr(box, "_run", lambda jobs, rows: seen.extend(job[2] for job in jobs) or real(jobs, rows))
    return seen


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12))), st.integers(0, 20))
def test_a_cache_keeps_the_newest_within_its_weight(puts: list[tuple[int, int]], most: int) -> None:
    cache: Cache[int, int] = Cache(most)
    latest: dict[int, int] = {}  # in order of use; weights are the values
    for key, weight in puts:
        cache.put(key, weight, weight)
        latest.pop(key, None)
        if weight <= most:
            latest[key] = weight
        while sum(latest.values()) > most:
            latest.pop(next(iter(latest)))
        assert cache.weight == sum(latest.values()) and len(cache) == len(latest)
    assert {key: cache.get(key) for key in range(9) if cache.get(key) is not None} == latest


def test_what_was_asked_for_last_stays() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_digests_follow_a_file_that_changes_under_its_times(tmp_path: Path) -> None:
    digests = Digests()
    file = tmp_path / "x"
    assert digests.of(str(file)) == ""
    for content in (b"one", b"two", b"six"):  # equal sizes, written within one tick
        file.write_bytes(content)
        os.utime(file, ns=(10**9, 10**9))
        assert digests.of(str(file)) == digest_of(content)
    file.unlink()
    assert digests.of(str(file)) == ""


def test_a_repeat_does_not_reach_the_worker(box: Sandbox, sent: list[str], tmp_path: Path) -> None:
    path, copy = write(tmp_path / "a.json", 1, 2), write(tmp_path / "copy.json", 1, 2)
    (first,) = box.run([(path, SUM)])
    again = box.run([(path, SUM), (path, "SELECT MAX(a) FROM t"), (copy, SUM)])
    assert sent == [SUM, "SELECT MAX(a) FROM t"]
    assert [ran.rows for ran in again] == [((3,),), ((2,),), ((3,),)] and again[0] == first
    assert box.run([(path, SUM)], rows=False)[0].prints is not None, "rows and fingerprints are kept apart"


def test_a_database_that_changed_is_not_answered_for_by_its_past(box: Sandbox, tmp_path: Path) -> None:
    results = []
    for values in ((1, 2), (1, 4), (1, 2)):
        results.append(box.run([(write(tmp_path / "a.json", *values), SUM)])[0].rows)
    assert results == [((3,),), ((5,),), ((3,),)]


def test_a_database_that_changes_while_it_is_read_is_no_evidence(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.json", 1)
    monkeypatch.setattr(box._digests, "of", lambda path: digest_of(b"what was there before"))
    (ran,) = box.run([(path, SUM)])
    assert ran.outcome is RunOutcome.UNSCORED and "changed while" in ran.error
    monkeypatch.undo()
    assert box.run([(path, SUM)])[0].rows == ((1,),)


@pytest.mark.parametrize(
    ("sql", "outcome"),
    [
        ("SELECT COUNT(*) FROM RANGE(200000) x, RANGE(200000) y WHERE x.range * y.range = 7", "timeout"),
        ("SELECT RANDOM() FROM t", "ok"),
        ("SELECT CURRENT_TIMESTAMP", "ok"),
        ("SELECT * FROM nowhere.t", "failed"),
    ],
)
def test_only_what_would_end_the_same_is_kept(
    box: Sandbox, sent: list[str], tmp_path: Path, sql: str, outcome: str
) -> None:
    path = write(tmp_path / "a.json", 1)
    ran = [box.run([(path, sql)])[0] for _ in range(2)]
    assert [one.outcome.value for one in ran] == [outcome] * 2
    assert len(sent) == (1 if outcome == "failed" else 2)
    assert outcome != "ok" or ran[0].rows != ran[1].rows


def test_words_of_chance_and_clock_are_duckdbs() -> None:
    found = duckdb.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    ).fetchall()
    assert {name for (name,) in found} - {"error"} <= VOLATILE, "an error is the same every time"
    assert not VOLATILE & {word for macro in MACROS for word in _WORD.findall(macro.lower())}, "a macro would hide it"


def test_results_are_kept_within_bounds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", *range(500))
    with Sandbox(kept_mb=0.02) as box:
        for number in range(60):
            box.run([(path, f"SELECT a FROM t WHERE a <> {number}")])
            assert box._kept.weight <= 0.02 * 2**20
        assert 0 < len(box._kept) < 10


def test_verdicts_and_readings_follow_the_database(tmp_path: Path) -> None:
    prompt = Prompt("p", (Message("user", "q"),), (), {"database": str(tmp_path / "a.json")})
    gold = {"sql": SUM, "databases": ["a.json"]}
    verifier, interpreter = SqlVerifier(tmp_path), SqlInterpreter()
    seen = []
    for values in ((1, 2), (2, 2), (1, 2)):
        write(tmp_path / "a.json", *values)
        verdict = verifier.grade(prompt, gold, "SELECT 3", "stop")
        same, three = interpreter.read(prompt, [SUM, "SELECT 3"])
        seen.append((verdict.status, same.key == three.key))
    verifier.close()
    interpreter.close()
    assert seen == [(Status.CORRECT, True), (Status.WRONG, False), (Status.CORRECT, True)]


def test_texts_that_differ_in_comments_and_layout_are_one_statement() -> None:
    texts = [SUM, "select sum( a )\n from t", "SELECT SUM(a) /* all of it */ FROM t -- the end"]
    accepted = [check(text) for text in texts]
    assert all(isinstance(one, Accepted) for one in accepted)
    assert len({one.duckdb for one in accepted if isinstance(one, Accepted)}) == 1
