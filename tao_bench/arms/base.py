"""The base model as it is deployed: one greedy answer."""

from __future__ import annotations

from tao_bench.arms.contract import Arm, ArmOptions


class BaseOptions(ArmOptions):
    """The base has no options."""

    def title(self) -> str:
        """``base``."""
        return "base"


ARM = Arm(name="base", uses_labels=False, options=BaseOptions, tune=None)
