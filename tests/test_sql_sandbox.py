"""The sandbox: hostile statements end in an outcome, the worker's limits hold, the rest of a batch goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import attacks

from tao.sql.engine import Limits, RunOutcome
from tao.sql.sandbox import Sandbox

FIXTURES = Path(__file__).parent / "fixtures" / "sql"
MARKET = str(FIXTURES / "market.json")
COUNT = "SELECT COUNT(*) FROM stall"
SLEEP = "SELECT sleep_ms(600000)"
gold_rows = [("secret",)]  # what a scan of Python variables would find


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_s=0.25, wall_s=3.0, memory_mb=200, result_mb=1.0)) as made:
        yield made


@pytest.mark.parametrize(("wall", "sql", "why"), attacks("engine"))
def test_attack_is_contained(box: Sandbox, wall: str, sql: str, why: str) -> None:
    attack, after = box.run([(MARKET, sql), (MARKET, COUNT)])
    assert attack.outcome in (RunOutcome.FAILED, RunOutcome.TIMEOUT, RunOutcome.UNSCORED)
    assert attack.rows == ()
    assert after.outcome is RunOutcome.OK and after.rows == ((7,),), "the next statement sees the data unchanged"


@pytest.mark.parametrize(("wall", "sql", "why"), attacks("harmless"))
def test_harmless_statement_changes_nothing(box: Sandbox, wall: str, sql: str, why: str) -> None:
    before = box.restarts
    attack, after = box.run([(MARKET, sql), (MARKET, COUNT)])
    assert not any("root:" in str(cell) for row in attack.rows for cell in row)
    assert after.rows == ((7,),)
    assert box.restarts == before


def test_sleep_is_killed_by_the_wall_clock_and_the_rest_goes_on() -> None:
    with Sandbox(Limits(wall_s=3.0)) as box:
        before, slept, after = box.run([(MARKET, COUNT), (MARKET, SLEEP), (MARKET, COUNT)])
        assert before.rows == after.rows == ((7,),)
        assert slept.outcome is RunOutcome.TIMEOUT
        assert box.restarts == 1


def test_worker_dies_between_batches_and_inside_one() -> None:
    with Sandbox() as box:
        assert box.run([(MARKET, COUNT)])[0].rows == ((7,),)
        assert box.pid is not None
        os.kill(box.pid, signal.SIGKILL)
        assert [ran.rows for ran in box.run([(MARKET, COUNT)] * 3)] == [((7,),)] * 3


def test_worker_killed_twice_from_outside_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as box:
        real = Sandbox._reply
        kills = []

        def killing(self: Sandbox) -> object:
            if len(kills) < 2:
                assert self.pid is not None
                kills.append(self.pid)
                os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.2)
                self._buffer = b""
                while os.read(self._process.stdout.fileno(), 65536):  # type: ignore[union-attr]
                    pass
            return real(self)

        monkeypatch.setattr(Sandbox, "_reply", killing)
        ran = box.run([(MARKET, COUNT), (MARKET, COUNT)])
        assert [one.outcome for one in ran] == [RunOutcome.UNSCORED, RunOutcome.OK]


def test_worker_that_cannot_start_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with Sandbox() as box:
        ran = box.run([(MARKET, COUNT)] * 2)
    assert [one.outcome for one in ran] == [RunOutcome.UNSCORED] * 2
    assert "cannot start" in ran[0].error


def test_worker_takes_nothing_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tao", "tao/sql"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('another tao')")
    (tmp_path / "json.py").write_text("raise SystemExit('another json')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    with Sandbox() as box:
        assert box.run([(MARKET, COUNT)])[0].rows == ((7,),)


def test_missing_or_broken_instance_is_no_evidence(box: Sandbox, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"tables": {"t": {"columns": [["a", "INT"]], "rows": [["x"]]}}}')
    ran = box.run([(str(tmp_path / "none.json"), COUNT), (str(broken), "SELECT 1"), (MARKET, COUNT)])
    assert [one.outcome for one in ran] == [RunOutcome.UNSCORED, RunOutcome.UNSCORED, RunOutcome.OK]


def test_rows_and_fingerprints(box: Sandbox) -> None:
    sql = "SELECT title, area FROM region ORDER BY region_id"
    (with_rows,) = box.run([(MARKET, sql)])
    assert with_rows.rows == (("Norvik", 120.5), ("Sund", 80), ("Ålborg", None), ("Empty Quarter", 0))
    assert (with_rows.height, with_rows.width, with_rows.prints) == (4, 2, None)
    (printed,) = box.run([(MARKET, sql)], rows=False)
    assert printed.rows == () and printed.prints is not None and printed.height == 4


def test_dates_lists_and_bytes_survive_the_pipe(box: Sandbox) -> None:
    (ran,) = box.run([(MARKET, "SELECT DATE '2024-02-29', [1, 2], '\\x1F'::BLOB, NULL, 2::BIGINT << 61")])
    assert ran.rows == ((("t", "2024-02-29T00:00:00"), ("l", 1, 2), ("b", "1f"), None, 2**62),)


def test_instances_are_separate_and_dropped_when_there_are_too_many() -> None:
    other = str(FIXTURES / "market_2.json")
    with Sandbox(Limits(instances=1)) as box:
        ran = box.run([(MARKET, COUNT), (other, COUNT), (MARKET, COUNT)])
        assert [one.rows for one in ran] == [((7,),), ((5,),), ((7,),)]


def test_empty_and_all_null_results(box: Sandbox) -> None:
    ran = box.run([(MARKET, "SELECT name FROM stall WHERE FALSE"), (MARKET, "SELECT MAX(name) FROM stall WHERE FALSE")])
    assert [one.outcome for one in ran] == [RunOutcome.EMPTY] * 2
    assert [(one.height, one.width) for one in ran] == [(0, 1), (1, 1)]


def test_worker_is_light() -> None:
    code = "import sys, tao.sql.worker; print([m for m in ('torch', 'transformers', 'sqlglot') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
