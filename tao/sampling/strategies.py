"""Strategies: the ways a prompt is explored, as pure functions from prompts to requests.

A strategy shows the model another *view* of the same prompt and says how the answer in deployment
form is cut out of what comes back. Training only ever sees the deployment prompt and that answer,
so plans, examples and failed attempts cost nothing at inference (prompt distillation).
"""

from __future__ import annotations

import difflib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao.sampling.protocol import Request

VERSION = "1"
"""Part of every stage's inputs; raise it when a view or an answer's extraction changes (a test pins both)."""

PLAN_SUFFIX = "\nPlan first."
ANSWER_MARK = "Answer: "
QUESTION_MARK = "Question: "
ERROR_MARK = "Error: "
REORDERED_VIEWS = 2
"""Different orders per prompt: few, because each is prefilled once, whatever the number of samples."""

Exemplars = Mapping[str, Sequence[tuple[str, str]]]
"""Prompt id to (question, answer) pairs about the same context."""
Failures = Mapping[str, tuple[str, str]]
"""Prompt id to (failed answer, short error)."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """What some strategies need from the caller; never labels (exemplars are the base's own or written by hand)."""

    exemplars: Exemplars = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)


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
        chats: (prompt, samples, random generator of this prompt, supplies) to chats.
        deployment_form: Raw completion to answer; None where the strategy's form was not kept.
    """

    name: str
    chats: Callable[[Prompt, int, random.Random, Supplies], Chats]
    deployment_form: Callable[[str], str | None]


def _whole(text: str) -> str | None:
    return text if text.strip() else None


def _after_mark(text: str) -> str | None:
    """What follows the only line that begins with ``Answer: ``."""
    parts = ("\n" + text).split("\n" + ANSWER_MARK)
    return (parts[1].strip() or None) if len(parts) == 2 else None


def _last(prompt: Prompt, content: str) -> Chat:
    return (*prompt.messages[:-1], Message("user", content))


def _direct(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies) -> Chats:
    return [(prompt.messages, n)]


def _plan(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies) -> Chats:
    return [(_last(prompt, prompt.messages[-1].content + PLAN_SUFFIX), n)]


def _reorder(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies) -> Chats:
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
    shares = [n // len(orders) + (i < n % len(orders)) for i in range(len(orders))]
    texts = [content.replace("\n".join(lines), "\n".join(order), 1) for order in orders]
    return [(_last(prompt, text), share) for text, share in zip(texts, shares, strict=True)]


def _few_shot(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies) -> Chats:
    """Solved questions about the same context as earlier turns; the context is shown once, in the first."""
    pairs = supplies.exemplars.get(prompt.id)
    if not pairs:
        raise InputError("few_shot needs exemplars for every prompt", prompt.id, "supply them or leave few_shot out")
    head, mark, question = prompt.messages[-1].content.rpartition(QUESTION_MARK)
    if not mark or not head.endswith("\n"):
        raise InputError(f"few_shot needs a last line that begins with {QUESTION_MARK!r}", prompt.id)
    turns = [*((QUESTION_MARK + q.removeprefix(QUESTION_MARK), a) for q, a in pairs)]
    chat = list(prompt.messages[:-1])
    for i, (asked, answer) in enumerate(turns):
        chat += [Message("user", asked if i else head + asked), Message("assistant", answer)]
    return [((*chat, Message("user", mark + question)), n)]


def _repair(prompt: Prompt, n: int, rng: random.Random, supplies: Supplies) -> Chats:
    """A failed answer and its error, where there is one; prompts without a failure are not explored this way."""
    if prompt.id not in supplies.failures:
        return []
    answer, error = supplies.failures[prompt.id]
    return [((*prompt.messages, Message("assistant", answer), Message("user", ERROR_MARK + error)), n)]


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("direct", _direct, _whole),
        Strategy("plan", _plan, _after_mark),
        Strategy("reorder", _reorder, _whole),
        Strategy("few_shot", _few_shot, _whole),
        Strategy("repair", _repair, _whole),
    )
}


def deployment_form(strategy: str, text: str) -> str | None:
    """The answer as deployment would give it, cut out of a completion.

    Args:
        strategy: A key of `STRATEGIES`.
        text: Raw completion.

    Returns:
        None where the strategy's form was not kept, or nothing was said.
    """
    return _named(strategy).deployment_form(text)


def check_mix(mix: Mapping[str, int]) -> dict[str, int]:
    """Validate samples per prompt and strategy, e.g. ``{"direct": 8, "reorder": 4, "plan": 4}``.

    Returns:
        The mix in the registry's order, so that its writing order changes nothing.

    Raises:
        InputError: Unknown strategy (with the closest known one), or a count that is no positive integer.
    """
    for name, count in mix.items():
        _named(name)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{count!r} is no number of samples", f"mix: {name}", "write a positive integer")
    if not mix:
        raise InputError("the mix is empty", "mix", 'write {"direct": 8}, say')
    return {name: mix[name] for name in STRATEGIES if name in mix}


def build_views(
    prompts: Sequence[Prompt], mix: Mapping[str, int], seed: int, supplies: Supplies | None = None
) -> list[View]:
    """All requests of a round.

    Args:
        prompts: The pool.
        mix: Samples per prompt and strategy.
        seed: Seeds the orders of `reorder`, prompt by prompt.
        supplies: For `few_shot` and `repair`.

    Raises:
        InputError: Bad mix, or a strategy lacks what it needs.
    """
    wanted, supplies = check_mix(mix), supplies or Supplies()
    views: list[View] = []
    for prompt in prompts:
        index = 0
        for name, count in wanted.items():
            rng = random.Random(f"{seed}/{name}/{prompt.id}")
            for number, (chat, n) in enumerate(STRATEGIES[name].chats(prompt, count, rng, supplies)):
                request = Request(f"{prompt.id} [{name} {number}]", chat, n)
                views.append(View(prompt.id, name, index, request))
                index += n
    return views


def _named(name: str) -> Strategy:
    if name not in STRATEGIES:
        close = difflib.get_close_matches(name, list(STRATEGIES), n=1, cutoff=0.5)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"unknown strategy {name!r}{hint}", "mix", f"use any of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
