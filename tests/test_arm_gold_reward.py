"""The arm `gold_reward`: verdicts for votes, labels for those that declare them, and for nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import toy
from test_runner import Bench

from tao.compute import Ledger
from tao.errors import InputError
from tao.meaning import Outcome
from tao.prompts import Prompt, Sample
from tao.recipe import make_recipe
from tao.scoring.combine import combine
from tao.scoring.score import read_answers
from tao_bench.arms import ARM_NAMES, get_arm
from tao_bench.arms.contract import Arm, Workplace
from tao_bench.arms.gold_reward import OUTCOMES, RIGHT, GoldInterpreter, GoldRewardOptions, tune
from tao_bench.arms.tao import TaoOptions
from tao_bench.plan import _only_verifier
from tao_bench.registry import Task, load_task
from tao_bench.task import Limits, Split, read_labels
from tao_bench.verify.verdict import Status

LIMITS = Limits(max_prompt_tok=64, max_new_tok=12)
CELL = "toy_task--gold_reward-n4-r1--seed0"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAO_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_task("toy_task", [toy.TASK])


def golds(task: Task) -> dict[str, Any]:
    return {name: label.gold for name, label in read_labels(task.data, "pool").items()}


def group(prompt: Prompt, *answers: str | None) -> list[Sample]:
    return [
        Sample(prompt.id, "direct", at, answer or "", answer, (5, 1), 9, "length" if answer == "cut" else "stop")
        for at, answer in enumerate(answers)
    ]


def test_every_verdict_has_a_reading() -> None:
    assert set(OUTCOMES) == set(Status)
    assert [status for status, outcome in OUTCOMES.items() if outcome is Outcome.OK] == [Status.CORRECT]
    assert OUTCOMES[Status.VERIFIER_ERROR] is Outcome.UNSCORED


def test_rewards_are_the_verdicts(task: Task) -> None:
    prompt, known = task.pool()[0], golds(task)
    right = str(known[prompt.id]["value"])
    reader = GoldInterpreter(task.verifier(), known)
    rewards = GoldRewardOptions().made(LIMITS).rewards()
    # One right answer among many equal wrong ones: a vote would go the other way.
    samples = group(prompt, "777", "777", right, "777", "no idea at all", None, "cut")
    readings = read_answers(prompt, samples, reader, rule=rewards.mentions)
    reader.close()
    assert [reading.key for reading in readings] == [None, None, RIGHT, None, None, None, None]
    scores = combine(samples, readings, rewards)
    assert [score.reward for score in scores] == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert [score.pseudo_label for score in scores] == [False, False, True, False, False, False, False]
    assert scores[2].advantage == pytest.approx(1 - 1 / 6) and scores[0].advantage == pytest.approx(-1 / 6)
    assert scores[5].advantage is None  # no answer in deployment form: nothing to train on
    # Where all are wrong, or all are right, nothing tells them apart.
    for answers in (["777", "778"], [right, right]):
        alike = group(prompt, *answers)
        assert {s.advantage for s in combine(alike, read_answers(prompt, alike, reader), rewards)} == {None}


def test_a_verifier_that_fails_gives_no_reward_rather_than_a_low_one(task: Task) -> None:
    prompt = task.pool()[0]
    broken = {name: {**gold, "unit": "stones"} for name, gold in golds(task).items()}
    reader = GoldInterpreter(task.verifier(), broken)
    samples = group(prompt, "1", "2")
    scores = combine(samples, read_answers(prompt, samples, reader), GoldRewardOptions().made(LIMITS).rewards())
    assert [(s.outcome, s.reward, s.advantage) for s in scores] == [(Outcome.UNSCORED, None, None)] * 2


def test_no_rule_of_the_vote_applies_unless_the_recipe_says_so() -> None:
    made = GoldRewardOptions(recipe={"learning_rate": 1e-3}).made(LIMITS)
    assert (made.min_votes, made.consensus_floor, made.support, made.mentions) == (1, 0.0, 0.0, False)
    assert GoldRewardOptions(recipe={"min_votes": 3}).made(LIMITS).min_votes == 3
    assert TaoOptions().made(LIMITS).rewards() == make_recipe({}).rewards()
    with pytest.raises(ValueError, match="unknown field 'min_vote'"):
        GoldRewardOptions(recipe={"min_vote": 1})


@pytest.mark.parametrize(
    "recipe", [{"mix": {"direct": 1, "few_shot": 1}}, {"mix": {"direct": 1, "repair": 1}}, {"adaptive": {}}]
)
def test_verdicts_do_not_choose_what_is_explored(recipe: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="labels may make this arm's rewards, not its samples"):
        GoldRewardOptions(recipe=recipe)
    assert TaoOptions(recipe=recipe).made(LIMITS).exploring().passes == 2
    assert GoldRewardOptions(recipe={"mix": {"direct": 1, "reorder": 1}}).made(LIMITS).exploring().passes == 1


def test_all_pool_labels_count_as_used() -> None:
    assert GoldRewardOptions().labels_used(1600) == 1600
    assert (GoldRewardOptions(prompts=100).labels_used(1600), GoldRewardOptions(prompts=100).labels_used(40)) == (
        100,
        40,
    )
    assert TaoOptions().labels_used(1600) == 0


def test_other_labels_or_another_verifier_make_another_run(task: Task) -> None:
    known = golds(task)
    other = {**known, "pool-0": {**known["pool-0"], "value": 99}}
    assert GoldInterpreter(task.verifier(), known).version != GoldInterpreter(task.verifier(), other).version
    before = {"arm": "gold_reward", "frozen": {"verifier": "a"}}
    config = {"arm": "gold_reward", "frozen": {"verifier": "b"}}
    # Its weights rest on the verifier's verdicts, so judging the stored answers again is not enough.
    assert not _only_verifier(before, config, ["frozen", "frozen_id"])
    assert _only_verifier(before, {**config, "arm": "sft"}, ["frozen", "frozen_id"])


def place(task: Task, base: Path, folder: Path, **changes: Any) -> Workplace:
    def labels(split: Split) -> Mapping[str, Any]:
        assert split == "pool"
        return read_labels(task.data, split)

    options = GoldRewardOptions(samples=4, rounds=1, recipe={"learning_rate": 1e-3, "batch_size": 4})
    settings = {
        "options": options, "base": base, "folder": folder, "seed": 0, "limits": task.spec.limits,
        "answer_form": "number", "pool": tuple(task.pool()), "train": (), "interpreter": task.interpreter,
        "labels": labels, "verifier": task.verifier, "progress": lambda *told: None,
        "ledger": Ledger(folder / "ledger.jsonl"),
    }  # fmt: skip
    return Workplace(**{**settings, **changes})


def test_it_refuses_to_run_without_labels_or_on_a_failing_verifier(
    task: Task, taught_model: Path, tmp_path: Path
) -> None:
    for missing in ("labels", "verifier"):
        with pytest.raises(InputError, match="was handed none"):
            tune(place(task, taught_model, tmp_path, **{missing: None}))
    with pytest.raises(InputError, match="pool-3: has no label in the pool"):
        tune(
            place(
                task, taught_model, tmp_path,
                labels=lambda split: {k: v for k, v in read_labels(task.data, split).items() if k != "pool-3"},
            )
        )  # fmt: skip

    class Fails:
        """Stands in for a verifier whose engine is down."""

        name, version = "number", "1"

        def grade(self, *given: Any) -> Any:
            from tao_bench.verify.verdict import failed

            return failed(Status.VERIFIER_ERROR, "", "engine_down")

        def close(self) -> None:
            pass

    with pytest.raises(InputError, match=r"the verifier failed on \d+ of 48 samples"):
        tune(place(task, taught_model, tmp_path / "fails", verifier=Fails))


def test_a_run_is_tuned_reported_and_counts_its_labels(taught_model: Path, tmp_path: Path) -> None:
    recipe = "    samples: 4\n    rounds: 1\n    recipe: {learning_rate: 0.001, batch_size: 4, watch_last: true}\n"
    arms = f"  - arm: gold_reward\n{recipe}  - arm: tao\n{recipe}  - arm: base\n"
    bench = Bench(tmp_path / "bench", taught_model, arms)
    code, text = bench.run()
    assert code == 0, text
    config = json.loads((bench.cell(CELL) / "cell.json").read_text())
    assert (config["uses_labels"], config["labels_arm"]) == (True, 12)
    scores = [json.loads(x) for x in (bench.cell(CELL) / "tune/round-0/scores.jsonl").read_text().splitlines()]
    assert {row["key"] for row in scores} == {RIGHT, None} and {row["reward"] for row in scores} == {0.0, 1.0}
    report = (bench.folder / "reports" / "trial" / "report.md").read_text()
    line = next(line for line in report.splitlines() if "gold-reward n=4 x1" in line)
    assert "| 0 + 12 + 6 |" in line
    assert report.index("| **TAO n=4 x1**") < report.index("gold-reward n=4 x1")  # the headline stays label-free
    rounds = [json.loads(x) for x in (bench.folder / "results/trial/rounds.jsonl").read_text().splitlines()]
    assert [(row["round"], row.get("watch", False)) for row in rounds if row["cell"] == CELL] == [(0, False), (1, True)]


def test_labels_and_verifier_go_to_those_that_declare_them() -> None:
    assert {name for name in ARM_NAMES if get_arm(name).uses_labels} == {"sft", "gold_reward"}
    assert {name for name in ARM_NAMES if get_arm(name).uses_verifier} == {"gold_reward"}
    with pytest.raises(ValueError, match="declares uses_labels"):
        Arm(name="sly", uses_labels=False, options=TaoOptions, tune=tune, uses_verifier=True)


@pytest.mark.parametrize("way", ["place.labels('pool')", "place.verifier()", "read_labels(job.task.data, 'pool')"])
def test_a_label_free_arm_that_runs_this_code_gets_nothing(task: Task, tmp_path: Path, way: str) -> None:
    message = {
        "work": "model", "folder": str(tmp_path), "split": "dev", "task_folder": str(task.folder),
        "data": str(task.data), "task_hash": task.hash, "base": str(tmp_path),
        "config": {
            "arm": "tao", "arm_options": {}, "seed": 0, "deployed": {"labels": 0}, "eval": {"split": "dev", "limit": 2},
        },
    }  # fmt: skip
    program = f"""
import dataclasses
from tao_bench import worker
from tao_bench.arms import get_arm
from tao_bench.task import read_labels
job = worker.read_assignment({message!r})
def sly(place):
    print("got", {way})
worker.get_arm = lambda name: dataclasses.replace(get_arm(name), tune=sly)
worker.model(job, lambda share, words: None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "got" not in done.stdout
    said = done.stderr.splitlines()[-1]
    assert "label firewall" in done.stderr if "read_labels" in way else "'NoneType' object is not callable" in said
