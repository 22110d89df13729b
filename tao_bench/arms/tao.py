"""TAO: explore, score without labels, train toward what agreed, round after round (`tao.loop.tune`).

The budget is the one dial: the prompt set is fixed along a curve, and a budget buys samples per prompt
and rounds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from tao_bench.arms.contract import Arm, ArmOptions, Workplace


class TaoOptions(ArmOptions):
    """The budget, and the recipe it is spent by."""

    GRID = ("samples", "rounds")

    samples: int = Field(default=8, ge=2)
    """Samples per prompt and round, over all strategies."""
    rounds: int = Field(default=3, ge=1)
    prompts: int | None = Field(default=None, gt=0)
    """Use only the first prompts of the pool; the same for every budget of a curve."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """Fields of `tao.loop.Recipe` that differ from its defaults."""

    def slug(self) -> str:
        """E.g. ``n8-r3``."""
        return f"n{self.samples}-r{self.rounds}"

    def title(self) -> str:
        """E.g. ``TAO n=8 x3``."""
        return f"TAO n={self.samples} x{self.rounds}"

    def budget(self) -> dict[str, int] | None:
        """Samples per prompt and rounds."""
        return {"samples_per_prompt": self.samples, "rounds": self.rounds}

    def planning(self) -> dict[str, float]:
        """What `tao.compute.plan_tao` needs besides sizes."""
        return {}


def tune(place: Workplace) -> Path:
    """Run the loop on the pool's prompts; nothing here could hold a label."""
    raise NotImplementedError


ARM = Arm(name="tao", uses_labels=False, options=TaoOptions, tune=tune)
