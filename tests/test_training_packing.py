"""Packed rows: one prompt, its answers as branches, exactly the separate sequences' log-probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_toys import END, prompt, random_round, sample, score

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.offline import answer_logps
from tao.training.packing import Row, build_rows, collator, columns, padded_work, shape
from tao.training.settings import Work
from tao.training.tokens import answer_ids, prompt_ids

STOP = frozenset({END})


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> tuple[Any, Any]:
    from tao.training.engine import load

    return load(tiny_model)


def pack(loaded: tuple[Any, Any], scored: ScoredRound, room: int = 400) -> tuple[list[Row], dict[str, int]]:
    return build_rows(scored, loaded[1], STOP, room)


def test_packed_logps_and_gradients_are_those_of_separate_sequences(loaded: tuple[Any, Any]) -> None:
    import torch

    model, _ = loaded
    rows, _ = pack(loaded, random_round(5, 6))
    packed = answer_logps(model, collator(0)([columns(row) for row in rows]))
    weights = torch.linspace(-1, 1, len(packed))
    model.zero_grad()
    (packed * weights).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]

    separate = []
    for row in rows:
        for branch in row.branches:
            ids = torch.tensor([[*row.prompt, *branch.ids]])
            logp = torch.log_softmax(model(ids).logits.float(), -1)[0, len(row.prompt) - 1 : -1]
            separate.append(logp.gather(1, torch.tensor(branch.ids)[:, None])[:, 0])
    expected = torch.cat(separate)
    assert torch.allclose(packed, expected, atol=1e-4)
    model.zero_grad()
    (expected * weights).sum().backward()
    for mine, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.allclose(mine, parameter.grad, atol=1e-3, rtol=1e-3)


def test_answers_of_one_token_need_no_column_of_their_own(loaded: tuple[Any, Any]) -> None:
    pool = [prompt("p", "q")]
    samples = {"p": [sample("p", 0, "", [END], text=""), sample("p", 1, "", [7], text="")]}
    rows, _ = pack(loaded, ScoredRound(pool, samples, {"p": [score(0.5), score(-0.5)]}))
    assert rows[0].length == len(rows[0].prompt) and rows[0].head_tok == 2
    assert len(answer_logps(loaded[0], collator(0)([columns(rows[0])]))) == 2


def test_equal_answers_are_merged_with_their_count(loaded: tuple[Any, Any]) -> None:
    pool = [prompt("p", "q")]
    samples = {
        "p": [sample("p", i, a, ids) for i, (a, ids) in enumerate([("x", [9, END]), ("y", [8, END]), ("x", [9, END])])]
    }
    rows, _ = pack(loaded, ScoredRound(pool, samples, {"p": [score(0.5), score(-1.0), score(0.5)]}))
    assert [(b.ids, b.advantage, b.count) for b in rows[0].branches] == [((9, END), 0.5, 2), ((8, END), -1.0, 1)]


def test_other_views_train_the_deployment_prompt_and_the_cut_out_answer(loaded: tuple[Any, Any]) -> None:
    _, tokenizer = loaded
    pool = [prompt("p", "q")]
    planned = sample("p", 0, "42", [30, 31, 32, 33, END], text="Plan: think\nAnswer: 42", strategy="plan")
    rows, _ = pack(loaded, ScoredRound(pool, {"p": [planned, sample("p", 1, "7")]}, {"p": [score(1.0), score(-1.0)]}))
    assert list(rows[0].prompt) == prompt_ids(tokenizer, pool[0].messages)
    assert list(rows[0].branches[0].ids) == answer_ids(tokenizer, pool[0].messages, "42", STOP)
    assert rows[0].branches[0].ids[-1] == END
    assert rows[0].branches[1].ids == sample("p", 1, "7").token_ids


def test_what_must_not_be_trained_on_is_left_out_and_counted(loaded: tuple[Any, Any]) -> None:
    pool = [prompt("p", "q"), prompt("quiet", "q")]
    samples = {
        "p": [sample("p", i, a) for i, a in enumerate(["1", "2", None, "4"])],
        "quiet": [sample("quiet", 0, "1")],
    }
    scores = {
        "p": [score(0.5), score(-0.5), score(None, reward=0.0), score(None, reward=None)],
        "quiet": [score(None, reward=1.0)],
    }
    rows, skipped = pack(loaded, ScoredRound(pool, samples, scores))
    assert [row.prompt_id for row in rows] == ["p"]
    assert sum(branch.count for branch in rows[0].branches) == 2
    assert skipped == {"no_answer": 1, "unscored": 1, "abstained": 1}


def test_large_groups_take_several_rows_and_lose_nothing(loaded: tuple[Any, Any]) -> None:
    scored = random_round(3, 12)
    whole, _ = pack(loaded, scored)
    split, _ = pack(loaded, scored, room=60)
    assert len(split) > len(whole) == 3
    assert all(row.length <= 60 for row in split)
    assert [b for row in split for b in row.branches] == [b for row in whole for b in row.branches]


def test_a_row_that_cannot_fit_is_an_error_not_a_cut(loaded: tuple[Any, Any]) -> None:
    scored = random_round(2, 3)
    with pytest.raises(InputError, match=r"prompt p0.*more than max_row_tok=12"):
        pack(loaded, scored, room=12)


def test_padded_work_counts_what_the_collator_makes(loaded: tuple[Any, Any]) -> None:
    rows, _ = pack(loaded, random_round(7, 5))
    expected = Work()
    for start in (0, 3, 6):
        batch = collator(0)([columns(row) for row in rows[start : start + 3]])
        count, length = batch["input_ids"].shape
        expected = expected.plus(length, batch["branch_tok"] + 1, count)
        assert shape(rows[start : start + 3]) == (length - batch["branch_tok"], batch["branch_tok"])
    assert padded_work(rows, 3, len(rows)) == expected
