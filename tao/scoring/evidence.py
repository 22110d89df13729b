"""Is the label-free evidence of a round thick enough to train on? Warnings, and a rule to refuse.

Votes are only worth what stands behind them. The limits come from the rounds of this project's published experiments
(``results/*/rounds.jsonl``, first rounds) and what tuning on them gave on test:

- where 39 to 53 % of the answers worked and 42 to 65 % of the prompts had a trusted vote (``scaling``,
  ``scaling_filings``), tuning gained; where 18 to 24 % worked and 7 to 21 % were trusted (``geoquery``,
  ``geoquery_cv``), it gained nothing (-2.1 points [-5.6, +1.5]). The warnings lie between the two;
- winners with 6 or more of 16 samples were right on 93 to 95 %, with fewer on 60 to 73 % (``results/LOG.md``,
  ``warehouse_sql@2``): hence 0.375 of all samples for the mean support of the winners;
- refused is what no published first round came near (least: 18 % working, 7 % trusted): there almost every prompt
  abstains, and what is left is too little to move a model by anything but accident.

The limits of `answer_rate` and of one meaning everywhere are set by hand: no published round came near them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tao.meaning import Outcome
from tao.scoring.combine import Score, Source
from tao.scoring.score import ScoredRound
from tao.scoring.signals import Served, Weighed
from tao.scoring.stats import RoundStats

Level = Literal["warn", "refuse"]
Rule = Literal["refuse", "warn", "ignore"]
"""What a run does about thin evidence: end the round untrained, only say so, or not even that."""

WARN: Final = {"answer_rate": 0.5, "run_rate": 0.3, "trusted": 0.25, "support": 0.375}
"""Shares below which a round's evidence is called thin."""
REFUSE: Final = {"answer_rate": 0.05, "run_rate": 0.03, "trusted": 0.03}
"""Shares below which a round is not trained on."""
ONE_MEANING: Final = (1.02, 0.9)
"""Mean meanings a prompt below which, together with a share of silent prompts above which, nothing is to be learned."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is thin about a round's evidence.

    Attributes:
        name: What was looked at.
        level: ``refuse`` where training on it is refused, unless the recipe says ``thin_evidence: warn``.
        message: The figure, its limit, and what to do.
    """

    name: str
    level: Level
    message: str


def thin_evidence(
    stats: RoundStats, *, source: Source = "consensus", support: float | None = None, shortfalls: Sequence[str] = ()
) -> list[Finding]:
    """What speaks against training on a round, without labels.

    Args:
        stats: The round's figures.
        source: Where its rewards come from: one that leaves the vote aside is not measured by votes, and ``random``,
            ``format`` and ``self_certainty`` not by what works.
        support: Mean share of all a prompt's samples that its winner has, over the prompts with a trusted vote
            (`winner_support`); None to leave it out.
        shortfalls: What further signals could not judge, in words.

    Returns:
        Findings in a fixed order; empty where the evidence is thick enough.
    """
    found: list[Finding | None] = [
        _share("answer_rate", stats.answer_rate, "samples give an answer", "raise max_new_tok, or leave plan out")
    ]
    if source in ("consensus", "execution"):
        found.append(
            _share("run_rate", stats.run_rate, "answers work", "tune a model that answers such prompts more often")
        )
    if source == "consensus":
        fix = "draw more samples, add views to `mix`, or start from a model that agrees with itself more often"
        found.append(_share("trusted", stats.trusted, "prompts have a trusted vote", fix))
        if support is not None and stats.trusted:
            found.append(_share("support", support, "samples stand behind a winner", "raise `support` or `samples`"))
        clusters, silent = ONE_MEANING
        if stats.trusted >= WARN["trusted"] and stats.mean_clusters < clusters and stats.abstained > silent:
            message = (
                f"{stats.mean_clusters:.2f} meanings a prompt and {stats.abstained:.0%} of the prompts silent: the "
                "samples agree already; take harder prompts, a higher temperature or more views"
            )
            found.append(Finding("one_meaning", "warn", message))
    found += [Finding("signal", "warn", f"the judge abstained: {what}") for what in shortfalls]
    return [one for one in found if one is not None]


def round_evidence(
    scored: ScoredRound, rule: Rule, source: Source = "consensus", signals: Sequence[Weighed] = ()
) -> tuple[Finding, ...]:
    """What is thin about a scored round, as a recipe wants it treated.

    Args:
        scored: The round.
        rule: See `Rule`; with ``warn`` no finding has the level ``refuse``.
        source: Where its rewards come from.
        signals: Its further signals, asked what they could not judge.
    """
    if rule == "ignore":
        return ()
    short = [what for one in signals if isinstance(one.signal, Served) for what in one.signal.shortfalls()]
    support = winner_support(scored.scores)
    found = thin_evidence(scored.stats(), source=source, support=support, shortfalls=short)
    return tuple(found if rule == "refuse" else (replace(finding, level="warn") for finding in found))


def voted(scores: Mapping[str, Sequence[Score]]) -> bool:
    """Whether scores are those of stage 2, which name meanings and failures, and not somebody's rewards alone.

    Args:
        scores: Prompt id to its scores.
    """
    known = (Outcome.OK, Outcome.UNSCORED)
    return any(score.key is not None or score.outcome not in known for group in scores.values() for score in group)


def _share(name: str, value: float, what: str, fix: str) -> Finding | None:
    if value >= WARN[name]:
        return None
    level: Level = "refuse" if value < REFUSE.get(name, 0.0) else "warn"
    limit = REFUSE[name] if level == "refuse" else WARN[name]
    return Finding(name, level, f"only {value:.1%} of the {what} (limit {limit:.1%}): {fix}")


def winner_support(scores: Mapping[str, Sequence[Score]]) -> float:
    """Mean share of all a prompt's samples that carry the winning meaning, over the prompts with a trusted vote.

    Args:
        scores: Prompt id to its scores.
    """
    shares = [
        sum(score.pseudo_label for score in group) / len(group)
        for group in scores.values()
        if any(score.pseudo_label for score in group)
    ]
    return sum(shares) / len(shares) if shares else 0.0
