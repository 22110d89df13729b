"""The next pool: what is new in the logs, and a share of the old prompts so that what was learnt is not lost.

Replaying a part of earlier data is the plainest guard against forgetting when a model is tuned again and again
(experience replay, Rolnick et al. 2019, arXiv 1811.11682).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tao.errors import InputError
from tao.prompts import Prompt, request_digest


@dataclass(frozen=True, slots=True)
class NextPool:
    """Prompts to tune on next.

    Attributes:
        prompts: New ones in log order, then the replayed ones in the order of the old pool.
        new: How many are new.
        repeated: New prompts left out because the same messages stand in the old pool or earlier in the log.
        replayed: How many are old.
    """

    prompts: tuple[Prompt, ...]
    new: int
    repeated: int
    replayed: int


def next_pool(old: Sequence[Prompt], new: Sequence[Prompt], replay: float, rng: Random) -> NextPool:
    """Put new prompts and a share of old ones together.

    Args:
        old: The pool of the run that is continued.
        new: Prompts of the new logs. An id that the old pool gave to another request gets the request's hash.
        replay: Share of the next pool that is old, in [0, 1); fewer if the old pool has no more.
        rng: Chooses which.

    Raises:
        InputError: `replay` is no such share, or nothing in the logs is new.
    """
    if not 0 <= replay < 1:
        raise InputError("the share of replayed prompts must be in [0, 1)", f"--replay {replay:g}", "use 0.25")
    seen, taken = {request_digest(prompt) for prompt in old}, {prompt.id for prompt in old}
    fresh: list[Prompt] = []
    for prompt in new:
        request = request_digest(prompt)
        if request in seen:
            continue
        seen.add(request)
        fresh.append(prompt if prompt.id not in taken else replace(prompt, id=f"{prompt.id}-{request[:8]}"))
        taken.add(fresh[-1].id)
    if not fresh:
        raise InputError("every prompt of the logs was tuned on already", fix="nothing to do until new ones come in")
    count = min(len(old), round(len(fresh) * replay / (1 - replay)))
    chosen = sorted(rng.sample(range(len(old)), count))
    return NextPool((*fresh, *(old[at] for at in chosen)), len(fresh), len(new) - len(fresh), count)
