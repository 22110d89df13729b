"""Pretraining by the clock: the schedule ends at zero, a stopped run goes on, figures count answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tao_bench.models import reference_path
from tao_bench.reference.pretrain_suite import Plan, export, loss_of, main, old_batches, train
from tao_bench.reference.suite_rows import TASKS, Row, add, batch, cut
from tao_bench.reference.suite_world import SHARES, document

PLAN = Plan(1, minutes=10, decay=0.4, old_every=2, batch_tok=768, lr_matrix=0.01, lr_rest=4e-3, shares=SHARES, warmup=2)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights under reference@1's tokenizer."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("start")
    tokenizer = AutoTokenizer.from_pretrained(reference_path("reference@1"))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, tie_word_embeddings=True, eos_token_id=1, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_the_rate_warms_up_holds_and_ends_at_zero() -> None:
    assert PLAN.scale(0, 0.0) == 0.5
    assert PLAN.scale(50, 0.55 * 600) == 1.0
    assert PLAN.scale(50, 0.8 * 600) == pytest.approx(0.5)
    assert PLAN.scale(50, 600) == PLAN.scale(50, 700) == 0.0


def test_fewer_minutes_decay_from_where_a_run_stands() -> None:
    shorter = replace(PLAN, minutes=6)
    rates = [shorter.scale(50, elapsed) for elapsed in (5 * 60, 5.5 * 60, 6 * 60)]
    assert rates[0] > rates[1] > rates[2] == 0.0


def test_a_run_ends_by_the_clock_and_goes_on_from_its_checkpoint(start: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    train(replace(PLAN, minutes=0.02), start, tmp_path, resume=False, save_every=1)
    first = log_of(tmp_path)[-1]
    assert first["step"] >= 1
    assert first["wall_s"] >= round(0.02 * 60, 1)
    assert first["tok"] == 768 * first["step"]
    body = AutoModelForCausalLM.from_pretrained(tmp_path / "model").state_dict()
    assert any(
        (body[name] != value).any() for name, value in AutoModelForCausalLM.from_pretrained(start).state_dict().items()
    )
    longer = first["wall_s"] / 60 + 0.02
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as log:  # a step whose checkpoint was never written
        log.write(json.dumps({**first, "step": 10**6}) + "\n")
    train(replace(PLAN, minutes=longer), start, tmp_path, resume=True, save_every=1)
    second = log_of(tmp_path)[-1]
    assert second["step"] > first["step"]
    assert second["tok"] == 768 * second["step"]
    assert second["wall_s"] >= round(60 * longer, 1)  # the log rounds
    assert json.loads((tmp_path / "plan.json").read_text())["steps"] == second["step"]
    export(start, tmp_path, tmp_path / "exported")
    final = AutoModelForCausalLM.from_pretrained(tmp_path / "model").state_dict()
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported").state_dict()
    assert all((exported[name] == value).all() for name, value in final.items())


def test_figures_count_answers_and_those_a_model_has_by_heart(start: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(start), AutoModelForCausalLM.from_pretrained(start)
    rng, row = Random(3), Row()
    pieces = cut(tokenizer, next(one for one in (document(rng, "policy_qa") for _ in range(9)) if one))
    add(rng, row, pieces, 2)
    one = batch([row.padded(0, 1024)])
    policy = TASKS.index("policy_qa")
    _, figures = loss_of(model, one)
    tokens = sum(len(answer) for _, answer in pieces.asked[:2])
    assert figures[policy, 0] == tokens
    assert figures[policy, 2:].tolist() == [2, 0]
    assert figures.sum(1).nonzero().tolist() == [[policy]]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        loss, figures = loss_of(model, one)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert figures[policy, 2:].tolist() == [2, 2]
    _, old = loss_of(model, next(old_batches(tokenizer, 1, 768)))
    assert old[-1, 0] > 0
    assert old[:-1].sum() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--share", "tool_call=0.3"], "'tool_call' is no suite task; there are tool_calls"),
        (["--share", "tool_calls"], "write tool_calls=0.3"),
        (["--share", "tool_calls=2"], "above 0 and up to 1"),
        ([], "no model in nowhere"),
    ],
)
def test_what_cannot_be_trained_on_is_said_in_one_line(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pretrain_suite", "--from", "nowhere", "--out", "out", *given])
    with pytest.raises(SystemExit):
        main()
    assert said in capsys.readouterr().err
