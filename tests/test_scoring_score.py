"""Stage 2 from files to files: resumable to the same bytes, summarised, watched."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao.scoring.alarms import AlarmLimits, alarms
from tao.scoring.combine import Rewards
from tao.scoring.score import ScoredRound, score
from tao.scoring.stats import RoundStats


class Digits:
    """Reads an answer that is a number; counts what it was asked, and can be made to die."""

    name, version = "digits", "1"

    def __init__(self, die_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.die_after = die_after

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        if self.die_after is not None and len(self.asked) >= self.die_after:
            raise KeyboardInterrupt
        self.asked += answers
        return [
            Reading(Outcome.UNSCORED)
            if a == "boom"
            else Reading(Outcome.OK, a.strip())
            if a.strip().isdigit()
            else Reading(Outcome.INVALID)
            for a in answers
        ]

    def close(self) -> None:
        pass


ANSWERS = {"a": ["1", "1", "2", None], "b": ["7", "7", "x", "boom"], "c": ["1", "2", "3", "4"]}


@pytest.fixture
def pool(tmp_path: Path) -> list[Prompt]:
    (tmp_path / "doc.json").write_text("{}")
    handles = {"document": str(tmp_path / "doc.json")}
    return [Prompt(i, (Message("user", i),), handles=handles) for i in ANSWERS]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.jsonl"
    rows = [
        Sample(i, "direct", n, answer or "", answer, (1, 2), 5, "stop")
        for i, answers in ANSWERS.items()
        for n, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(dataclasses.asdict(r)) + "\n" for r in rows))
    return path


def run(pool: list[Prompt], samples: Path, out: Path, interpreter: Digits | None = None) -> ScoredRound:
    return score(pool, samples, interpreter or Digits(), Rewards(), out=out)


def test_rows_and_summary(pool: list[Prompt], samples: Path, tmp_path: Path) -> None:
    interpreter = Digits()
    scored = run(pool, samples, tmp_path / "s" / "scores.jsonl", interpreter)
    assert interpreter.asked == ["1", "2", "7", "x", "boom", "1", "2", "3", "4"]  # equal answers are read once
    rows = [json.loads(line) for line in (tmp_path / "s" / "scores.jsonl").read_text().splitlines()]
    assert set(rows[0]) == {"prompt_id", "index", "outcome", "key", "share", "reward", "advantage", "pseudo_label"}
    boom = next(r for r in rows if r["outcome"] == "unscored")
    assert boom["reward"] is None and boom["advantage"] is None
    stats = scored.stats()
    assert (stats.prompts, stats.samples, stats.unscored) == (3, 12, 1)
    assert stats.run_rate == pytest.approx(9 / 11)
    assert stats.mean_clusters == pytest.approx((2 + 1 + 4) / 3)
    assert stats.mean_share == pytest.approx((2 / 3 + 1 + 1 / 4) / 3)
    assert stats.abstained == pytest.approx(1 / 3)
    assert stats.trusted == pytest.approx(2 / 3)
    assert (stats.top_answer, stats.top_answer_share) == ("7", 0.5)


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_killed_and_resumed_to_the_same_bytes(pool: list[Prompt], samples: Path, tmp_path: Path, cut: int) -> None:
    whole, part = tmp_path / "whole" / "scores.jsonl", tmp_path / "part" / "scores.jsonl"
    expected = run(pool, samples, whole)
    with pytest.raises(KeyboardInterrupt):
        run(pool, samples, part, Digits(die_after=cut))
    with part.open("ab") as handle:  # the kill came in the middle of a prompt, and of a line
        torn = whole.read_bytes()[part.stat().st_size :].splitlines(keepends=True)
        handle.write(torn[0] + torn[1][:10])
    resumed = run(pool, samples, part)
    assert part.read_bytes() == whole.read_bytes()
    assert resumed == expected
    again = Digits()
    assert run(pool, samples, part, again) == expected
    assert again.asked == []  # a finished stage is never redone


def test_other_data_behind_a_handle_is_noticed(pool: list[Prompt], samples: Path, tmp_path: Path) -> None:
    run(pool, samples, tmp_path / "scores.jsonl")
    (tmp_path / "doc.json").write_text('{"changed": 1}')
    with pytest.raises(InputError, match="something else: handles\n"):
        run(pool, samples, tmp_path / "scores.jsonl")


def test_missing_samples_are_named(pool: list[Prompt], samples: Path, tmp_path: Path) -> None:
    more = [*pool, Prompt("d", (Message("user", "d"),))]
    with pytest.raises(InputError, match="no samples for prompt 'd'"):
        run(more, samples, tmp_path / "scores.jsonl")


GOOD = RoundStats(
    prompts=100,
    samples=800,
    answer_rate=1.0,
    run_rate=0.9,
    empty_rate=0.02,
    unscored=0,
    mean_clusters=3.0,
    mean_share=0.6,
    abstained=0.2,
    trusted=0.8,
    mean_reward=0.5,
    top_answer="1",
    top_answer_share=0.05,
    mean_answer_char=60.0,
)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"mean_clusters": 1.05}, "cluster_collapse"),
        ({"top_answer": "SELECT 1", "top_answer_share": 0.5}, "one_answer"),
        ({"mean_answer_char": 200.0}, "length_drift"),
        ({"mean_answer_char": 10.0}, "length_drift"),
        ({"run_rate": 0.5}, "run_rate"),
    ],
)
def test_each_alarm_goes_off_alone(change: dict[str, float], name: str) -> None:
    found = alarms([GOOD, dataclasses.replace(GOOD, **change)])
    assert [alarm.name for alarm in found] == [name]


def test_healthy_sharpening_raises_no_alarm() -> None:
    history = [GOOD]
    for clusters, share, reward in [(2.2, 0.75, 0.7), (1.6, 0.88, 0.85), (1.2, 0.96, 0.95)]:
        history.append(dataclasses.replace(GOOD, mean_clusters=clusters, mean_share=share, mean_reward=reward))
        assert alarms(history) == []
    assert alarms([GOOD]) == []


def test_limits_are_settable() -> None:
    longer = dataclasses.replace(GOOD, mean_answer_char=80.0)
    assert not alarms([GOOD, longer])
    assert [a.name for a in alarms([GOOD, longer], AlarmLimits(length=1.2))] == ["length_drift"]
