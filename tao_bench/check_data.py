"""Checks of a task's rows: near duplicates over splits, licence, and how small a difference its test split can show."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from tao.prompts import Prompt
from tao_bench.task import Item, TaskSpec

SHINGLE = 3
"""Words in a row that make one shingle."""
SKETCH = 12
"""Smallest hashes of a prompt's rare shingles that two prompts are matched by (bottom-k sketch, Broder 1997)."""
COMMON = 50
"""A shingle of more prompts than this is boilerplate: it weighs little and matches nobody."""
NEAR = 0.8
"""Weighted Jaccard similarity from which two prompts are near duplicates."""
DISCORDANCE, ICC = 0.25, 0.05
"""Assumed share of items on which two arms differ, and correlation within a cluster; `tao-bench run` does likewise."""
_NO_LICENCE = re.compile(r"\W*(todo|tbd|none|unknown|n/?a|\?+|licen[cs]e|your licen[cs]e)?\W*", re.IGNORECASE)


def shingles(prompt: Prompt) -> frozenset[tuple[str, ...]]:
    """Runs of `SHINGLE` words of a prompt's messages, case and marks aside."""
    words = re.findall(r"\w+", " ".join(message.content for message in prompt.messages).casefold())
    return frozenset(tuple(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1)))


def near_duplicates(prompts: Mapping[str, Sequence[Prompt]]) -> list[tuple[str, str, float]]:
    """Pairs of prompts in two splits, one of them dev or test, that say nearly the same.

    Shingles weigh by their inverse document frequency, so that what all prompts share (instructions, a table's head)
    does not make them alike.

    Args:
        prompts: Prompts by split.

    Returns:
        (``split id``, ``split id``, similarity from `NEAR` to 1), the most similar first.
    """
    made = [(split, prompt.id, shingles(prompt)) for split, found in prompts.items() for prompt in found]
    frequency = Counter(shingle for _, _, found in made for shingle in found)
    weight = {shingle: math.log(len(made) / count) for shingle, count in frequency.items()}  # 0 where all share it
    homes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, (_, _, found) in enumerate(made):
        rare = sorted((s for s in found if 1 < frequency[s] <= COMMON), key=lambda s: (frequency[s], s))
        for shingle in rare[:SKETCH]:
            homes[shingle].append(place)
    pairs = {
        pair
        for places in homes.values()
        for pair in combinations(places, 2)
        if made[pair[0]][0] != made[pair[1]][0] and {made[pair[0]][0], made[pair[1]][0]} & {"dev", "test"}
    }
    near = []
    for left, right in pairs:
        one, other = made[left][2], made[right][2]
        shared = sum(weight[s] for s in one & other)
        alike = shared / (sum(weight[s] for s in one | other) or 1.0)
        if alike >= NEAR:
            near.append((f"{made[left][0]} {made[left][1]}", f"{made[right][0]} {made[right][1]}", alike))
    return sorted(near, key=lambda pair: (-pair[2], pair))


def licence_fault(spec: TaskSpec) -> str:
    """What is wrong with a task's licence, in words; '' if it names one."""
    named = not _NO_LICENCE.fullmatch(spec.licence)
    return "" if named else f"names none: {spec.licence!r}"


def smallest_effect(items: Sequence[Item]) -> float:
    """Smallest difference in accuracy between two arms that a split shows with 80 % power; 1 where it can show none."""
    from tao_bench.stats.planning import minimum_detectable_effect

    clusters = len({item.cluster for item in items})
    if clusters < 2:
        return 1.0
    return minimum_detectable_effect(len(items), clusters, discordance=DISCORDANCE, icc=ICC)
