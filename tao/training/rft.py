"""Rejection-sampling fine-tuning: supervised training on the votes' own winners (RAFT, arXiv 2504.11343).

From the round-start model on a round's winners, or from the run's first model on the winners of all rounds so far
(ReST-EM, arXiv 2312.06585, section 3: less drift, and no round's winners are forgotten).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tao.errors import InputError
from tao.scoring.score import ScoredRound
from tao.training.drift import KlCap
from tao.training.settings import Optim, Progress, TrainReport
from tao.training.sft import Example, train_sft


def winners(rounds: Sequence[ScoredRound], per_prompt: int) -> list[Example]:
    """Pseudo-labelled answers as examples on the *deployment* prompt, whatever view produced them.

    Equal answers of a prompt count once; the most frequent come first (ties: first sampled). Where several rounds
    elected an answer to a prompt, the latest did it with the best model.

    Args:
        rounds: Scored rounds, oldest first.
        per_prompt: Different answers kept per prompt.
    """
    latest: dict[str, list[Example]] = {}
    for scored in rounds:
        for name, examples in _of_round(scored, per_prompt).items():
            latest[name] = examples
    return [example for examples in latest.values() for example in examples]


def _of_round(scored: ScoredRound, per_prompt: int) -> dict[str, list[Example]]:
    """Winners of one round by prompt, in pool order; prompts without a trusted vote are left out."""
    found = {}
    for prompt in scored.prompts:
        counts: dict[str, int] = {}
        for sample, score in zip(scored.samples[prompt.id], scored.scores[prompt.id], strict=True):
            if score.pseudo_label and sample.answer is not None:
                counts[sample.answer] = counts.get(sample.answer, 0) + 1
        kept = sorted(counts, key=lambda answer: -counts[answer])[:per_prompt]
        if kept:
            found[prompt.id] = [Example(f"{prompt.id}#{at}", prompt.messages, answer) for at, answer in enumerate(kept)]
    return found


def train_rft(
    model_dir: Path,
    rounds: Sequence[ScoredRound],
    optim: Optim,
    out: Path,
    *,
    seed: int,
    per_prompt: int = 1,
    cap: KlCap | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Fine-tune on the winners of scored rounds. Arguments as in `winners` and `train_sft`.

    Drift is measured on the samples of the last round.

    Raises:
        InputError: No prompt has a trusted vote.
        Diverged: See `train_sft`.
    """
    examples = winners(rounds, per_prompt)
    if not examples:
        raise InputError("no prompt has a trusted vote, so there is nothing to train on", str(out))
    return train_sft(
        model_dir, examples, optim, out, seed=seed, cap=cap, watched=rounds[-1] if rounds else None, progress=progress
    )
