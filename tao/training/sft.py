"""Supervised fine-tuning: TRL's stock `SFTTrainer` on (prompt, target) examples, loss on the target only."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import Message
from tao.scoring.score import ScoredRound
from tao.training import launch, ranks
from tao.training.drift import KlCap, watch
from tao.training.engine import BLANK, Diverged, arguments, isolated, load, order, run, save
from tao.training.lora import attach, merged
from tao.training.settings import Optim, Progress, TrainReport, Work, bucket
from tao.training.tokens import answer_ids, prompt_ids, stop_ids

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One supervised example: deployment prompt and the text the model should answer."""

    id: str
    messages: tuple[Message, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as token ids; the last `answer_tok` of them carry loss (end of text included)."""

    ids: tuple[int, ...]
    answer_tok: int

    @property
    def labels(self) -> list[int]:
        """Token ids to learn, -100 on the prompt."""
        prompt_tok = len(self.ids) - self.answer_tok
        return [IGNORED] * prompt_tok + list(self.ids[prompt_tok:])


def encode(examples: Sequence[Example], tokenizer: Any, stop: frozenset[int], max_row_tok: int) -> list[Encoded]:
    """Tokenise examples through the chat template.

    Raises:
        InputError: An example is longer than `max_row_tok` (TRL would cut or drop it without a word).
    """
    rows = []
    for example in examples:
        prompt = prompt_ids(tokenizer, example.messages)
        answer = answer_ids(tokenizer, example.messages, example.target, stop)
        if len(prompt) + len(answer) > max_row_tok:
            raise InputError(
                f"{len(prompt) + len(answer)} tokens, more than max_row_tok={max_row_tok}",
                f"example {example.id}",
                "raise max_row_tok or leave the example out",
            )
        rows.append(Encoded((*prompt, *answer), len(answer)))
    return rows


def collator(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Right-pads a micro-batch to a bucketed length: ids, labels and mask of shape (rows, length)."""
    import torch

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        length = bucket(max(len(row["input_ids"]) for row in rows))
        ids = torch.full((len(rows), length), pad)
        labels = torch.full((len(rows), length), IGNORED)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for at, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[at, :size] = torch.tensor(row["input_ids"])
            labels[at, :size] = torch.tensor(row["labels"])
            mask[at, :size] = 1
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}

    return collate


def _padded(lengths: Sequence[int], sequence: Sequence[int], micro_rows: int, batch_size: int) -> Work:
    """Forward work as executed; the stock trainer sends all positions but the last to the vocabulary."""
    work = Work()
    for step in range(0, len(sequence), batch_size):
        rows = sequence[step : step + batch_size]
        for at in range(0, len(rows), micro_rows):
            micro = rows[at : at + micro_rows]
            length = bucket(max(lengths[row] for row in micro))
            work = work.plus(length, length - 1, len(micro))
    return work


def train_sft(
    model_dir: Path,
    examples: Sequence[Example],
    optim: Optim,
    out: Path,
    *,
    seed: int,
    cap: KlCap | None = None,
    watched: ScoredRound | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Fine-tune a model on labelled (or pseudo-labelled) examples.

    Same inputs give bit-identical weights on one machine.

    Args:
        model_dir: Checkpoint to start from.
        examples: What to learn; every one is used in every epoch.
        optim: Optimiser settings.
        out: Folder of the new checkpoint (float32, adapters merged).
        seed: Order of the examples, and the adapters' first weights.
        cap: End training early where the model has drifted too far from the cap's base.
        watched: The round on whose samples the drift is measured.
        progress: See `tao.training.settings.Progress`.

    Raises:
        InputError: No examples, an example too long, or an unusable model folder.
        Diverged: The loss stopped being a number; nothing was written.
    """
    from datasets import Dataset
    from trl import SFTTrainer

    if not examples:
        raise InputError("no examples to train on", str(out))
    if optim.processes and not launch.inside():
        given = {"model_dir": model_dir, "examples": list(examples), "seed": seed, "cap": cap, "watched": watched}
        return launch.run("sft", optim, out, progress, **given)
    with isolated(), tempfile.TemporaryDirectory() as scratch:
        model, tokenizer = load(model_dir, optim.weights)
        stop = stop_ids(tokenizer, model.generation_config)
        rows = encode(examples, tokenizer, stop, optim.max_row_tok)
        lengths = [len(row.ids) for row in rows]
        micro_rows = optim.micro_rows(bucket(max(lengths)))
        sequence = order(lengths, optim, seed, micro_rows)
        shortest = min(range(len(rows)), key=lengths.__getitem__)
        places = [at if at != BLANK else shortest for at in sequence]
        labels = [rows[at].labels if at != BLANK else [IGNORED] * lengths[shortest] for at in sequence]
        if optim.lora:
            model = attach(model, optim.lora, seed)
        trainer = SFTTrainer(
            model=model,
            args=arguments(optim, micro_rows, seed, Path(scratch)),
            train_dataset=Dataset.from_dict(
                {
                    "input_ids": [list(rows[at].ids) for at in places],
                    "labels": labels,
                }
            ),
            data_collator=collator(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0),
            processing_class=tokenizer,
        )
        if len(trainer.train_dataset) != len(sequence):
            raise RuntimeError(f"TRL kept {len(trainer.train_dataset)} of {len(sequence)} rows")
        guard = watch(trainer, cap, watched, tokenizer=tokenizer, stop=stop, optim=optim)

        def report(steps: int, metrics: Mapping[str, float]) -> TrainReport:
            done = sequence[: steps * optim.batch_size]
            work = Work()
            for at in done:
                if at != BLANK:
                    work = work.plus(lengths[at], lengths[at] - 1)
            padded = _padded(lengths, places[: len(done)], micro_rows, optim.batch_size)
            return TrainReport(
                checkpoint=out,
                rows=len(rows),
                steps=steps,
                samples=len(examples),
                trained=work,
                trained_padded=padded,
                head_again_tok=padded.head_tok,
                probe=guard.work,
                probe_padded=guard.padded,
                lora=optim.lora,
                checkpointing=optim.checkpointing,
                stopped=guard.stopped,
                metrics={**metrics, **guard.metrics},
            )

        try:
            steps, metrics = run(trainer, progress)
        except Diverged as error:
            error.report = report(error.steps, {})
            raise
        if optim.world == 1:
            save(merged(model), tokenizer, out)
        else:
            ranks.save_trained(trainer, tokenizer, optim, out, start=model_dir, seed=seed)
        return report(steps, metrics)
