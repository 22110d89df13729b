"""A reward model learns what votes preferred, scores other prompts, refuses its own, and its cost is charged."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from training_toys import undecided, weights_of

from tao.compute import Ledger
from tao.errors import InputError
from tao.loop import tune
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, write_prompts
from tao.recipe import make_recipe
from tao.scoring.reward_model import RewardModelSignal
from tao.scoring.reward_training import Pair, pairs_of_run, train_reward_model
from tao.scoring.signals import SignalSpec, load_signals


def ask(name: str) -> Prompt:
    return Prompt(name, (Message("user", f"say {name}"),))


PAIRS = [Pair(ask(f"q{n}"), "yes", "no") for n in range(12)]


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward") / "model"
    figures = train_reward_model(tiny_model, PAIRS, out, learning_rate=3e-3, epochs=6, batch_size=4)
    assert figures["pairs"] == 12 and figures["accuracy"] == 1.0
    return out


def test_it_prefers_what_the_votes_preferred_on_other_prompts(reward_model: Path) -> None:
    signal = RewardModelSignal(reward_model)
    good, bad = signal.values(ask("z9"), ["yes", "no"])
    assert good is not None and bad is not None and good > bad
    assert signal.values(ask("z9"), ["yes", "no"] * 10)[0] == pytest.approx(good, abs=1e-5)  # padding changes nothing
    assert RewardModelSignal(reward_model, max_tok=4).values(ask("z9"), ["yes"]) == [None]
    assert signal.flop(ask("z9"), ["yes", "no"]) > signal.flop(ask("z9"), ["no"]) > 0


def test_it_refuses_the_prompts_it_was_trained_on(reward_model: Path) -> None:
    with pytest.raises(InputError, match="was trained on this prompt"):
        RewardModelSignal(reward_model).values(Prompt("other id", ask("q3").messages), ["yes"])


def test_what_is_no_reward_model_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no usable reward model"):
        RewardModelSignal(tmp_path)
    with pytest.raises(InputError, match="which checkpoint"):
        load_signals([SignalSpec(signal="reward_model")])
    with pytest.raises(InputError, match="only reward_model takes a model"):
        load_signals([SignalSpec(signal="grounded", model="x")])
    with pytest.raises(InputError, match="no pairs"):
        train_reward_model(tiny_model, [], tmp_path / "out")
    with pytest.raises(InputError, match="no run that kept its pool"):
        pairs_of_run(tmp_path, 1, Random(0))
    with pytest.raises(InputError, match="no such run"):
        pairs_of_run(tmp_path / "typo", 1, Random(0))
    with pytest.raises(InputError, match="tao reward-model --run RUN --model MODEL"):
        load_signals([SignalSpec(signal="reward_model", model=str(tmp_path / "typo"), veto=0.2)])


def reward_models_in_memory() -> int:
    gc.collect()
    return sum(type(one).__name__.endswith("ForSequenceClassification") for one in gc.get_objects())


def test_closed_it_holds_no_weights_and_asked_again_it_gives_the_same(reward_model: Path) -> None:
    signal = RewardModelSignal(reward_model)
    before = signal.values(ask("z9"), ["yes", "no"])
    assert reward_models_in_memory() == 1
    signal.close()
    assert reward_models_in_memory() == 0
    assert signal.flop(ask("z9"), ["yes"]) > 0 and reward_models_in_memory() == 0
    assert signal.values(ask("z9"), ["yes", "no"]) == before


def test_weights_that_cannot_be_read_are_named(reward_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(reward_model, broken)
    (weights,) = broken.glob("*.safetensors")
    weights.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no usable reward model"):
        RewardModelSignal(broken).values(ask("z9"), ["yes"])
    weights.unlink()
    with pytest.raises(InputError, match="holds no weights"):
        RewardModelSignal(broken)


class Digits:
    """Digits mean themselves; everything else does not work."""

    name, version = "number", "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, a) if a.isdigit() else Reading(Outcome.INVALID) for a in answers]

    def close(self) -> None:
        pass


def test_a_run_consults_it_charges_it_and_yields_pairs(tiny_model: Path, reward_model: Path, tmp_path: Path) -> None:
    pool = [ask(f"p{n}") for n in range(6)]
    base = undecided(tiny_model, pool, tmp_path / "base")
    fields = {"rounds": 1, "samples": 6, "max_prompt_tok": 32, "max_new_tok": 4, "max_row_tok": 64, "batch_size": 4}
    plain = make_recipe({**fields, "min_votes": 1, "consensus_floor": 0.0})
    judged = make_recipe(
        {**plain.model_dump(), "signals": [{"signal": "reward_model", "model": str(reward_model), "weight": 1.0}]}
    )
    tune(base, pool, Digits(), plain, tmp_path / "a", seed=0)
    write_prompts(tmp_path / "a" / "pool.jsonl", pool)
    held: dict[str, set[int]] = {}
    result = tune(
        base,
        pool,
        Digits(),
        judged,
        tmp_path / "b",
        seed=0,
        progress=lambda stage, done, everything: held.setdefault(stage, set()).add(reward_models_in_memory()),
    )
    assert held["score"] == {1} and held["explore"] == held["train"] == {0}
    spent = {run: Ledger(tmp_path / run / "ledger.jsonl").totals() for run in "ab"}
    assert "score" not in spent["a"] and spent["b"]["score"].model_flop > 0
    assert result.tuning_flop == sum(part.model_flop for part in spent["b"].values())
    rewards = [
        [json.loads(line)["reward"] for line in (tmp_path / run / "round-0" / "scores.jsonl").read_text().splitlines()]
        for run in "ab"
    ]
    assert rewards[0] != rewards[1]
    pairs = pairs_of_run(tmp_path / "a", 2, Random(0))
    moved = (tmp_path / "a" / "pool.jsonl").rename(tmp_path / "elsewhere.jsonl")
    assert pairs_of_run(tmp_path / "a", 2, Random(0), moved) == pairs
    rows = (tmp_path / "a" / "round-0" / "samples.jsonl").read_text()
    shutil.copytree(tmp_path / "a", tmp_path / "cell")
    for name in ("samples", "scores"):  # a cell of a mixture: its prompts carry the part's name
        file = tmp_path / "cell" / "round-0" / f"{name}.jsonl"
        file.write_text(file.read_text().replace('"prompt_id": "', '"prompt_id": "digits/'))
    assert pairs_of_run(tmp_path / "cell", 2, Random(0), moved) == pairs
    (tmp_path / "a" / "round-0" / "samples.jsonl").write_text(rows.replace('"p3"', '"q3"'))
    with pytest.raises(InputError, match="no prompt 'q3'"):
        pairs_of_run(tmp_path / "a", 2, Random(0), moved)
    assert pairs and all(pair.chosen.isdigit() and pair.chosen != pair.rejected for pair in pairs)
    assert weights_of(result.checkpoint) != weights_of(base)
