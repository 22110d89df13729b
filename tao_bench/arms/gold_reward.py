"""Gold reward: TAO's loop with the vote swapped for the verifier's verdict on the pool's sealed labels.

The ceiling of any label-free signal: same exploring, same objectives, same budget, and a signal that is never wrong.
Exploring takes one pass only: what a second one would learn from the first would come from verdicts.
An answer is right (they all mean the same then) or it does not work, so `tao.loop.tune` runs as it is and its
advantages are those of a 0/1 reward. In its rounds the share of answers that work is thus the share that is right, and
the alarm on it sees the truth on the pool, which no label-free run can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import model_validator

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Prompt
from tao.stage import digest
from tao_bench.arms.contract import Arm, Workplace
from tao_bench.arms.tao import TaoOptions, run_loop
from tao_bench.task import Limits
from tao_bench.verify.verdict import Status, Verifier

RIGHT = "correct"
"""What every right answer means."""
OUTCOMES = {
    Status.CORRECT: Outcome.OK,
    Status.WRONG: Outcome.FAILED,
    Status.UNPARSABLE: Outcome.INVALID,
    Status.TRUNCATED: Outcome.INVALID,
    Status.TIMEOUT: Outcome.TIMEOUT,
    Status.VERIFIER_ERROR: Outcome.UNSCORED,
}


class GoldRewardOptions(TaoOptions):
    """The options of `tao`. One right answer among failures is evidence enough, so no rule of the vote applies."""

    DEFAULTS: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"min_votes": 1, "consensus_floor": 0.0, "support": 0.0, "mentions": False, "thin_evidence": "ignore"}
    )

    @model_validator(mode="after")
    def _one_pass(self) -> GoldRewardOptions:
        # A first pass would be read by verdicts: examples, failures and who gets more would come from the labels.
        if self.made(Limits(max_prompt_tok=512, max_new_tok=96)).exploring().passes > 1:
            raise ValueError(
                "recipe: few_shot, repair and adaptive choose by a first reading, which here holds the verdicts; "
                "leave them out: labels may make this arm's rewards, not its samples"
            )
        return self

    def title(self) -> str:
        """E.g. ``gold-reward n=8 x2``."""
        return f"gold-reward n={self.samples} x{self.rounds}"

    def labels_used(self, pool: int) -> int:
        """One of every prompt it is handed, whether or not a round gets to it."""
        return min(pool, self.prompts or pool)


class GoldInterpreter:
    """Reads an answer by its verdict. Not label-free: only arms that declare `uses_verifier` can make one.

    Readings: ``ok`` with one key for all right answers; ``failed`` for wrong ones, ``invalid`` for what the verifier
    cannot read, ``timeout``; ``unscored`` where the verifier itself failed, which is no evidence either way.

    Args:
        verifier: The task's; closed with this.
        golds: Prompt id to what the verifier judges against.
    """

    def __init__(self, verifier: Verifier, golds: Mapping[str, Any]) -> None:
        self._verifier = verifier
        self._golds = golds
        self.name = f"gold:{verifier.name}"
        # Part of every scored round's inputs: with other labels a run is not gone on with.
        self.version = f"{verifier.version}/{digest(dict(golds))}"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        """One reading per answer, in order."""
        return [self._read(prompt, answer) for answer in answers]

    def close(self) -> None:
        """Close the verifier."""
        self._verifier.close()

    def _read(self, prompt: Prompt, answer: str) -> Reading:
        # The gate has let whole answers through only, so this one stopped by itself.
        verdict = self._verifier.grade(prompt, self._golds[prompt.id], answer, "stop")
        right = verdict.status is Status.CORRECT
        return Reading(OUTCOMES[verdict.status], RIGHT if right else None, verdict.reason)


def tune(place: Workplace) -> Path:
    """Run the loop on the pool's prompts with verdicts for votes.

    Raises:
        InputError: It was handed no labels or no verifier, a prompt has no label, or the verifier failed on more
            samples than a result may rest on.
    """
    from tao_bench.runner import MAX_VERIFIER_ERROR

    if place.labels is None or place.verifier is None:
        raise InputError("needs labels and a verifier and was handed none", "arm gold_reward")
    options: GoldRewardOptions = place.options
    labels = place.labels("pool")
    prompts = place.pool[: options.prompts]
    missing = next((prompt.id for prompt in prompts if prompt.id not in labels), None)
    if missing is not None:
        raise InputError("has no label in the pool", missing, "leave the arm gold_reward out for this task")
    golds = {prompt.id: labels[prompt.id].gold for prompt in prompts}
    result = run_loop(place, GoldInterpreter(place.verifier(), golds))
    failed = sum(done.stats.unscored for done in result.rounds)
    samples = sum(done.stats.samples for done in result.rounds)
    if failed > MAX_VERIFIER_ERROR * samples:
        what = f"the verifier failed on {failed:,} of {samples:,} samples; more than 0.5 % is no ceiling"
        raise InputError(
            what, "arm gold_reward", "mend the verifier or the pool's labels; `tao-bench check` finds them"
        )
    return result.checkpoint


ARM = Arm(name="gold_reward", uses_labels=True, options=GoldRewardOptions, tune=tune, uses_verifier=True)
