"""Scored samples as other trainers read them: chat examples, preference pairs, groups with rewards.

What ours would not train on is left out: prompts that abstain, samples that could not be judged. All prompts and
answers are chat messages, which TRL's trainers and most others take as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tao.prompts import Prompt
from tao.scoring.score import ScoredRound
from tao.stage import write_atomic
from tao.training.rft import winners

KINDS = ("sft", "pairs", "groups")
Rows = Iterator[dict[str, Any]]


def export(scored: ScoredRound, kind: str, out: Path, *, per_prompt: int = 1, pairs: int = 4) -> int:
    """Write scored samples for another trainer.

    Args:
        scored: The samples.
        kind: ``sft``: ``{"messages": [...]}``, the winners of every trusted vote; ``pairs``: ``{"prompt", "chosen",
            "rejected", "chosen_reward", "rejected_reward"}``; ``groups``: ``{"prompt_id", "prompt", "responses",
            "rewards"}``, which `tao train` reads too.
        out: The JSONL file.
        per_prompt: Different winners a prompt (``sft``).
        pairs: Most pairs a prompt (``pairs``).

    Returns:
        Rows written.
    """
    made = {
        "sft": lambda: _examples(scored, per_prompt),
        "pairs": lambda: _pairs(scored, pairs),
        "groups": lambda: _groups(scored),
    }
    rows = list(made[kind]())
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)


def _chat(prompt: Prompt) -> list[dict[str, str]]:
    return [asdict(message) for message in prompt.messages]


def _said(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


def _examples(scored: ScoredRound, per_prompt: int) -> Rows:
    for example in winners([scored], per_prompt):
        yield {"messages": [*(asdict(message) for message in example.messages), *_said(example.target)]}


def _rewarded(scored: ScoredRound, prompt: Prompt) -> list[tuple[str, float]]:
    """Answers with their rewards, of the samples that training would use."""
    both = zip(scored.samples[prompt.id], scored.scores[prompt.id], strict=True)
    return [(str(s.answer), c.reward) for s, c in both if c.advantage is not None and c.reward is not None]


def _pairs(scored: ScoredRound, most: int) -> Rows:
    """A prompt's best answers against its others, each loser once before any comes twice."""
    for prompt in scored.prompts:
        earned = dict(_rewarded(scored, prompt))
        best = max(earned.values(), default=0.0)
        won = [answer for answer, reward in earned.items() if reward == best]
        lost = [answer for answer, reward in earned.items() if reward < best]
        made = [(won[(at + turn) % len(won)], loser) for turn in range(len(won)) for at, loser in enumerate(lost)]
        for chosen, rejected in made[:most]:
            yield {
                "prompt": _chat(prompt),
                "chosen": _said(chosen),
                "rejected": _said(rejected),
                "chosen_reward": best,
                "rejected_reward": earned[rejected],
            }


def _groups(scored: ScoredRound) -> Rows:
    for prompt in scored.prompts:
        rewarded = _rewarded(scored, prompt)
        if rewarded:
            yield {
                "prompt_id": prompt.id,
                "prompt": _chat(prompt),
                "responses": [answer for answer, _ in rewarded],
                "rewards": [reward for _, reward in rewarded],
            }
