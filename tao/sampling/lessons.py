"""What a first pass teaches the second, without labels: failures to repair, and the surest answers as examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao.sampling.strategies import QUESTION_MARK
from tao.scoring.gate import is_vote, refusal
from tao.scoring.mentions import question_of

REPAIRED = 2
"""Different failures per prompt that are shown, each in a view of its own."""
EXEMPLARS = 2
"""Solved questions about the very context of a prompt."""
SIMILAR = 1
"""Solved prompts with another context: they are shown whole, which is long."""
SUPPORT = 0.5
"""Share of a prompt's samples, failed ones included, that the winner needs to serve as an example."""
CANDIDATES = 256
"""The surest winners, among which similar prompts are looked for."""
_MENDABLE = (Outcome.INVALID, Outcome.FAILED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Winner:
    """A prompt whose samples agree, and what they say."""

    prompt: Prompt
    answer: str
    support: float


def failures(samples: Sequence[Sample], readings: Sequence[Reading]) -> tuple[tuple[str, str], ...]:
    """The commonest answers of a prompt that do not work, with their errors; those cut off are none."""
    said: Counter[tuple[str, str]] = Counter()
    for sample, reading in zip(samples, readings, strict=True):
        if refusal(sample) is None and reading.outcome in _MENDABLE and reading.detail:
            said[str(sample.answer), reading.detail] += 1
    return tuple(pair for pair, _ in said.most_common(REPAIRED))


def winner(prompt: Prompt, samples: Sequence[Sample], readings: Sequence[Reading]) -> Winner | None:
    """The prompt as an example for others: None unless at least two samples and `SUPPORT` of them all agree."""
    votes = Counter(str(reading.key) for reading in readings if is_vote(reading))
    if not votes:
        return None
    key, count = votes.most_common(1)[0]
    if count < 2 or count < SUPPORT * len(samples):
        return None
    answer = next(str(s.answer) for s, r in zip(samples, readings, strict=True) if is_vote(r) and r.key == key)
    return Winner(prompt, answer, count / len(samples))


def examples(
    prompts: Sequence[Prompt], winners: Sequence[Winner]
) -> tuple[dict[str, tuple[tuple[str, str], ...]], dict[str, tuple[tuple[str, str], ...]]]:
    """Solved questions for every prompt, the most telling one last.

    Those about the same context come first; only a prompt without any is shown another prompt as a whole, the one
    whose question shares most words with its own (nearest neighbours as examples: arXiv 2101.06804).

    Args:
        prompts: The round's prompts.
        winners: Those among them whose samples agree.

    Returns:
        For `tao.sampling.strategies.Supplies`: `exemplars` and `similar`.
    """
    by_surety = sorted(winners, key=lambda won: -won.support)
    at_home: dict[tuple[tuple[Message, ...], str], list[Winner]] = {}
    for won in by_surety:
        if (home := _home(won.prompt)) is not None:
            at_home.setdefault(home, []).append(won)
    candidates = [(won, _words(won.prompt)) for won in by_surety[:CANDIDATES]]
    same: dict[str, tuple[tuple[str, str], ...]] = {}
    similar: dict[str, tuple[tuple[str, str], ...]] = {}
    for prompt in prompts:
        question = prompt.messages[-1].content
        home = _home(prompt)
        near = [won for won in at_home.get(home, []) if won.prompt.messages[-1].content != question] if home else []
        if near:
            pairs = [(_question(won.prompt), won.answer) for won in near[:EXEMPLARS]]
            same[prompt.id] = tuple(reversed(pairs))
            continue
        words = _words(prompt)
        ranked = sorted(
            ((won, theirs) for won, theirs in candidates if _usable(won.prompt, prompt)),
            key=lambda pair: -len(pair[1] & words) / max(1, len(pair[1] | words)),
        )
        if ranked:
            shown = [(won.prompt.messages[-1].content, won.answer) for won, _ in ranked[:SIMILAR]]
            similar[prompt.id] = tuple(reversed(shown))
    return same, similar


def _usable(candidate: Prompt, prompt: Prompt) -> bool:
    """Whether a prompt can be shown whole before another: the turns before are the same, what is asked is not."""
    return (
        candidate.messages[:-1] == prompt.messages[:-1]
        and candidate.messages[-1].content != prompt.messages[-1].content
    )


def _home(prompt: Prompt) -> tuple[tuple[Message, ...], str] | None:
    """All that stands before the question, where the question has a line of its own."""
    head, mark, _ = prompt.messages[-1].content.rpartition(QUESTION_MARK)
    return (prompt.messages[:-1], head) if mark and head.endswith("\n") else None


def _question(prompt: Prompt) -> str:
    return prompt.messages[-1].content.rpartition(QUESTION_MARK)[2]


def _words(prompt: Prompt) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", question_of(prompt).casefold()))


def without(pairs: Mapping[str, Sequence[tuple[str, str]]], prompt_id: str) -> dict[str, Sequence[tuple[str, str]]]:
    """The same supplies, one pair fewer for a prompt: its first, which is the least telling one."""
    left = dict(pairs)
    if fewer := tuple(left.pop(prompt_id, ()))[1:]:
        left[prompt_id] = fewer
    return left
