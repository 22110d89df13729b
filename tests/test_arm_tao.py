"""The arm `tao`: what it hands to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao_bench.arms.tao import TaoOptions, run_loop, without_handles
from tao_bench.task import Limits

POOL = [
    Prompt("a", (Message("user", "How many?"),), handles={"database": "/a.json", "database_2": "/b.json"}),
    Prompt("b", (Message("user", "Which?"),), handles={"database": "/a.json"}),
]


def test_handles_are_left_out_and_everything_else_stays() -> None:
    fewer = without_handles(POOL, ["database_2"])
    assert [dict(prompt.handles) for prompt in fewer] == [{"database": "/a.json"}] * 2
    assert [(prompt.id, prompt.messages) for prompt in fewer] == [(prompt.id, prompt.messages) for prompt in POOL]
    assert without_handles(POOL, []) is POOL


def test_the_loop_gets_no_handle_that_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[Prompt]] = []

    def stop(base: Path, pool: Sequence[Prompt], *rest: object, **more: object) -> None:
        seen.append(pool)
        raise InputError("enough", "", "")

    monkeypatch.setattr("tao.loop.tune", stop)
    place = SimpleNamespace(
        options=TaoOptions(leave_out="database_2"),
        limits=Limits(max_prompt_tok=64, max_new_tok=8),
        pool=POOL,
        base=tmp_path,
        folder=tmp_path,
        **dict.fromkeys(("sampler", "engine", "own_signals", "seed", "ledger", "progress")),
    )
    place.sampler, place.engine = "transformers", {}
    with pytest.raises(InputError, match="enough"):
        run_loop(place, SimpleNamespace(close=lambda: None))
    assert [set(prompt.handles) for prompt in seen[0]] == [{"database"}] * 2


def test_what_cannot_be_left_out_is_refused_when_the_experiment_is_planned() -> None:
    read: list[int] = []

    def pool() -> Sequence[Prompt]:
        read.append(1)
        return POOL

    TaoOptions().check_pool(pool)
    assert not read
    with pytest.raises(InputError, match="no prompt has a handle 'x'"):
        TaoOptions(leave_out=("x",)).check_pool(pool)
    bare = [Prompt("a", (Message("user", "?"),))]
    with pytest.raises(InputError) as error:
        without_handles(bare, ["database"])
    assert "have none" in error.value.fix


def test_a_reward_model_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    signal = {"signal": "reward_model", "model": str(tmp_path / "none"), "veto": 0.2}
    with pytest.raises(InputError, match="tao reward-model"):
        TaoOptions(recipe={"signals": [signal]}).check_here()


def test_a_handle_that_no_prompt_has_is_named() -> None:
    with pytest.raises(InputError, match="no prompt has a handle 'databse_2'") as error:
        without_handles(POOL, ["databse_2"])
    assert "database, database_2" in error.value.fix
