"""Supervised training: exact targets, nothing dropped, bit-identical, leaving the process as it was."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from training_toys import END, prompt, sample, score, weights_of

from tao.errors import InputError
from tao.prompts import Message
from tao.scoring.score import ScoredRound
from tao.training.engine import load, order
from tao.training.rft import train_rft, winners
from tao.training.settings import Optim
from tao.training.sft import Example, encode, train_sft
from tao.training.tokens import answer_ids, prompt_ids, stop_ids

STOP = frozenset({END})
CHAT = (Message("user", "what?"),)
OPTIM = Optim(learning_rate=1e-3, batch_size=4, epochs=2, max_row_tok=64)


def examples(count: int = 6) -> list[Example]:
    return [Example(f"e{i}", (Message("user", "q" * (i + 1)),), str(i)) for i in range(count)]


def test_loss_is_on_the_target_and_its_end_token_only(tiny_model: Path) -> None:
    _, tokenizer = load(tiny_model)
    [row] = encode([Example("e", CHAT, "42")], tokenizer, STOP, 64)
    prompt_tok = len(prompt_ids(tokenizer, CHAT))
    assert row.labels[:prompt_tok] == [-100] * prompt_tok
    assert tokenizer.decode(row.labels[prompt_tok:]) == "42<|end|>"
    assert row.ids[-1] == END


def test_rows_are_those_trl_would_make_itself(tiny_model: Path, tmp_path: Path) -> None:
    """Contract with TRL: the same chat, tokenised by its own preparation, gives our ids and labels."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load(tiny_model)
    chats = [
        {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "42"}]},
        {"prompt": [{"role": "user", "content": "longer"}], "completion": [{"role": "assistant", "content": "7"}]},
    ]
    args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", gradient_checkpointing=False)
    theirs = SFTTrainer(
        model=model, args=args, train_dataset=Dataset.from_list(chats), processing_class=tokenizer
    ).train_dataset
    ours = encode(
        [Example("a", (Message("user", "q"),), "42"), Example("b", (Message("user", "longer"),), "7")],
        tokenizer,
        STOP,
        64,
    )
    assert theirs["input_ids"][:] == [list(row.ids) for row in ours]
    assert theirs["labels"][:] == [row.labels for row in ours]


def test_trl_drops_long_rows_silently_and_we_refuse_them(tiny_model: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load(tiny_model)
    chats = [
        {"prompt": [{"role": "user", "content": "q" * 40}], "completion": [{"role": "assistant", "content": "42"}]},
        {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "42"}]},
    ]
    args = SFTConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        report_to="none",
        gradient_checkpointing=False,
        max_length=20,
    )
    trainer = SFTTrainer(model=model, args=args, train_dataset=Dataset.from_list(chats), processing_class=tokenizer)
    assert len(trainer.train_dataset) == 1  # the trap this guards against
    long = Example("too-long", (Message("user", "q" * 40),), "42")
    with pytest.raises(InputError, match=r"example too-long: \d+ tokens, more than max_row_tok=20"):
        train_sft(tiny_model, [*examples(2), long], Optim(max_row_tok=20), tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_a_template_that_never_ends_the_turn_is_refused(tiny_model: Path) -> None:
    _, tokenizer = load(tiny_model)
    tokenizer.chat_template = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    tokenizer.chat_template += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    with pytest.raises(InputError, match="does not end the assistant's turn"):
        answer_ids(tokenizer, CHAT, "42", STOP)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"
    with pytest.raises(InputError, match="renders the prompt differently"):
        answer_ids(tokenizer, CHAT, "42", STOP)


def test_training_is_bit_identical_learns_and_disturbs_nothing(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(5)
    random.seed(5)
    before = (torch.get_rng_state().tolist(), random.getstate(), torch.get_num_threads())
    report = train_sft(tiny_model, examples(), OPTIM, tmp_path / "a", seed=0)
    assert (torch.get_rng_state().tolist(), random.getstate(), torch.get_num_threads()) == before
    train_sft(tiny_model, examples(), OPTIM, tmp_path / "b", seed=0)
    train_sft(tiny_model, examples(), OPTIM, tmp_path / "c", seed=1)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b") != weights_of(tmp_path / "c")

    assert report.steps == 3 and report.rows == 6  # 12 rows in two epochs, four a step
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "a"),
        AutoTokenizer.from_pretrained(tmp_path / "a"),
    )
    assert model.dtype == torch.float32 and tokenizer.chat_template
    assert (
        model.generation_config.eos_token_id
        == AutoModelForCausalLM.from_pretrained(tiny_model).generation_config.eos_token_id
    )
    lengths = [len(prompt_ids(tokenizer, e.messages)) + 2 for e in examples()]
    assert report.trained.seq_tok == 2 * sum(lengths)
    assert report.trained.seq_tok_sq == 2 * sum(n * n for n in lengths)
    assert report.trained_padded.seq_tok == 12 * 32

    def loss(folder: Path) -> float:
        model = AutoModelForCausalLM.from_pretrained(folder)
        rows = encode(examples(), tokenizer, stop_ids(tokenizer, model.generation_config), 64)
        pairs = [(torch.tensor([row.ids]), torch.tensor([row.labels])) for row in rows]
        return sum(float(model(input_ids=ids, labels=labels).loss.detach()) for ids, labels in pairs)

    assert loss(tmp_path / "a") < loss(tiny_model)


def test_every_row_is_used_once_an_epoch_and_steps_are_shuffled() -> None:
    lengths = [10 * (i % 5) + i for i in range(23)]
    optim = Optim(batch_size=8, epochs=3)
    sequence = order(lengths, optim, seed=3)
    assert Counter(sequence) == {row: 3 for row in range(23)}
    for start in range(0, len(sequence), 8):
        step = [lengths[row] for row in sequence[start : start + 8]]
        assert step == sorted(step)
    assert order(lengths, optim, seed=4) != sequence == order(lengths, optim, seed=3)


def test_micro_batches_divide_the_batch_and_keep_the_memory_limit() -> None:
    optim = Optim(batch_size=24, micro_tok=1000)
    assert [optim.micro_rows(tok) for tok in (10, 60, 100, 200, 5000)] == [24, 12, 8, 4, 1]
    with pytest.raises(InputError):
        Optim(batch_size=0)
    with pytest.raises(InputError):
        Optim(decay="cosine")  # type: ignore[arg-type]


def test_winners_are_deduplicated_ranked_and_on_the_deployment_prompt() -> None:
    pool = [prompt("a", "qa"), prompt("b", "qb")]
    samples = {
        "a": [sample("a", i, x) for i, x in enumerate(["1", "1.0", "2", "1.0", "1"])]
        + [sample("a", 5, "1.0", strategy="plan")],
        "b": [sample("b", 0, "9"), sample("b", 1, None)],
    }
    scores = {
        "a": [score(0.1, label=x != "2") for x in ["1", "1.0", "2", "1.0", "1", "1.0"]],
        "b": [score(None), score(None)],
    }
    assert winners([ScoredRound(pool, samples, scores)], 1) == [Example("a#0", pool[0].messages, "1.0")]
    assert [e.target for e in winners([ScoredRound(pool, samples, scores)], 5)] == ["1.0", "1"]


def test_the_latest_round_that_elected_an_answer_counts() -> None:
    pool = [prompt("a", "qa"), prompt("b", "qb")]

    def scored(a: str, b: str, *, b_trusted: bool = True) -> ScoredRound:
        samples = {"a": [sample("a", 0, a)], "b": [sample("b", 0, b)]}
        return ScoredRound(pool, samples, {"a": [score(0.1, label=True)], "b": [score(0.1, label=b_trusted)]})

    found = winners([scored("old", "kept"), scored("new", "untrusted", b_trusted=False)], 1)
    assert [(e.id, e.target) for e in found] == [("a#0", "new"), ("b#0", "kept")]


def test_nothing_to_train_on_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    silent = ScoredRound([prompt("a", "q")], {"a": [sample("a", 0, "1")]}, {"a": [score(None)]})
    with pytest.raises(InputError, match="no prompt has a trusted vote"):
        train_rft(tiny_model, [silent], OPTIM, tmp_path / "x", seed=0)
    with pytest.raises(InputError, match="no usable model"):
        train_sft(tmp_path / "nowhere", examples(), OPTIM, tmp_path / "x", seed=0)
