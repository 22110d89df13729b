"""What a round's exploring will cost, before anything is sampled: views, tokens and model FLOPs by guesswork and count.

Views are counted exactly where the recipe fixes them, and as if every strategy applied to every prompt, which is the
dearest case: what does not apply is sampled from the deployment prompt instead. Lengths are guesses.
"""

from __future__ import annotations

from dataclasses import dataclass

from tao.compute import ModelShape, decode_flop, forward_flop
from tao.sampling.adaptive import apportion
from tao.sampling.lessons import EXEMPLARS, REPAIRED
from tao.sampling.passes import Exploring
from tao.sampling.rewording import REWORDINGS
from tao.sampling.strategies import REORDERED_VIEWS, parse
from tao.sampling.wording import WORDINGS

CHAR_PER_TOK = 3.0
"""Rough characters a token, for plans only: nothing is tokenised before a run is asked for."""
QUESTION_TOK = 30
"""Assumed length of a question without its context."""
ERROR_TOK = 12
REASONED = 2.0
"""Assumed length of a plan or a chain of thought with its answer, as a multiple of an answer."""
_VIEWS = {"reorder": REORDERED_VIEWS, "reword": REWORDINGS, "repair": REPAIRED}


@dataclass(frozen=True, slots=True)
class Forecast:
    """One prompt's exploring in one round.

    Attributes:
        samples: At most so many.
        views: Request texts, each prefilled once.
        prompt_tok: Tokens of all views.
        completion_tok: Tokens of all samples.
        model_flop: Of the sampling model.
    """

    samples: int
    views: int
    prompt_tok: int
    completion_tok: int
    model_flop: int


def forecast(
    shape: ModelShape, exploring: Exploring, prompt_tok: float, answer_tok: float, *, rewords: bool = True
) -> Forecast:
    """Expected cost of exploring one prompt in one round.

    Args:
        shape: The model.
        exploring: How a round is explored.
        prompt_tok: Tokens of a deployment prompt.
        answer_tok: Tokens of an answer.
        rewords: Whether the sampling model itself rewords questions, where that is asked for.
    """
    counts = apportion(exploring.samples, exploring.shares, 1)
    first = exploring.first()
    views = prefill = completion = flop = 0
    for key, n in counts.items():
        parts = [n]
        if exploring.adaptive is not None and key in first and n > first[key]:
            parts = [first[key], n - first[key]]  # the second pass reads the prompt again
        extra, length = _lengths(key, exploring, answer_tok)
        for part in parts:
            width = round(prompt_tok + extra)
            number = min(part, _VIEWS.get(parse(key)[0].name, 1))
            views += number
            prefill += number * width
            completion += part * round(length)
            flop += number * forward_flop(shape, width, 1) + part * decode_flop(shape, width, round(length))
    if exploring.rewords and rewords:
        width = round(len(WORDINGS[exploring.wording].reword) / CHAR_PER_TOK) + QUESTION_TOK
        views += 1
        prefill += width
        completion += REWORDINGS * QUESTION_TOK
        flop += forward_flop(shape, width, 1) + REWORDINGS * decode_flop(shape, width, QUESTION_TOK)
    return Forecast(exploring.samples, views, prefill, completion, flop)


def _lengths(key: str, exploring: Exploring, answer_tok: float) -> tuple[float, float]:
    """Tokens that a strategy adds to the prompt, and tokens of a sample."""
    wording, name = WORDINGS[exploring.wording], parse(key)[0].name
    extra = {
        "plan": len(wording.plan) / CHAR_PER_TOK,
        "chain_of_thought": len(wording.chain_of_thought) / CHAR_PER_TOK,
        "few_shot": EXEMPLARS * (QUESTION_TOK + answer_tok),
        "repair": answer_tok + ERROR_TOK + len(wording.repair) / CHAR_PER_TOK,
    }
    reasons = name in ("plan", "chain_of_thought")
    return extra.get(name, 0.0), answer_tok * (REASONED if reasons else 1.0)
