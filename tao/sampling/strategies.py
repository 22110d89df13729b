"""Strategies: the ways a prompt is explored, as pure functions from prompts to requests.

A strategy shows the model another *view* of the same prompt and says how the answer in deployment
form is cut out of what comes back. Training only ever sees the deployment prompt and that answer,
so plans, examples and failed attempts cost nothing at inference (prompt distillation).

A mix names strategies, and may give each its own temperature: ``{direct: 2, direct@1.3: 1, repair: 1}``. Samples
carry the name as the mix wrote it, so every rung of a temperature ladder is a view of its own in votes and reports.
"""

from __future__ import annotations

import difflib
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao.sampling.protocol import Request
from tao.sampling.wording import ANSWER_MARK, WORDINGS, Wording

VERSION = "1"
"""Part of every stage's inputs; raise it when a view or an answer's extraction changes (a test pins both)."""

QUESTION_MARK = "Question: "
REORDERED_VIEWS = 2
"""Different orders per prompt: few, because each is prefilled once, whatever the number of samples."""

Pairs = Mapping[str, Sequence[tuple[str, str]]]
"""Prompt id to pairs of texts."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """What some strategies need from the caller; never labels (exemplars are the model's own or written by hand).

    Attributes:
        exemplars: (question, answer) about the very context of the prompt, which is then shown once.
        similar: (whole last message, answer) of other prompts, each shown as a turn of its own.
        failures: (failed answer, short error), each shown in a view of its own.
        rewordings: By prompt id, (question as it stands in the last message, the same in other words).
    """

    exemplars: Pairs = field(default_factory=dict)
    similar: Pairs = field(default_factory=dict)
    failures: Pairs = field(default_factory=dict)
    rewordings: Pairs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """One request and whose samples it gives.

    Attributes:
        prompt_id: The explored prompt.
        strategy: Name of the strategy.
        first_index: `Sample.index` of the request's first completion.
        request: What the sampler is asked.
    """

    prompt_id: str
    strategy: str
    first_index: int
    request: Request


Chat = tuple[Message, ...]
Chats = list[tuple[Chat, int]]
"""Chats of one prompt, each with its number of samples."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to explore.

    Attributes:
        name: As mixes call it.
        chats: (prompt, samples, random generator of this prompt, supplies, wording) to chats; none where the
            prompt lacks what the strategy needs.
        marked: Whether the answer stands behind a mark, rather than being the whole text.
        second: Whether it needs the answers of a first pass.
    """

    name: str
    chats: Callable[[Prompt, int, random.Random, Supplies, Wording], Chats]
    marked: bool = False
    second: bool = False


_DRESSED_MARK = re.compile(r"^[ \t]*(?:[#>*_]+[ \t]*)?Answer[ \t]*(?:[*_]+[ \t]*)?:[ \t]*(?:[*_]+(?=\s))?", re.I | re.M)


def _after_mark(text: str, strict: bool) -> str | None:
    """What follows the only line that begins with ``Answer: ``; unless strict, the last one, bold or not."""
    if strict:
        parts = ("\n" + text).split("\n" + ANSWER_MARK)
        return (parts[1].strip() or None) if len(parts) == 2 else None
    marks = list(_DRESSED_MARK.finditer(text))
    return (text[marks[-1].end() :].strip() or None) if marks else None


def _last(prompt: Prompt, content: str) -> Chat:
    return (*prompt.messages[:-1], Message("user", content))


def _share(n: int, parts: int) -> list[int]:
    """Split n into nearly equal parts, the larger ones first; parts of nothing are left out."""
    return [share for share in (n // parts + (i < n % parts) for i in range(parts)) if share]


def _direct(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    return [(prompt.messages, n)]


def _plan(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    return [(_last(prompt, prompt.messages[-1].content + wording.plan), n)]


def _chain_of_thought(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    return [(_last(prompt, prompt.messages[-1].content + wording.chain_of_thought), n)]


def _reorder(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    """The context's lines in a few other orders; a context that has no other order is shown as it is."""
    lines, content = prompt.context, prompt.messages[-1].content
    others = math.factorial(min(len(lines), 8)) - 1 if len(set(lines)) == len(lines) else 0
    orders: list[tuple[str, ...]] = []
    while len(orders) < min(n, REORDERED_VIEWS, others):
        order = tuple(rng.sample(lines, len(lines)))
        if order != lines and order not in orders:
            orders.append(order)
    if not orders:
        return [(prompt.messages, n)]
    texts = [content.replace("\n".join(lines), "\n".join(order), 1) for order in orders]
    return [(_last(prompt, text), share) for text, share in zip(texts, _share(n, len(texts)), strict=True)]


def _reword(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    """The question in other words (`tao.sampling.rewording`); a prompt without a sound rewording has no such view."""
    content = prompt.messages[-1].content
    said = supplies.rewordings.get(prompt.id, ())
    shares = _share(n, len(said)) if said else []
    texts = [new.join(content.rsplit(question, 1)) for question, new in said]
    return [(_last(prompt, text), share) for text, share in zip(texts, shares, strict=False)]


def _few_shot(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    """Solved questions as earlier turns: whole ones first, then those about the same context, which is shown once."""
    similar, same = supplies.similar.get(prompt.id, ()), supplies.exemplars.get(prompt.id, ())
    if not similar and not same:
        return []
    chat = list(prompt.messages[:-1])
    for content, answer in similar:
        chat += [Message("user", content), Message("assistant", answer)]
    if not same:
        return [((*chat, prompt.messages[-1]), n)]
    head, mark, question = prompt.messages[-1].content.rpartition(QUESTION_MARK)
    if not mark or not head.endswith("\n"):
        raise InputError(f"few_shot needs a last line that begins with {QUESTION_MARK!r}", prompt.id)
    turns = [*((QUESTION_MARK + q.removeprefix(QUESTION_MARK), a) for q, a in same)]
    for i, (asked, answer) in enumerate(turns):
        chat += [Message("user", asked if i else head + asked), Message("assistant", answer)]
    return [((*chat, Message("user", mark + question)), n)]


def _repair(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies, wording: Wording) -> Chats:
    """Failed answers and their errors, where there are any; prompts without a failure are not explored this way."""
    failed = supplies.failures.get(prompt.id, ())
    if not failed:
        return []
    asked = [
        (*prompt.messages, Message("assistant", answer), Message("user", wording.repair.format(error=error)))
        for answer, error in failed
    ]
    return [(chat, share) for chat, share in zip(asked, _share(n, len(asked)), strict=False)]


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("direct", _direct),
        Strategy("plan", _plan, marked=True),
        Strategy("reorder", _reorder),
        Strategy("few_shot", _few_shot, second=True),
        Strategy("repair", _repair, second=True),
        Strategy("chain_of_thought", _chain_of_thought, marked=True),
        Strategy("reword", _reword),
    )
}


def parse(key: str) -> tuple[Strategy, float | None]:
    """What a key of a mix names: a strategy, and its own temperature where it has one (``plan@0.7``).

    Raises:
        InputError: Unknown strategy (with the closest known one), or no temperature behind the @.
    """
    name, at, rest = key.partition("@")
    if name not in STRATEGIES:
        close = difflib.get_close_matches(name, list(STRATEGIES), n=1, cutoff=0.5)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"unknown strategy {name!r}{hint}", "mix", f"use any of {', '.join(STRATEGIES)}")
    if not at:
        return STRATEGIES[name], None
    try:
        temperature = float(rest)
    except ValueError:
        temperature = 0.0
    if not 0 < temperature < math.inf:
        raise InputError(f"{rest!r} is no temperature", f"mix: {key}", f"write a positive number, e.g. {name}@1.3")
    return STRATEGIES[name], temperature


def at_temperature(key: str, temperature: float) -> str:
    """The key of a strategy at a temperature, e.g. ``direct@0.7``."""
    return f"{key}@{temperature:g}"


def deployment_form(strategy: str, text: str, wording: Wording = WORDINGS["terse"]) -> str | None:
    """The answer as deployment would give it, cut out of a completion.

    Args:
        strategy: A key of a mix.
        text: Raw completion.
        wording: What the model was told.

    Returns:
        None where the strategy's form was not kept, or nothing was said.
    """
    if parse(strategy)[0].marked:
        return _after_mark(text, wording.strict)
    return text if text.strip() else None


def check_mix(mix: Mapping[str, int]) -> dict[str, int]:
    """Validate samples per prompt and strategy, e.g. ``{"direct": 8, "reorder": 4, "plan@1.3": 4}``.

    Returns:
        The mix in the registry's order, rising temperatures last, so that its writing order changes nothing.

    Raises:
        InputError: Unknown strategy (with the closest known one), a bad temperature, or a count that is no positive
            integer.
    """
    places: dict[str, tuple[int, float]] = {}
    known = list(STRATEGIES)
    for key, count in mix.items():
        strategy, temperature = parse(key)
        places[key] = (known.index(strategy.name), temperature or 0.0)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{count!r} is no number of samples", f"mix: {key}", "write a positive integer")
    if not mix:
        raise InputError("the mix is empty", "mix", 'write {"direct": 8}, say')
    return {key: mix[key] for key in sorted(mix, key=lambda key: places[key])}


def prompt_views(
    prompt: Prompt,
    mix: Mapping[str, int],
    seed: int,
    supplies: Supplies,
    wording: Wording = WORDINGS["terse"],
    *,
    first_index: int = 0,
) -> list[View]:
    """One prompt's requests; strategies that it lacks the supplies for give none.

    Args:
        prompt: The prompt.
        mix: Samples by strategy.
        seed: Seeds the orders of `reorder`.
        supplies: For `few_shot`, `repair` and `reword`.
        wording: What the model is told.
        first_index: `Sample.index` of the first sample.

    Raises:
        InputError: Bad mix.
    """
    views: list[View] = []
    for key, count in check_mix(mix).items():
        rng = random.Random(f"{seed}/{key}/{prompt.id}")
        for number, (chat, n) in enumerate(parse(key)[0].chats(prompt, count, rng, supplies, wording)):
            views.append(View(prompt.id, key, first_index, Request(f"{prompt.id} [{key} {number}]", chat, n)))
            first_index += n
    return views


def build_views(
    prompts: Sequence[Prompt],
    mix: Mapping[str, int],
    seed: int,
    supplies: Supplies | None = None,
    wording: Wording = WORDINGS["terse"],
) -> list[View]:
    """All requests of a pass over the prompts, every prompt by the same mix.

    Args:
        prompts: The pool.
        mix: Samples per prompt and strategy.
        seed: Seeds the orders of `reorder`, prompt by prompt.
        supplies: For `few_shot`, `repair` and `reword`.
        wording: What the model is told.

    Raises:
        InputError: Bad mix.
    """
    supplies = supplies or Supplies()
    return [view for prompt in prompts for view in prompt_views(prompt, mix, seed, supplies, wording)]
