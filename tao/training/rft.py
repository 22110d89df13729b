"""Rejection-sampling fine-tuning: supervised training on a round's own winners (RAFT, arXiv 2504.11343).

The positive-only control of every comparison: the same votes, no negatives, no bounded step.
"""

from __future__ import annotations

from pathlib import Path

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.settings import Optim, Progress, TrainReport
from tao.training.sft import Example, train_sft


def winners(
    scored: ScoredRound,
    per_prompt: int,
) -> list[Example]:
    """Pseudo-labelled answers as examples on the *deployment* prompt, whatever view produced them.

    Equal answers of a prompt count once; the most frequent come first (ties: first sampled).

    Args:
        scored: The round.
        per_prompt: Different answers kept per prompt.
    """
    examples = []
    for prompt in scored.prompts:
        counts: dict[str, int] = {}
        for sample, score in zip(scored.samples[prompt.id], scored.scores[prompt.id], strict=True):
            if score.pseudo_label and sample.answer is not None:
                counts[sample.answer] = counts.get(sample.answer, 0) + 1
        kept = sorted(counts, key=lambda answer: -counts[answer])[:per_prompt]
        examples += [Example(f"{prompt.id}#{at}", prompt.messages, answer) for at, answer in enumerate(kept)]
    return examples


def train_rft(
    model_dir: Path,
    scored: ScoredRound,
    optim: Optim,
    out: Path,
    *,
    seed: int,
    per_prompt: int = 1,
    progress: Progress | None = None,
) -> TrainReport:
    """Fine-tune on the winners of a scored round. Arguments as in `winners` and `train_sft`.

    Raises:
        InputError: No prompt has a trusted vote.
    """
    examples = winners(scored, per_prompt)
    if not examples:
        raise InputError("no prompt has a trusted vote, so there is nothing to train on", str(out))
    return train_sft(model_dir, examples, optim, out, seed=seed, progress=progress)
