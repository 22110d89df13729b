"""Arms: one file a way to obtain a model."""

from __future__ import annotations

import importlib

from tao_bench.arms.contract import Arm

ARM_NAMES = ("base", "base_maj", "sft", "tao", "gold_reward", "endpoint")


def get_arm(name: str) -> Arm:
    """The arm of a name; its module loads nothing heavy.

    Raises:
        KeyError: Not one of `ARM_NAMES`.
    """
    if name not in ARM_NAMES:
        raise KeyError(name)
    arm: Arm = importlib.import_module(f"tao_bench.arms.{name}").ARM
    return arm
