"""Going on from a run: only what is new is tuned on, a share of the old is replayed, alarms keep the old model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_toys import undecided

from tao.cli import main
from tao.errors import InputError
from tao.flywheel.pool import next_pool
from tao.flywheel.previous import read_previous
from tao.flywheel.promote import Promotion, decide
from tao.loop import tune
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, request_digest, write_prompts
from tao.recipe import Recipe
from tao.rounds import WATCHED, TuneResult
from tao.sampling.samplers import local_sampler
from tao.watch import watched


def ask(number: int, name: str = "") -> Prompt:
    return Prompt(name or f"p{number}", (Message("user", f"say {number}"),))


def test_what_is_known_is_left_out_and_a_taken_id_gives_way() -> None:
    old = [ask(1), ask(2)]
    pool = next_pool(old, [ask(2, "again"), ask(3, "p1"), ask(3, "twice"), ask(4)], 0.0, Random(0))
    assert [p.messages[0].content for p in pool.prompts] == ["say 3", "say 4"]
    assert pool.prompts[0].id.startswith("p1-") and pool.prompts[1].id == "p4"
    assert (pool.new, pool.repeated, pool.replayed) == (2, 2, 0)
    with pytest.raises(InputError, match="tuned on already"):
        next_pool(old, [ask(1)], 0.25, Random(0))
    with pytest.raises(InputError, match="--replay 1"):
        next_pool(old, [ask(9)], 1.0, Random(0))


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 0.9), st.integers(0, 9))
def test_the_replayed_share_is_as_asked(old: int, new: int, replay: float, seed: int) -> None:
    before, fresh = [ask(n) for n in range(old)], [ask(100 + n) for n in range(new)]
    pool = next_pool(before, fresh, replay, Random(seed))
    assert len({request_digest(p) for p in pool.prompts}) == len(pool.prompts) == new + pool.replayed
    assert pool.replayed == old or abs(pool.replayed - replay * len(pool.prompts)) <= 1
    assert [p for p in pool.prompts if p in before] == list(pool.prompts[new:])
    chosen = watched(pool.prompts, pool.new, Random(seed))
    assert len(chosen) == len(set(p.id for p in chosen)) <= WATCHED + 1


class Digits:
    """Digits mean themselves; everything else does not work. `deaf` makes nothing work."""

    name, version = "number", "1"

    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, a) if a.isdigit() and not self.deaf else Reading(Outcome.INVALID) for a in answers]

    def close(self) -> None:
        pass


POOL = [Prompt(f"p{i}", (Message("user", f"say {chr(97 + i)}"),)) for i in range(8)]
RECIPE = Recipe(
    rounds=1, samples=6, max_prompt_tok=32, max_new_tok=4, learning_rate=3e-3, batch_size=4, epochs=2, max_row_tok=64
)


@pytest.fixture(scope="module")
def first(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model that says 1 or 2, and a finished run from it."""
    base = undecided(tiny_model, POOL, tmp_path_factory.mktemp("flywheel") / "model")
    out = base.with_name("run")
    assert tune(base, POOL, Digits(), RECIPE, out, seed=1).checkpoint != base
    write_prompts(out / "pool.jsonl", POOL)
    return base, out


def test_a_finished_run_can_be_gone_on_from(first: tuple[Path, Path], tmp_path: Path) -> None:
    run = first[1]
    previous = read_previous(run)
    assert previous.model == run / "round-0" / "checkpoint"
    assert (previous.prompts, previous.recipe, previous.answers) == (POOL, RECIPE, "number")
    (tmp_path / "recipe.json").write_text("{}")
    for folder, message in ((tmp_path, "result.json is missing"), (tmp_path / "no", "recipe.json is missing")):
        with pytest.raises(InputError, match=message):
            read_previous(folder)


def ask_both(serving: Path, result: TuneResult, interpreter: Digits, out: Path) -> Promotion:
    return decide(serving, result, POOL, interpreter=interpreter, recipe=RECIPE, out=out, seed=0, sampler=local_sampler)


def test_a_new_model_is_promoted_unless_an_alarm_goes_off(first: tuple[Path, Path], tmp_path: Path) -> None:
    base, run = first
    new = run / "round-0" / "checkpoint"
    result = TuneResult(new, "rounds", (), 0)

    class TurnsDeaf(Digits):
        """Works for the model in service, for nothing the new one says."""

        calls = 0

        def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
            self.calls += 1
            self.deaf = self.calls > len(POOL)
            return super().read(prompt, answers)

    good = ask_both(base, result, Digits(), tmp_path / "a")
    assert good.promote and good.checkpoint == new and good.after is not None
    bad = ask_both(base, result, TurnsDeaf(), tmp_path / "b")
    assert not bad.promote and bad.checkpoint == base and "run_rate" in {alarm.name for alarm in bad.alarms}
    written = json.loads((tmp_path / "b" / "promotion.json").read_text())
    assert written["promote"] is False and written["checkpoint"] == str(base)
    kept = TuneResult(base, "no_signal", (), 0)
    same = ask_both(base, kept, Digits(), tmp_path / "c")
    assert not same.promote and same.reason == "there was nothing to train on"


def test_the_command_needs_a_model_or_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text('{"id": "a", "messages": [{"role": "user", "content": "say 1"}]}\n')
    assert main(["tune", "--prompts", str(pool), "--out", str(tmp_path / "x"), "--answers", "sql"]) == 2
    assert "--model DIR is needed" in capsys.readouterr().err
    assert main(["tune", "--continue", str(tmp_path), "--prompts", str(pool), "--out", str(tmp_path / "x")]) == 2
    assert "no finished run here" in capsys.readouterr().err
