"""The trace of tuned models: what counts as turning down, limits held out by seed, and the command on a real run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_runner import TAO, Bench
from toy import TASK

from tao.errors import InputError
from tao_bench.report.alarms import (
    FALL,
    QUANTITIES,
    accuracy,
    alarm_lines,
    alarmed,
    by_task,
    fallen,
    gain_over_last,
    held_out,
    separation,
    turned,
)
from tao_bench.report.trace import as_markdown, draw, runs_of
from tao_bench.trace import Point, read_trace

STATS = {"run_rate": 0.8, "top_answer_share": 0.1, "mean_answer_char": 40.0, "mean_clusters": 2.0, "mean_reward": 0.5}
ITEMS = 20


def a_point(
    cell: str, seed: int, number: int, right: int, *, run_rate: float = 0.8, alarms: tuple[str, ...] = ()
) -> Point:
    """A model that gets `right` of 20 items right."""
    return Point(
        cell=cell,
        arm="TAO",
        task="toy@1",
        seed=seed,
        round=number,
        kl=0.01 * number,
        right=tuple(i < right for i in range(ITEMS)),
        passed=tuple(int(i < right) for i in range(4)),
        samples=2,
        completion_tok=(5,) * ITEMS,
        signal=0.5 + 0.05 * number,
        stats={**STATS, "run_rate": run_rate},
        alarms=alarms,
    )


def a_run(seed: int, right: list[int], run_rates: list[float]) -> list[Point]:
    cell = f"cell{seed}"
    return [a_point(cell, seed, k, r, run_rate=w) for k, (r, w) in enumerate(zip(right, run_rates, strict=True))]


@pytest.mark.parametrize(
    ("right", "when"),
    [([10, 12, 14], None), ([10, 10, 9], 2), ([10, 14, 13, 12], 2), ([10, 9, 12, 8], 1), ([10], None)],
)
def test_truth_turns_down_where_it_falls_below_the_best_before(right: list[int], when: int | None) -> None:
    assert pytest.approx(1 / ITEMS) == FALL  # one item of the twenty is just enough
    assert turned(a_run(0, right, [0.8] * len(right))) == when


def test_where_nothing_turned_down_no_limit_is_tried() -> None:
    lines = alarm_lines(runs_of(a_run(0, [10, 12, 13], [0.8] * 3)), {"toy@1": []})
    assert "Of 1 runs 0 turned down" in lines[2]
    assert lines[-1].startswith("No run turned down") and not any("|" in line for line in lines)


def test_a_run_may_come_back() -> None:
    assert fallen(a_run(0, [10, 14, 12, 14, 15, 13], [0.8] * 6)) == [False, False, True, False, False, True]


def test_a_failed_verifier_is_missing_and_no_error_of_the_model() -> None:
    point = a_point("c", 0, 0, 10)
    lost = Point(**{**{f: getattr(point, f) for f in Point.__dataclass_fields__}, "right": (True, None, False)})
    assert accuracy(lost) == 0.5


def test_a_limit_comes_from_the_healthy_models_of_other_seeds() -> None:
    falls = lambda first, now: first.stats["run_rate"] - now.stats["run_rate"]
    runs = runs_of(
        [
            *a_run(0, [10, 12, 6], [0.8, 0.7, 0.5]),  # healthy at a fall of 0.1, down at 0.3
            *a_run(1, [10, 11, 5], [0.8, 0.75, 0.72]),  # healthy at 0.05, down at 0.08
        ]
    )
    held = held_out(runs, falls, at=1.0)
    # Seed 0 is held to seed 1's limit of 0.05: its fallen model is caught, its healthy one stopped for nothing.
    # Seed 1 is held to seed 0's limit of 0.1: its fallen model slips through.
    assert held.limits == pytest.approx((0.05, 0.1))
    assert held.models == (2, 1, 2, 1)
    assert held.runs == (2, 1, 0, 0)


def test_a_limit_at_a_quantile_does_not_hang_on_one_odd_model() -> None:
    odd = [a_point("cell2", 2, 0, 10, run_rate=0.8), a_point("cell2", 2, 1, 10, run_rate=0.1)]
    calm = a_run(1, [10] * 40, [0.8] * 40)
    runs = runs_of([*odd, *calm, *a_run(0, [10, 5], [0.8, 0.5])])
    falls = lambda first, now: first.stats["run_rate"] - now.stats["run_rate"]
    assert held_out(runs, falls, at=1.0).models[:2] == (1, 0)  # the odd model's fall of 0.7 is the limit
    assert held_out(runs, falls).models[:2] == (1, 1)
    assert separation(list(runs.values()), falls) == pytest.approx(39 / 40)


def test_limits_of_a_task_come_from_the_others() -> None:
    other = [replace(p, task="other@1", cell="other") for p in a_run(0, [10, 12, 6], [0.8, 0.7, 0.5])]
    runs = runs_of([*other, *a_run(0, [10, 11, 5], [0.8, 0.75, 0.72])])
    falls = lambda first, now: first.stats["run_rate"] - now.stats["run_rate"]
    assert held_out(runs, falls).limits == ()  # one seed only
    assert held_out(runs, falls, by_task, at=1.0).limits == pytest.approx((0.05, 0.1))


def test_every_figure_is_tried_on_the_same_models() -> None:
    run = [a_point("c", 0, k, right) for k, right in enumerate((10, 11, 9))]
    run.append(replace(a_point("c", 0, 3, 4), stats={}))  # the last model: nothing sampled from it
    told = {name: [quantity(run[0], point) is not None for point in run] for name, quantity in QUANTITIES.items()}
    assert set(map(tuple, told.values())) == {(True, True, True, False)}


def test_arms_of_a_seed_are_no_further_seeds() -> None:
    twice = [replace(p, cell="again") for p in a_run(0, [10, 12, 6], [0.8] * 3)]
    runs = runs_of([*a_run(0, [10, 12, 6], [0.8] * 3), *twice, *a_run(1, [10, 11, 5], [0.8] * 3)])
    items = [(f"i{i}", f"c{i % 7}") for i in range(ITEMS)]
    both = gain_over_last(runs, {cell: run[1] for cell, run in runs.items()}, items)
    alone = {cell: run for cell, run in runs.items() if cell != "again"}
    assert both == gain_over_last(alone, {cell: run[1] for cell, run in alone.items()}, items)
    assert both.value == pytest.approx(6 / ITEMS)


def test_one_seed_has_no_other_to_set_a_limit_on() -> None:
    held = held_out(runs_of(a_run(0, [10, 12, 6], [0.8, 0.7, 0.5])), lambda first, now: 0.0)
    assert (held.limits, held.models, held.runs) == ((), (0,) * 4, (0,) * 4)


def test_the_page_says_which_alarm_came_in_time(tmp_path: Path) -> None:
    points = [
        *a_run(0, [10, 12, 6], [0.8, 0.7, 0.5])[:2],
        a_point("cell0", 0, 2, 6, run_rate=0.5, alarms=("run_rate",)),
        *a_run(1, [10, 11, 5], [0.8, 0.75, 0.72]),
    ]
    head = {
        "items": {"toy@1": [(f"i{i}", f"c{i % 7}") for i in range(ITEMS)]},
        "plan": {"items": ITEMS, "sampled": 4, "samples": 2},
        "command": "tao-bench trace toy",
    }
    page = as_markdown(head, points, "toy")
    assert "Of 2 runs 2 turned down; by today's limits an alarm went off no later than that in 1" in page
    assert "| TAO | 2 | 0.020 | 0.50 → 0.60 | 50.0% → 57.5% → 27.5% |" in page
    # KL is 0.01 a round: both healthy models lie at 0.01, both fallen ones at 0.02
    assert "| KL from the start | 1.00 | 0.01: 2 of 2, false 0 of 2 |" in page
    assert "told no later than the turn in 2 of 2 runs that turned down; 0 of 0 others stopped for nothing" in page
    # kept there, the models are right on 12 and 11 of 20 items instead of on 6 and 5
    assert "| last one within the limit of KL of the other seeds | +30.0 [" in page
    assert "| the one after round 1 | +30.0 [" in page
    assert "KL of each run's best model: 0.01, 0.01; of the models that turned down: 0.02, 0.02." in page
    assert alarmed(runs_of(points)["cell0"]) == 2
    draw(points, tmp_path)
    assert (tmp_path / "trace.svg").read_text().count("root of KL") == 1


def test_a_process_ends_with_the_command_that_started_it() -> None:
    code = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tao_bench.trace import _end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("fork"), _end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    worker = int(command.stdout.readline())
    os.kill(worker, 0)  # it is there
    command.kill()
    command.wait()
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("it outlived its command")


def test_the_command_follows_a_real_run_and_goes_on_where_it_was(tmp_path: Path, taught_model: Path) -> None:
    bench = Bench(tmp_path / "work", taught_model, "  - arm: base\n" + TAO)
    assert bench.run()[0] == 0
    bench.command[3:5] = ["trace", "trial"]
    more = ("--model", str(taught_model), "--items", "3", "--sampled", "2", "--samples", "2")
    status, text = bench.run(*more)
    assert status == 0, text
    stored = tmp_path / "work" / "results" / "trace" / "trial.jsonl"
    head, points = read_trace(stored)
    assert [point.round for point in points] == [0, 1]
    assert points[0].kl == 0.0 < points[1].kl
    assert len(points[0].right) == 3
    assert all(0 <= count <= 2 for count in points[1].passed)
    assert points[0].signal is not None
    assert points[1].signal is None  # nothing has sampled from the last model
    assert len(head["items"][points[0].task]) == 3
    first = stored.read_bytes()
    answers = list((tmp_path / "work").rglob("trace/*/greedy-3.jsonl"))
    before = {path: path.stat().st_mtime_ns for path in answers}
    shutil.rmtree(stored.parent)
    status, text = bench.run(*more, "--cells", "no-such-arm")
    assert status == 2
    assert "is called no-such-arm" in text
    assert bench.run(*more, "--cells", "tao-n4")[0] == 0
    assert read_trace(stored)[1] == points
    shutil.rmtree(stored.parent)
    assert bench.run(*more)[0] == 0
    assert stored.read_bytes() == first
    assert {path: path.stat().st_mtime_ns for path in answers} == before
    page = tmp_path / "work" / "reports" / "trace" / "trial" / "trace.md"
    drawn = page.read_text()
    page.unlink()
    assert bench.run("--draw")[0] == 0
    assert page.read_text() == drawn


def test_a_missing_run_or_trace_is_named(tmp_path: Path, taught_model: Path) -> None:
    bench = Bench(tmp_path / "work", taught_model, TAO, task=TASK)
    bench.command[3:5] = ["trace", "nothing"]
    status, text = bench.run()
    assert status == 2
    assert "run it first: tao-bench run nothing" in text
    status, text = bench.run("--draw")
    assert status == 2
    assert "make it with tao-bench trace nothing" in text
    with pytest.raises(InputError, match="tao-bench trace no"):
        read_trace(tmp_path / "no.jsonl")
    assert not (tmp_path / "work" / "results").exists()
