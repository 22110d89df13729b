"""Every objective: its loss in closed form, TRL's own loss as the oracle, and that it teaches the toy task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import toy
from training_toys import END, prompt, random_round, sample, score, weights_of

from tao.errors import InputError
from tao.meaning import Interpreter
from tao.prompts import Prompt
from tao.recipe import make_recipe
from tao.scoring.score import ScoredRound
from tao.training.clipped import Clipped
from tao.training.dpo import Dpo
from tao.training.engine import load
from tao.training.grpo import EPSILON, Grpo, scaled_scores
from tao.training.objectives import ABOUT, NAMES
from tao.training.offline import Objective, answer_logps, train_offline
from tao.training.packing import Pair, Row, collator, columns
from tao.training.regression import Regression
from tao.training.settings import Optim

FP32 = Optim(learning_rate=1e-3, batch_size=4, max_row_tok=128, precision="fp32")
EVERY: dict[str, Objective] = {
    "clipped": Clipped(),
    "regression": Regression(),
    "grpo": Grpo(),
    "dpo": Dpo(),
    "dpo, offset": Dpo(margin="offset"),
    "dpo, by length": Dpo(by_length=True, margin="none"),
}


def batch_of(answers: Sequence[int], advantages: Sequence[float], reference: Sequence[float]) -> dict[str, Any]:
    """A micro-batch of answers with so many tokens each; one pair of the first against every other."""
    import torch

    spread = [at for at, size in enumerate(answers) for _ in range(size)]
    rest = range(1, len(answers))
    return {
        "reference_T": torch.tensor(reference),
        "answer_T": torch.tensor(spread),
        "advantage_A": torch.tensor(advantages),
        "weight_A": torch.ones(len(answers)),
        "winner_P": torch.tensor([0 for _ in rest]),
        "loser_P": torch.tensor(list(rest)),
        "margin_P": torch.tensor([advantages[0] - advantages[at] for at in rest]),
    }


@pytest.mark.parametrize("name", list(EVERY))
def test_winners_go_up_and_losers_down(name: str) -> None:
    import torch

    batch = batch_of([2, 3], [0.6, -0.4], [-1.0] * 5)
    logp = batch["reference_T"].clone().requires_grad_()
    EVERY[name].loss(logp, batch, 2.5)[0].backward()
    assert (logp.grad[:2] < 0).all() and (logp.grad[2:] > 0).all()
    assert torch.isfinite(logp.grad).all()


@pytest.mark.parametrize("name", ["clipped", "regression", "grpo"])
def test_a_group_without_advantage_gives_no_gradient(name: str) -> None:
    batch = batch_of([2, 1], [0.0, 0.0], [-1.0, -2.0, -0.5])
    logp = batch["reference_T"].clone().requires_grad_()
    EVERY[name].loss(logp, batch, 1.0)[0].backward()
    assert not logp.grad.any()


@pytest.mark.parametrize(
    ("objective", "at_start"),
    [
        (Dpo(margin="none"), math.log(2)),
        (Dpo(margin="none", by_length=True), math.log(2)),
        (Dpo(margin="weight"), 0.8 * math.log(2)),
        (Dpo(margin="offset"), math.log1p(math.exp(0.8))),
        (Dpo(margin="none", imitate=0.5), math.log(2) + 0.5 * 1.5),
    ],
)
def test_dpo_at_the_round_start(objective: Dpo, at_start: float) -> None:
    batch = batch_of([2, 1], [0.5, -0.3], [-1.0, -2.0, -3.0])
    loss, figures = objective.loss(batch["reference_T"].clone(), batch, 1.0)
    assert loss.item() == pytest.approx(at_start, rel=1e-6)
    assert figures["kl"][0] == 0


def test_dpo_in_closed_form_and_its_pull_fades_as_the_lead_grows() -> None:
    import torch

    batch = batch_of([2, 1], [0.5, -0.5], [-1.0, -2.0, -3.0])
    drift = torch.tensor([0.5, 0.25, -1.0])
    lead = 0.2 * (0.75 + 1.0)
    loss, figures = Dpo(beta=0.2, margin="none").loss(batch["reference_T"] + drift, batch, 1.0)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-lead)), rel=1e-5)
    assert figures["pair_accuracy"] == (1.0, 1.0)
    lead = 0.2 * (0.375 + 1.0)
    loss, _ = Dpo(beta=0.2, margin="none", by_length=True).loss(batch["reference_T"] + drift, batch, 1.0)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-lead)), rel=1e-5)

    def pull(by: float) -> float:
        logp = (batch["reference_T"] + by * torch.tensor([1.0, 1.0, -1.0])).requires_grad_()
        Dpo(beta=1.0).loss(logp, batch, 1.0)[0].backward()
        return float(logp.grad.abs().sum())

    assert pull(0.0) > 10 * pull(2.0) > 0


def test_grpo_counts_answers_and_clipped_counts_tokens() -> None:
    batch = batch_of([1, 4], [1.0, 1.0], [-1.0] * 5)
    for objective, long in ((Grpo(), 0.25), (Clipped(), 1.0)):
        logp = batch["reference_T"].clone().requires_grad_()
        objective.loss(logp, batch, 1.0)[0].backward()
        assert logp.grad.tolist() == pytest.approx([-1.0, *[-long] * 4])


def test_group_scaling_is_what_its_name_says() -> None:
    scores = {"a": [score(0.5), score(-0.5), score(None)], "b": [score(0.05), score(-0.05)], "c": [score(0.0)]}
    assert scaled_scores(scores, "none") == scores
    group = scaled_scores(scores, "group")
    assert group["a"][0].advantage == pytest.approx(0.5 / (math.sqrt(0.5) + EPSILON))
    assert group["b"][0].advantage == pytest.approx(group["a"][0].advantage, rel=0.01)
    assert group["a"][2].advantage is None and group["c"][0].advantage == 0
    batch = scaled_scores(scores, "batch")
    assert batch["a"][0].advantage == pytest.approx(10 * batch["b"][0].advantage)
    with pytest.raises(InputError, match="confidence: false"):
        make_recipe({"objective": "grpo", "scale_rewards": "group"})
    assert make_recipe({"objective": "grpo", "scale_rewards": "group", "confidence": False}).loss() == Grpo(
        scale="group"
    )


# ---- pairs


def pairs_of(tiny_model: Path, objective: Dpo, room: int = 128) -> tuple[list[Row], dict[str, int]]:
    _, tokenizer = load(tiny_model)
    pool = [prompt("p", "q"), prompt("quiet", "q")]
    answers = [("x", [9, 9, END], 0.5)] * 2 + [("X", [9, 8, END], 0.5), ("y", [7, END], -0.3), ("z", [6, END], -0.4)]
    group = [sample("p", at, text, ids) for at, (text, ids, _) in enumerate(answers)]
    scores = [score(advantage) for _, _, advantage in answers]
    scored = ScoredRound(pool, {"p": group, "quiet": [sample("quiet", 0, "1")]}, {"p": scores, "quiet": [score(None)]})
    return objective.rows(scored, tokenizer, frozenset({END}), room)


def test_pairs_vary_both_sides_and_are_capped_per_prompt(tiny_model: Path) -> None:
    [row], skipped = pairs_of(tiny_model, Dpo(per_prompt=2))
    assert [branch.ids[:-1] for branch in row.branches] == [(9, 9), (7,), (9, 8), (6,)]
    assert row.pairs == (Pair(0, 1, 0.8), Pair(2, 3, 0.9))
    assert skipped == {"abstained": 1}
    [row], _ = pairs_of(tiny_model, Dpo(per_prompt=9))
    assert len(row.branches) == 4 and len(set(row.pairs)) == 4
    [row], skipped = pairs_of(tiny_model, Dpo(per_prompt=1))
    assert len(row.pairs) == 1 and skipped == {"abstained": 1, "unpaired": 2}


def test_a_pair_is_never_torn_apart(tiny_model: Path) -> None:
    [whole], _ = pairs_of(tiny_model, Dpo())
    rows, _ = pairs_of(tiny_model, Dpo(), room=len(whole.prompt) + 3)
    assert len(rows) > 1 and all(row.length <= len(whole.prompt) + 3 for row in rows)

    def named(row: Row) -> list[tuple[Any, ...]]:
        return [(row.branches[p.winner].ids, row.branches[p.loser].ids, p.margin) for p in row.pairs]

    assert [pair for row in rows for pair in named(row)] == named(whole)
    with pytest.raises(InputError, match=r"prompt p.*max_row_tok"):
        pairs_of(tiny_model, Dpo(), room=len(whole.prompt) + 1)


# ---- TRL as the oracle


def test_dpo_is_trls_dpo(tiny_model: Path, tmp_path: Path) -> None:
    """Two full-batch steps of `DPOTrainer` and of ours end in the same weights, for both of its losses."""
    import torch
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    chats, pool, samples, scores = [], [], {}, {}
    for at in range(4):
        asked, won, lost = "q" * (at + 1), "a" * (at + 2), "bcd"[: at % 3 + 1]
        pool.append(prompt(f"p{at}", asked))
        # Sampled in another form, so that the tokens are those of the chat template, as TRL's are.
        samples[f"p{at}"] = [sample(f"p{at}", i, text, text="?" + text) for i, text in enumerate((won, lost))]
        scores[f"p{at}"] = [score(0.5), score(-0.5)]
        chats.append(
            {
                "prompt": [{"role": "user", "content": asked}],
                "chosen": [{"role": "assistant", "content": won}],
                "rejected": [{"role": "assistant", "content": lost}],
            }
        )
    optim = Optim(learning_rate=1e-3, batch_size=4, epochs=2, max_row_tok=128, precision="fp32")
    for theirs, by_length in (("sigmoid", False), ("sigmoid_norm", True)):
        objective = Dpo(beta=0.7, margin="none", by_length=by_length)
        out = tmp_path / theirs
        ours = train_offline(tiny_model, ScoredRound(pool, samples, scores), objective, optim, out, seed=0)
        model, tokenizer = load(tiny_model)
        args = DPOConfig(
            output_dir=str(tmp_path / "trl"),
            loss_type=[theirs],
            beta=0.7,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            per_device_train_batch_size=4,
            num_train_epochs=2,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        trainer = DPOTrainer(model=model, args=args, train_dataset=Dataset.from_list(chats), processing_class=tokenizer)
        trainer.train()
        logged = [entry for entry in trainer.state.log_history if "loss" in entry]
        assert logged[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
        assert ours.metrics["loss"] == pytest.approx(sum(e["loss"] for e in logged) / 2, abs=1e-4)
        assert ours.metrics["grad_norm"] == pytest.approx(sum(e["grad_norm"] for e in logged) / 2, rel=1e-3)
        mine, start = load(out)[0].state_dict(), load(tiny_model)[0].state_dict()
        for name, value in trainer.model.state_dict().items():
            assert torch.allclose(mine[name], value, atol=2e-4), name
        assert any((mine[name] - start[name]).abs().max() > 1e-3 for name in mine)


@pytest.fixture(scope="module")
def grpo_trainer(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Makes TRL's trainer for a loss type, never to generate, only to be asked for its loss."""

    def make(loss_type: str) -> Any:
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        args = GRPOConfig(
            output_dir=str(tmp_path_factory.mktemp("grpo")),
            loss_type=loss_type,
            epsilon=0.2,
            epsilon_high=0.28,
            beta=0.0,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
        )
        trainer = GRPOTrainer(
            model=str(tiny_model),
            reward_funcs=lambda completions, **kwargs: [0.0] * len(completions),
            args=args,
            train_dataset=Dataset.from_list([{"prompt": "q"}] * 4),
        )
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()
        return trainer

    return make


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo"])
def test_grpo_is_trls_grpo(grpo_trainer: Callable[[str], Any], loss_type: str) -> None:
    """Loss and gradient of a stale batch, where some ratios are clipped, are those of `GRPOTrainer`."""
    import torch

    trainer = grpo_trainer(loss_type)
    model = trainer.model
    head, advantages = [2, 40, 41, 3], [0.7, -0.3, -0.9, 0.5]
    answers = [[50, 51, END], [60, END], [70, 71, 72, 73, END], [END]]
    row = {"prompt": head, "branches": answers, "advantages": advantages, "weights": [1.0] * 4}
    generator = torch.Generator().manual_seed(3)
    tokens = sum(map(len, answers))
    batch = collator(0)([{**row, "reference": [0.0] * tokens}])
    logp = answer_logps(model, batch)
    batch["reference_T"] = logp.detach() + 0.4 * torch.randn(tokens, generator=generator)
    objective: Objective = Grpo() if loss_type == "grpo" else Clipped()
    loss, figures = objective.loss(logp, batch, 8.0)
    assert 0 < figures["clip_fraction"][0] < tokens
    mine = torch.autograd.grad(loss / 4, list(model.parameters()))

    width = max(map(len, answers))
    stale = batch["reference_T"].split([len(answer) for answer in answers])

    def padded(rows: Sequence[Any], fill: float) -> Any:
        return torch.tensor([[*map(float, row), *[fill] * (width - len(row))] for row in rows])

    theirs = trainer._compute_loss(
        model,
        {
            "prompt_ids": torch.tensor([head] * 4),
            "prompt_mask": torch.ones(4, len(head), dtype=torch.long),
            "completion_ids": padded(answers, 0).long(),
            "completion_mask": padded([[1] * len(answer) for answer in answers], 0).long(),
            "advantages": torch.tensor(advantages),
            "old_per_token_logps": padded([values.tolist() for values in stale], 0),
            "num_items_in_batch": torch.tensor(float(tokens)),
        },
    )
    assert (loss / 4).item() == pytest.approx(theirs.item(), abs=1e-5)
    for a, b in zip(mine, torch.autograd.grad(theirs, list(model.parameters())), strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-3)


# ---- learning


@pytest.fixture(scope="module")
def toy_pool() -> list[Prompt]:
    from tao_bench.registry import load_task

    return load_task("toy_task", [toy.TASK]).pool()


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        *((name, {}) for name in NAMES),
        ("grpo", {"scale_rewards": "group", "confidence": False}),
        ("dpo", {"margin": "offset"}),
        ("clipped", {"lora": {"r": 8}, "learning_rate": 1e-2}),
    ],
)
def test_every_objective_teaches_the_toy_task(
    taught_model: Path, toy_pool: list[Prompt], tmp_path: Path, objective: str, more: dict[str, Any]
) -> None:
    """One round of two steps must raise the votes' reward of the next round's samples; a wrong sign lowers it."""
    from tao.answers.interpreter import NumberInterpreter
    from tao.loop import tune

    if "lora" in more:
        pytest.importorskip("peft", reason="needs the lora extra")
    fields = {
        "objective": objective,
        "rounds": 2,
        "max_prompt_tok": 64,
        "max_new_tok": 6,
        "learning_rate": 2e-3,
        "batch_size": 8,
        "max_row_tok": 128,
        "watch": False,
        **more,
    }
    interpreter: Interpreter = NumberInterpreter()
    before, after = tune(taught_model, toy_pool, interpreter, make_recipe(fields), tmp_path, seed=0).rounds
    assert after.stats.mean_reward > before.stats.mean_reward + 0.1
    assert after.stats.run_rate > before.stats.run_rate


@pytest.mark.parametrize("name", ["grpo", "dpo"])
def test_same_inputs_same_bits(tiny_model: Path, tmp_path: Path, name: str) -> None:
    for out in "ab":
        report = train_offline(tiny_model, random_round(6, 5), EVERY[name], FP32, tmp_path / out, seed=0)
    assert report.steps == 2 and report.metrics["kl"] > 0
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b") != weights_of(tiny_model)


def test_dpo_trains_pairs_and_charges_what_is_behind_them(tiny_model: Path, tmp_path: Path) -> None:
    _, tokenizer = load(tiny_model)
    scored = random_round(6, 5)
    rows, skipped = Dpo(per_prompt=2).rows(scored, tokenizer, frozenset({END}), 128)
    report = train_offline(tiny_model, scored, Dpo(per_prompt=2), FP32, tmp_path / "out", seed=0)
    assert report.rows == len(rows) and report.skipped == skipped
    assert report.trained.head_tok == sum(row.head_tok for row in rows)
    assert set(columns(rows[0])) >= {"winners", "losers", "margins"}


def test_help_and_recipe_name_the_same_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    from tao.cli import main
    from tao.recipe import Recipe

    assert list(ABOUT) == list(NAMES)
    with pytest.raises(SystemExit):
        main(["tune", "--help"])
    shown = capsys.readouterr().out
    for name in NAMES:
        assert f"\n  {name} " in shown
        made = Recipe(objective=name).loss()
        assert (made is None) == (name == "rft")
        assert made is None or type(made).__name__.lower() == name
