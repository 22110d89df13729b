"""The whole loop on a toy: it learns, twice to the same bits, survives kills, keeps the last good round."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from training_toys import undecided, weights_of

from tao.compute import Ledger
from tao.errors import InputError
from tao.loop import TuneResult, tune
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt
from tao.recipe import Recipe, make_recipe, read_recipe
from tao.report import render_run
from tao.rounds import LAST_ROUND, read_round
from tao.scoring.alarms import Alarm
from tao.scoring.signals import Weighed

POOL = [Prompt(f"p{i}", (Message("user", f"say {chr(97 + i)}"),)) for i in range(12)]
RECIPE = Recipe(
    rounds=2, samples=8, max_prompt_tok=32, max_new_tok=4, learning_rate=3e-3, batch_size=4, epochs=2, max_row_tok=64
)


class Toy:
    """Accepts digits; their meaning is the digit. Everything else does not work."""

    name, version = "toy", "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, a) if a.isdigit() else Reading(Outcome.INVALID, detail="no digit") for a in answers]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, taught to say 1 half of the time and 2 or x otherwise."""
    return undecided(tiny_model, POOL, tmp_path_factory.mktemp("base") / "model")


def run(base: Path, out: Path, recipe: Recipe = RECIPE, **kwargs: object) -> TuneResult:
    return tune(base, POOL, Toy(), recipe, out, seed=1, **kwargs)  # type: ignore[arg-type]


def durable(out: Path) -> dict[str, bytes]:
    """Everything a run leaves that must not depend on when or how often it was started."""
    skip = ("timing.jsonl", "lost.jsonl")
    return {
        str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name not in skip
    }


@pytest.fixture(scope="module")
def finished(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TuneResult]:
    out = tmp_path_factory.mktemp("run")
    return out, run(base, out)


def test_restarted_rounds_train_the_first_model_on_all_winners_so_far(base: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"objective": "rft", "restart": True, "prompts_per_round": 6, "watch": False})
    rounds = run(base, tmp_path, recipe).rounds
    elected = [done.stats.trusted * done.stats.prompts for done in rounds]
    assert [done.stats.prompts for done in rounds] == [6, 6]
    assert rounds[0].training["rows"] == elected[0]
    assert rounds[1].training["rows"] == sum(elected)
    with pytest.raises(InputError, match="restart: goes with the objective rft"):
        make_recipe({"restart": True})
    killed = tmp_path.with_name("killed")
    with pytest.raises(KeyboardInterrupt):
        run(base, killed, recipe, progress=Killer("train", int(rounds[0].training["steps"]) + 1))
    assert (killed / "round-1" / "scores.jsonl").exists() and not (killed / "round-1" / "checkpoint").exists()
    run(base, killed, recipe)
    assert durable(killed) == durable(tmp_path)


def test_it_learns_what_the_votes_say_and_more_rounds_go_on(
    base: Path, finished: tuple[Path, TuneResult], tmp_path: Path
) -> None:
    out = tmp_path / "more"
    shutil.copytree(finished[0], out)
    before = durable(out)
    result = run(base, out, RECIPE.model_copy(update={"rounds": 3}))
    stats = [done.stats for done in result.rounds]
    assert result.stopped == "rounds" and len(stats) == 3
    assert stats[2].run_rate > stats[0].run_rate + 0.1
    assert stats[2].mean_reward > stats[0].mean_reward + 0.1
    assert result.rounds[0].training["steps"] > 0 and result.rounds[0].training["kl"] > 0
    grown = ("ledger.jsonl", "result.json")
    assert {name: body for name, body in before.items() if name not in grown}.items() <= durable(out).items()


def test_files_and_ledger_are_complete(finished: tuple[Path, TuneResult]) -> None:
    out, result = finished
    assert json.loads((out / "result.json").read_text())["checkpoint"] == "round-1/checkpoint"
    entries = Ledger(out / "ledger.jsonl").entries()
    assert [(e.stage, e.round) for e in entries] == [("explore", 0), ("train", 0), ("explore", 1), ("train", 1)]
    assert all(0 < e.model_flop <= e.device_flop for e in entries)
    assert result.tuning_flop == sum(e.model_flop for e in entries)
    assert not Ledger(out / "ledger.jsonl").lost()
    # Discarded samples are charged too: 12 prompts, 8 samples, 1 to 4 tokens each.
    assert entries[0].completion_tok == sum(
        len(json.loads(line)["token_ids"]) for line in (out / "round-0" / "samples.jsonl").read_text().splitlines()
    )


def test_two_runs_are_bit_identical(base: Path, finished: tuple[Path, TuneResult], tmp_path: Path) -> None:
    out, _ = finished
    run(base, tmp_path / "again")
    assert durable(tmp_path / "again") == durable(out)


class Killer:
    """Dies when a stage has been reported for the n-th time, as Ctrl-C would."""

    def __init__(self, stage: str, count: int) -> None:
        self.stage, self.left = stage, count

    def __call__(self, stage: str, done: int, everything: int) -> None:
        self.left -= stage == self.stage
        if self.left <= 0:
            raise KeyboardInterrupt


def test_killed_in_every_stage_it_ends_with_the_same_bytes(
    base: Path, finished: tuple[Path, TuneResult], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    for stage, count in [("explore", 1), ("score", 5), ("train", 2), ("train", 1), ("score", 3), ("train", 1)]:
        with pytest.raises(KeyboardInterrupt):
            run(base, out, progress=Killer(stage, count))
    result = run(base, out)
    assert durable(out) == durable(finished[0])
    assert weights_of(result.checkpoint) == weights_of(finished[1].checkpoint)
    lost = [e for e in Ledger(out / "ledger.jsonl").lost() if e.stage == "train"]
    assert lost and all(e.device_flop > 0 and e.model_flop == 0 for e in lost)
    # Once finished nothing is done again: no sampler is made, no file touched.
    before = durable(out)
    assert run(base, out, sampler=_never).checkpoint == result.checkpoint
    assert durable(out) == before


def test_two_passes_in_the_loop_end_with_the_same_bytes_however_often_killed(base: Path, tmp_path: Path) -> None:
    fields = {"mix": {"direct": 2, "few_shot": 1, "repair": 1}, "adaptive": {"held": 0.5}, "max_prompt_tok": 64}
    recipe = make_recipe({**RECIPE.model_dump(), **fields, "watch_last": True, "rounds": 1, "epochs": 1})
    out = tmp_path / "whole"
    result = run(base, out, recipe)
    (done,) = result.rounds
    assert done.diversity is not None and done.stats.samples <= 8 * len(POOL)
    assert set(done.diversity.strategies) == {"direct", "few_shot", "repair"}
    assert sum(one.samples for one in done.diversity.strategies.values()) == done.stats.samples
    assert done.diversity.strategies["few_shot"].won_share > 0
    assert read_round(out / "round-0") is not None and read_round(out / "round-0")[0] == done  # type: ignore[index]
    notes = [e.note for e in Ledger(out / "ledger.jsonl").entries() if e.stage == "explore"]
    assert notes == ["first.jsonl", "second.jsonl"] * 2
    assert "0 few_shot" in render_run(out)
    killed = tmp_path / "killed"
    for stage, count in [("explore", 2), ("explore", 3), ("score", 3), ("train", 1), ("watch", 3)]:
        with pytest.raises(KeyboardInterrupt):
            run(base, killed, recipe, progress=Killer(stage, count))
    run(base, killed, recipe)
    assert durable(killed) == durable(out)


def _never(folder: Path) -> object:
    raise AssertionError(f"a finished round was sampled again from {folder}")


def test_more_rounds_go_on_and_another_recipe_is_refused(
    base: Path, finished: tuple[Path, TuneResult], tmp_path: Path
) -> None:
    out = tmp_path / "more"
    shutil.copytree(finished[0], out)
    with pytest.raises(InputError, match=r"what differs: recipe\.samples \(8 before, 4 now\)"):
        run(base, out, RECIPE.model_copy(update={"samples": 4}))
    with pytest.raises(InputError, match=r"what differs: handles, pool"):
        tune(base, POOL[:3], Toy(), RECIPE, out, seed=1)
    weights = out / "round-0" / "checkpoint" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(InputError, match="checkpoint was altered"):
        run(base, out)


def test_a_round_over_budget_is_not_begun(base: Path, finished: tuple[Path, TuneResult], tmp_path: Path) -> None:
    result = run(base, tmp_path / "tight", budget_flop=finished[1].tuning_flop * 0.6)
    assert result.stopped == "budget" and len(result.rounds) == 1
    assert result.checkpoint == tmp_path / "tight" / "round-0" / "checkpoint"
    assert weights_of(result.checkpoint) == weights_of(finished[0] / "round-0" / "checkpoint")


@pytest.mark.parametrize("watch", [True, False])
def test_an_alarm_keeps_the_model_before_the_one_that_raised_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: bool
) -> None:
    """Round 1's samples come from the model of round 0: if they alarm, that model is not the result."""
    monkeypatch.setattr("tao.mixture.alarms", lambda history: [Alarm("one_answer", "!")] if len(history) == 2 else [])
    result = run(base, tmp_path / "run", RECIPE.model_copy(update={"watch": watch, "epochs": 1}))
    assert result.stopped == ("alarm" if watch else "rounds")
    assert result.checkpoint == (base if watch else tmp_path / "run" / "round-1" / "checkpoint")
    assert (result.rounds[1].checkpoint is None) is watch


STROKE = RECIPE.model_copy(update={"objective": "rft", "epochs": 30, "rounds": 1})
"""One round so long that the model has one answer left for every prompt."""


def test_a_last_model_with_one_answer_left_is_not_kept(base: Path, tmp_path: Path) -> None:
    blind = run(base, tmp_path / "blind", STROKE)
    assert (blind.stopped, blind.last) == ("rounds", None) and blind.checkpoint != base
    out = tmp_path / "watched"
    recipe = STROKE.model_copy(update={"watch_last": True})
    with pytest.raises(KeyboardInterrupt):
        run(base, out, recipe, progress=Killer("watch", len(POOL) + 1))
    result = run(base, out, recipe)
    assert (result.stopped, result.checkpoint) == ("alarm", base)
    assert result.last is not None and [alarm.name for alarm in result.last.alarms] == ["cluster_collapse"]
    assert result.rounds[0].stats.mean_clusters > 1.6 and result.last.stats.mean_clusters < 1.05
    assert json.loads((out / "result.json").read_text())["checkpoint"] is None
    assert "alarm in round 1: cluster_collapse" in render_run(out) and "1 rounds complete" in render_run(out)
    charged = {(e.stage, e.round) for e in Ledger(out / "ledger.jsonl").entries()}
    assert charged == {("explore", 0), ("train", 0), ("explore", LAST_ROUND + 1)}
    assert result.tuning_flop > blind.tuning_flop
    assert weights_of(out / "round-0" / "checkpoint") == weights_of(blind.checkpoint)
    before = durable(out)
    assert run(base, out, recipe, sampler=_never).checkpoint == base
    assert durable(out) == before


def test_a_last_model_without_an_alarm_is_kept_and_its_watch_is_part_of_the_budget(base: Path, tmp_path: Path) -> None:
    gentle = RECIPE.model_copy(update={"epochs": 1, "learning_rate": 1e-3})
    blind = run(base, tmp_path / "blind", gentle)
    recipe = gentle.model_copy(update={"watch_last": True})
    result = run(base, tmp_path / "watched", recipe)
    assert (result.stopped, result.checkpoint.parent.name) == ("rounds", "round-1")
    assert result.last is not None and (result.last.number, result.last.alarms) == (2, ())
    assert weights_of(result.checkpoint) == weights_of(blind.checkpoint)
    # Enough for two rounds like the first, but not for looking at what the second trained.
    first = Ledger(tmp_path / "blind" / "ledger.jsonl").totals([0])
    enough = 2 * sum(total.model_flop for total in first.values())
    assert run(base, tmp_path / "enough", gentle, budget_flop=enough).stopped == "rounds"
    tight = run(base, tmp_path / "tight", recipe, budget_flop=enough)
    assert (tight.stopped, len(tight.rounds)) == ("budget", 1) and tight.last is not None


def test_a_plan_counts_the_watch_as_part_of_a_round() -> None:
    assert [Recipe(watch_last=True).watch_share(pool) for pool in (12, 200, 800)] == [1.0, 1.0, 0.25]
    assert Recipe(watch_last=True, prompts_per_round=400).watch_share(1600) == 0.5
    assert Recipe().watch_share(12) == 0.0


def test_the_watch_is_left_out_of_the_records_of_runs_without_it() -> None:
    assert "watch_last" not in Recipe().model_dump()
    assert Recipe(watch_last=True).model_dump()["watch_last"] is True


def test_without_any_trusted_vote_the_model_is_kept(base: Path, tmp_path: Path) -> None:
    class Deaf(Toy):
        def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
            return [Reading(Outcome.UNSCORED)] * len(answers)

    result = tune(base, POOL, Deaf(), RECIPE, tmp_path / "run", seed=1)
    assert (result.stopped, result.checkpoint, len(result.rounds)) == ("thin_evidence", base, 1)
    assert result.rounds[0].stats.unscored == 96


def test_unscored_samples_get_no_gradient(base: Path, finished: tuple[Path, TuneResult], tmp_path: Path) -> None:
    """Weights are those of a round in which the unscored samples had never been drawn."""
    from tao.sampling.samples import read_samples
    from tao.scoring.combine import Rewards, combine
    from tao.scoring.score import ScoredRound
    from tao.training.clipped import Clipped
    from tao.training.offline import train_offline

    groups = read_samples(finished[0] / "round-0" / "samples.jsonl")

    def reading(answer: str | None) -> Reading:
        return Reading(Outcome.UNSCORED) if answer == "2" else Toy().read(POOL[0], [answer or "?"])[0]

    every, scored_only = {}, {}
    for name, group in groups.items():
        every[name] = group
        scored_only[name] = [s for s in group if reading(s.answer).outcome is not Outcome.UNSCORED]
    assert sum(map(len, scored_only.values())) < sum(map(len, every.values()))
    weights = []
    for at, samples in enumerate((every, scored_only)):
        scores = {n: combine(g, [reading(s.answer) for s in g], Rewards()) for n, g in samples.items()}
        out = tmp_path / str(at)
        train_offline(base, ScoredRound(POOL, samples, scores), Clipped(), RECIPE.optim(), out, seed=0)
        weights.append(weights_of(out))
    assert weights[0] == weights[1]


def test_rft_runs_through_the_same_loop(base: Path, tmp_path: Path) -> None:
    result = run(base, tmp_path / "rft", RECIPE.model_copy(update={"objective": "rft", "rounds": 1}))
    assert result.stopped == "rounds" and result.rounds[0].training["rows"] <= 12


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"round": 3}, "unknown field 'round' \\(did you mean 'rounds'\\?\\)"),
        ({"lora": {"rank": 3}}, "unknown field 'lora.rank' \\(did you mean 'lora.r'\\?\\)"),
        ({"samples": 1}, "samples"),
        ({"mix": {"few_shot": 1, "repair": 1}}, "few_shot, repair do not apply to every prompt: add direct"),
        ({"mix": {"direct": 1, "reoder": 1}}, "mix: unknown strategy 'reoder' \\(did you mean 'reorder'\\?\\)"),
        ({"mix": {"direct@hot": 1}}, "mix: direct@hot: 'hot' is no temperature"),
        ({"mix": {"direct@2": 1}, "ladder": [1, 2]}, "'direct@2' in the mix has a temperature of its own"),
        ({"ladder": [1, 1.0]}, "different positive temperatures"),
        ({"ladder": [0.5, 1.0, 1.5], "samples": 2}, "1 strategies at 3 temperatures need at least as many"),
        ({"adaptive": {"held": 1}}, "adaptive: held: a share between 0 and 1"),
        ({"adaptive": {"hold": 0.5}}, "unknown field 'adaptive.hold' \\(did you mean 'adaptive.held'\\?\\)"),
        ({"adaptive": {}, "samples": 2}, "of 2 samples the first pass takes all"),
        ({"reworder": {"url": "http://x/v1", "model": "m"}}, "goes with the strategy reword"),
        ({"wording": "terce"}, "did you mean 'terse'"),
        ({"mix": {}}, "at least one strategy"),
        ({"samples": 2, "mix": {"direct": 1, "plan": 1, "reorder": 1}}, "3 strategies"),
        ({"runs": 0.9}, "ordered"),
        ({"objective": "ppo"}, "objective"),
        ({"watch": False, "watch_last": True}, "watch_last: goes with `watch: true`"),
    ],
)
def test_bad_recipes_are_refused_with_a_reason(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_recipe(fields)


def test_recipes_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("rounds: 5\nmix: {direct: 2, reorder: 1}\nsamples: 8\n")
    recipe = read_recipe(path)
    assert (recipe.rounds, recipe.counts()) == (5, {"direct": 5, "reorder": 3})
    path.write_text("")
    assert read_recipe(path) == Recipe()
    for text, message in [("- 1", "a mapping"), ("{", "not YAML")]:
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_recipe(path)


@pytest.mark.parametrize("samples", range(3, 20))
def test_the_mix_is_shared_out_exactly(samples: int) -> None:
    counts = Recipe(samples=samples, mix={"direct": 5, "plan": 1, "reorder": 2}).counts()
    assert sum(counts.values()) == samples and min(counts.values()) >= 1


def test_settings_reach_the_stages() -> None:
    recipe = Recipe(kl=0.1, clip_low=0.1, clip_high=0.3, learning_rate=1e-3, consensus_floor=0.6, by_view=False)
    loss: Callable[[], object] = recipe.loss
    assert dataclasses.asdict(loss())["kl"] == 0.1  # type: ignore[call-overload]
    assert recipe.optim().learning_rate == 1e-3
    assert (recipe.rewards().consensus_floor, recipe.rewards().by_view) == (0.6, False)
    assert Recipe(objective="rft").loss() is None


@pytest.mark.parametrize("objective", ["grpo", "rft"])
def test_the_loop_trains_on_self_certainty_without_any_vote(base: Path, tmp_path: Path, objective: str) -> None:
    class Deaf(Toy):
        def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
            return [Reading(Outcome.INVALID)] * len(answers)

    fields = {"objective": objective, "source": "self_certainty", "scale_rewards": "group", "confidence": False}
    recipe = make_recipe({**RECIPE.model_dump(), **fields, "watch": False, "rounds": 1})
    result = tune(base, POOL, Deaf(), recipe, tmp_path, seed=1)
    assert result.stopped == "rounds" and weights_of(result.checkpoint) != weights_of(base)
    samples, scores = (
        [json.loads(line) for line in (tmp_path / "round-0" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("samples", "scores")
    )
    sure = {(row["prompt_id"], row["index"]): row["certainty"] for row in samples}
    for prompt in POOL:
        group = [row for row in scores if row["prompt_id"] == prompt.id]
        values = [sure[prompt.id, row["index"]] for row in group]
        span = max(values) - min(values)
        assert [row["reward"] for row in group] == pytest.approx([(v - min(values)) / span for v in values])
        assert [row["pseudo_label"] for row in group] == [v == max(values) for v in values]


@pytest.mark.parametrize("sampler", ["vllm", "endpoint"])
def test_self_certainty_needs_the_whole_distribution(sampler: str) -> None:
    endpoint = {"endpoint": {"url": "http://x/v1", "model": "m"}, "rounds": 1} if sampler == "endpoint" else {}
    with pytest.raises(InputError, match=f"sampler {sampler} does not give: use `sampler: transformers`"):
        make_recipe({"source": "self_certainty", "sampler": sampler, **endpoint})


@pytest.mark.parametrize("rule", ["refuse", "warn"])
def test_a_round_of_hardly_any_evidence_is_not_trained_on_unless_asked_for(
    base: Path, tmp_path: Path, rule: str
) -> None:
    class Picky(Toy):
        """Two answers of one prompt work, and they agree; nothing else does."""

        def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
            return [
                Reading(Outcome.OK, a) if (prompt.id, a) == ("p0", "1") else Reading(Outcome.FAILED) for a in answers
            ]

    pool = [*POOL, *(Prompt(f"p{i}", (Message("user", f"say {chr(65 + i)}"),)) for i in range(12, 40))]
    recipe = make_recipe({**RECIPE.model_dump(), "thin_evidence": rule, "rounds": 1})
    result = tune(base, pool, Picky(), recipe, tmp_path, seed=1)
    (done,) = result.rounds
    assert {one.name for one in done.evidence} == {"run_rate", "trusted"}
    assert result.stopped == ("thin_evidence" if rule == "refuse" else "rounds")
    assert (done.checkpoint is None) == done.refused == (rule == "refuse")
    text = render_run(tmp_path)
    assert "thin evidence in round 0: only" in text and ("not trained on" in text) == (rule == "refuse")
    assert ("too little label-free evidence" in text) == (rule == "refuse")
    again = tune(base, pool, Picky(), recipe, tmp_path, seed=1, sampler=_never)  # type: ignore[arg-type]
    assert again == result


class Holding:
    """A signal that holds something from its first question to its closing, and notes what happens meanwhile."""

    name, version = "holding", "1"

    def __init__(self) -> None:
        self.held, self.asked, self.closed = False, 0, 0

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        self.held, self.asked = True, self.asked + 1
        return [None] * len(answers)

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        return 0

    def close(self) -> None:
        self.held, self.closed = False, self.closed + 1


def test_signals_are_given_back_before_training_and_before_every_exploring(base: Path, tmp_path: Path) -> None:
    signal, other = Holding(), Holding()
    held: dict[str, set[bool]] = {}

    def progress(stage: str, done: int, everything: int) -> None:
        held.setdefault(stage, set()).add(signal.held or other.held)

    further = [Weighed(one, 0.1, None) for one in (signal, other)]
    run(base, tmp_path, RECIPE.model_copy(update={"watch_last": True}), further=further, progress=progress)
    assert held["explore"] == held["train"] == {False} and held["score"] == {True}
    assert signal.asked == other.asked >= 3 * len(POOL)
    assert not signal.held and not other.held


@pytest.mark.parametrize("stage", ["explore", "score", "train"])
def test_signals_are_given_back_when_a_run_dies(base: Path, tmp_path: Path, stage: str) -> None:
    class Stuck(Holding):
        def close(self) -> None:
            super().close()
            raise OSError("cannot be closed")

    signal, stuck = Holding(), Stuck()
    with pytest.raises((KeyboardInterrupt, OSError)):
        further = [Weighed(one, 0.1, None) for one in (signal, stuck)]
        run(base, tmp_path, progress=Killer(stage, 1), further=further)
    assert not signal.held and signal.closed and not stuck.held and stuck.closed


def test_signals_are_given_back_when_the_folder_holds_another_run(
    base: Path, finished: tuple[Path, TuneResult]
) -> None:
    signal = Holding()
    with pytest.raises(InputError, match="another run"):
        run(base, finished[0], further=[Weighed(signal, 0.1, None)])
    assert signal.closed
