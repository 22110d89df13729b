"""The names of the objectives, for recipes and help; each one is the file of its name beside this one."""

from __future__ import annotations

from typing import Literal, get_args

ObjectiveName = Literal["clipped", "regression", "grpo", "dpo", "rft"]
NAMES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
ABOUT: dict[ObjectiveName, str] = {
    "clipped": "policy gradient with a clipped ratio, token by token; negatives kept (PPO, Dr. GRPO)",
    "regression": "the answer's log-ratio is regressed on its advantage; negatives kept (REBEL, A*-PO, OAPL)",
    "grpo": "GRPO on the round's frozen samples: every answer counts once, optional scaling; negatives kept",
    "dpo": "preference pairs of a group, weighed by how much the winner won (DPO, ScPO, ODPO)",
    "rft": "imitates the votes' winners (RAFT, ReST-EM)",
}


def listing(indent: str = "  ") -> str:
    """One line an objective."""
    return "\n".join(f"{indent}{name.ljust(11)} {ABOUT[name]}" for name in NAMES)
