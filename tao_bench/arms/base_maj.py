"""The base model with the extra compute spent at inference: the majority of n samples (maj@n).

The ceiling a label-free method is measured against: recovery divides by this arm's gain. The vote
follows the same rule as tuning's consensus, read by the same label-free interpreter.
"""

from __future__ import annotations

from pydantic import Field

from tao_bench.arms.contract import Arm, ArmOptions


class MajorityOptions(ArmOptions):
    """How the base is sampled and voted at inference."""

    samples: int = Field(default=16, ge=2)
    temperature: float = Field(default=1.0, gt=0)

    def slug(self) -> str:
        """E.g. ``n16``."""
        return f"n{self.samples}"

    def title(self) -> str:
        """E.g. ``base maj@16``."""
        return f"base maj@{self.samples}"

    def inference_samples(self) -> int:
        """Samples generated per answer."""
        return self.samples


ARM = Arm(name="base_maj", uses_labels=False, options=MajorityOptions, tune=None, decode="majority")
