"""Train a reward model without labels: TRL's RewardTrainer on answers that won a vote against answers that lost it.

Pairs come from finished runs on *other* tasks (DBRM was kept away from the tasks it scored); the checkpoint remembers
its prompts and refuses to score them (`tao.scoring.reward_model`).
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tao.compute import Entry, Ledger, ModelShape
from tao.errors import InputError
from tao.prompts import Message, Prompt, read_jsonl, read_prompts
from tao.sampling.samples import read_samples
from tao.scoring.reward_model import TRAINED_ON, asked, score_head_flop
from tao.training.settings import Work


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt; the vote preferred the first."""

    prompt: Prompt
    chosen: str
    rejected: str


def pairs_of_run(run: Path, per_prompt: int, rng: Random, prompts: Path | None = None) -> list[Pair]:
    """Pairs of all rounds of a run: an elected answer against one that earned less.

    Args:
        run: The ``--out`` folder of ``tao tune``, or the ``tune`` folder of a cell of ``tao-bench run``.
        per_prompt: Most pairs of one prompt and round.
        rng: Chooses among them.
        prompts: The pool where the run kept none. A prompt of a mixture (``PART/ID``) is found by its ID.

    Raises:
        InputError: No such folder, no finished round or pool in it, or a prompt that the pool lacks.
    """
    if not run.is_dir():
        raise InputError("no such run", str(run), "give the --out folder of 'tao tune'")
    path = run / "pool.jsonl"
    if not path.is_file():
        if prompts is None:
            raise InputError("no run that kept its pool", str(run), "name its prompts with --prompts")
        path = prompts
    pool = {prompt.id: prompt for prompt in read_prompts(path)}
    found: list[Pair] = []
    folders = sorted(run.glob("round-*/scores.done"), key=lambda path: int(path.parent.name.partition("-")[2]))
    for done in folders:
        samples = read_samples(done.with_name("samples.jsonl"))
        scores: dict[str, dict[int, Any]] = {}
        for _, row in read_jsonl(done.with_name("scores.jsonl")):
            scores.setdefault(row["prompt_id"], {})[row["index"]] = row
        for name, group in samples.items():
            asked_here = pool.get(name) or pool.get(name.partition("/")[2])
            if asked_here is None:
                raise InputError(f"no prompt {name!r}, which {done.parent} sampled", str(path), "name that run's pool")
            answers = {s.answer: scores[name][s.index] for s in group if s.answer is not None}
            won = [answer for answer, row in answers.items() if row["pseudo_label"]]
            lost = [a for a, row in answers.items() if not row["pseudo_label"] and row["reward"] is not None]
            made = [Pair(asked_here, good, bad) for good in won for bad in lost]
            found.extend(rng.sample(made, min(per_prompt, len(made))))
    if not folders:
        raise InputError("no finished round here", str(run), "let 'tao tune' end first")
    return found


def train_reward_model(
    model: Path,
    pairs: Sequence[Pair],
    out: Path,
    *,
    learning_rate: float = 1e-4,
    epochs: int = 1,
    batch_size: int = 16,
    max_tok: int = 1024,
    seed: int = 0,
) -> dict[str, float]:
    """Train a sequence-classification model of one output on preferences (Bradley-Terry loss).

    Args:
        model: Checkpoint whose body it starts from; the head is new.
        pairs: What to prefer to what.
        out: Folder of the new checkpoint.
        learning_rate: Of AdamW.
        epochs: Passes over the pairs.
        batch_size: Pairs a step.
        max_tok: Pairs with a longer conversation are left out.
        seed: Of the head and of the order.

    Returns:
        Pairs used and left out, and the loss and accuracy of the last logged step. What it cost stands in
        ``ledger.jsonl`` beside the weights.

    Raises:
        InputError: No pairs, an unusable model, or `out` holds files.
    """
    if not pairs:
        raise InputError("no pairs: no prompt has both a winner and a loser", str(out), "name more or longer runs")
    if out.exists() and any(out.iterdir()):
        raise InputError("is there already", str(out), "name another folder")
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    from tao.training.engine import isolated

    with isolated(), tempfile.TemporaryDirectory() as scratch:
        torch.manual_seed(seed)
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
            network = AutoModelForSequenceClassification.from_pretrained(
                model, num_labels=1, dtype=torch.float32, local_files_only=True
            )
        except (OSError, ValueError) as error:
            raise InputError(f"no usable model ({error})", str(model)) from error
        if tokenizer.chat_template is None:
            raise InputError("the tokenizer has no chat template", str(model))
        network.config.pad_token_id = tokenizer.pad_token_id
        fit = [pair for pair in pairs if max(_tok(tokenizer, pair, a) for a in (pair.chosen, pair.rejected)) <= max_tok]
        if not fit:
            raise InputError(f"every pair is longer than {max_tok} tokens", str(out), "raise --max-tok")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
            config = RewardConfig(
                output_dir=scratch,
                learning_rate=learning_rate,
                num_train_epochs=epochs,
                per_device_train_batch_size=min(batch_size, len(fit)),
                max_length=None,
                seed=seed,
                use_cpu=not torch.cuda.is_available(),
                bf16=False,
                gradient_checkpointing=False,
                disable_tqdm=True,
                logging_steps=1,
                report_to="none",
                save_strategy="no",
                dataloader_pin_memory=False,
            )
        rows = [{"chosen": _chat(p.prompt, p.chosen), "rejected": _chat(p.prompt, p.rejected)} for p in fit]
        trainer = RewardTrainer(
            model=network, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
        )
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ == "PrinterCallback":
                trainer.remove_callback(callback)
        trainer.data_collator, cost = _counting(trainer.data_collator, ModelShape.from_config(model))
        trainer.train()
        logged = [row for row in trainer.state.log_history if "loss" in row]
        out.mkdir(parents=True, exist_ok=True)
        network.save_pretrained(out)
        tokenizer.save_pretrained(out)
    Ledger(out / "ledger.jsonl").charge(cost())
    prompts = sorted({asked(pair.prompt) for pair in fit})
    (out / TRAINED_ON).write_text(json.dumps({"prompts": prompts}) + "\n", encoding="utf-8")
    last = logged[-1] if logged else {}
    accuracy = next((value for name, value in last.items() if name.endswith("accuracy")), float("nan"))
    return {
        "pairs": float(len(fit)),
        "left_out": float(len(pairs) - len(fit)),
        "loss": float(last.get("loss", float("nan"))),
        "accuracy": float(accuracy),
    }


def _counting(collate: Callable[[Any], Any], shape: ModelShape) -> tuple[Callable[[Any], Any], Callable[[], Entry]]:
    """A collator that notes the sizes of its batches, and what training on those it made costs.

    Forward and backward take three forward passes each, without a vocabulary head; going backward a flash kernel
    computes attention scores once more (device only). The one output is needed at the last token, executed at all.
    """
    needed, executed = Work(), Work()

    def counted(rows: Any) -> Any:
        nonlocal needed, executed
        batch = collate(rows)
        count, length = batch["input_ids"].shape
        executed = executed.plus(length, 0, count)
        for size in batch["attention_mask"].sum(1).tolist():
            needed = needed.plus(int(size), 1)
        return batch

    def layers(work: Work) -> int:
        return work.seq_tok * 2 * shape.matrix_params + shape.attention_flop * work.seq_tok_sq

    def cost() -> Entry:
        again = shape.attention_flop * executed.seq_tok_sq // 2
        return Entry(
            "train",
            0,
            "reward_model",
            model_flop=3 * (layers(needed) + score_head_flop(shape, needed.head_tok)),
            device_flop=3 * (layers(executed) + score_head_flop(shape, executed.seq_tok)) + again,
            train_tok=needed.seq_tok,
        )

    return counted, cost


def _chat(prompt: Prompt, answer: str) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in (*prompt.messages, Message("assistant", answer))]


def _tok(tokenizer: Any, pair: Pair, answer: str) -> int:
    text = tokenizer.apply_chat_template(_chat(pair.prompt, answer), tokenize=False)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def all_pairs(runs: Iterable[Path], per_prompt: int, seed: int, prompts: Path | None = None) -> list[Pair]:
    """Pairs of several runs, in the order given; `prompts` as for `pairs_of_run`."""
    rng = Random(seed)
    return [pair for run in runs for pair in pairs_of_run(run, per_prompt, rng, prompts)]
