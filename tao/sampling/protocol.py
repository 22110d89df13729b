"""What a sampler is: requests in, fixed chunks of completions out.

The unit of work is a chunk: the same requests in the same order at the same padded length, seeded by
its own content. Its bytes depend on nothing else, so chunks can be resumed, reordered and moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tao.compute import ModelShape, generation_device_flop, generation_flop
from tao.errors import InputError
from tao.prompts import Message
from tao.stage import digest

AUTO_ROWS, AUTO_PROMPTS = 256, 64
UNKNOWN_TOKEN = -1
"""Stands in `Completion.token_ids` for a token known by its count only: endpoints give text and numbers, no ids."""


class TooLong(InputError):
    """Prompts longer than the settings allow.

    Attributes:
        keys: Of all requests that are too long.
    """

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """n samples of one chat.

    Attributes:
        key: Unique among the requests of a call; errors name it.
        messages: The chat, the last message from the user.
        n: Samples wanted.
    """

    key: str
    messages: tuple[Message, ...]
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"a request wants at least one sample, not {self.n}", self.key)
        if not self.messages or self.messages[-1].role != "user":
            raise InputError("a request's last message must come from the user", self.key)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to sample. Neither top-k nor top-p is ever applied.

    Attributes:
        max_prompt_tok: Longest prompt, template included; a longer one is an error, never cut.
        max_new_tok: Longest completion, end-of-text included.
        temperature: Divides the logits; 0 is greedy.
        chunk_prompts: Requests per chunk; 0 for as many as make 256 rows, 64 at most.
        pad_lengths: Prompts are padded to at most this many different lengths (every new shape costs
            time and memory in CPU kernels).
        certainty: Whether every completion carries its self-certainty (`Completion.certainty`). It changes no draw, so
            chunks keep their ids and samples their tokens.
    """

    max_prompt_tok: int
    max_new_tok: int
    temperature: float = 1.0
    chunk_prompts: int = 0
    pad_lengths: int = 8
    certainty: bool = False

    def __post_init__(self) -> None:
        for name, low in (("max_prompt_tok", 1), ("max_new_tok", 1), ("chunk_prompts", 0), ("pad_lengths", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} must be at least {low}, not {getattr(self, name)}", "sampling settings")
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature must be 0 or more, not {self.temperature}", "sampling settings")

    def as_record(self) -> dict[str, Any]:
        """Settings as a stage's inputs name them; what is off by default is named only where it is on."""
        return {name: value for name, value in asdict(self).items() if name != "certainty" or value}

    def chunk_size(self, n: int) -> int:
        """Requests per chunk when each wants n samples."""
        return self.chunk_prompts or min(AUTO_PROMPTS, max(1, AUTO_ROWS // n))

    def pad_to(self, prompt_tok: int) -> int:
        """The fixed length a prompt is padded to."""
        step = -(-self.max_prompt_tok // self.pad_lengths)
        return min(-(-prompt_tok // step) * step, self.max_prompt_tok)


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample.

    Attributes:
        key: Its request.
        index: 0-based among the request's samples.
        text: Decoded, special tokens left out.
        token_ids: Generated ids, end-of-text included when it was produced (see `UNKNOWN_TOKEN`).
        prompt_tok: Prompt tokens fed, without padding.
        finish_reason: ``stop``, ``length`` or, from endpoints, ``content_filter``.
        certainty: Self-certainty in nats a token (arXiv 2502.18581): the mean over all generated tokens, end-of-text
            included, of KL(uniform || policy) at temperature 1. None unless the settings ask for it.
    """

    key: str
    index: int
    text: str
    token_ids: tuple[int, ...]
    prompt_tok: int
    finish_reason: str
    certainty: float | None = None


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """A chunk before it is run.

    Attributes:
        id: Content hash of weights, requests, settings and seed; seeds the chunk's own generator.
        requests: In order; all want the same number of samples.
        settings: How to sample.
        prompt_tok: Length of each prompt, template included.
        pad_tok: Length all are padded to.
    """

    id: str
    requests: tuple[Request, ...]
    settings: Settings
    prompt_tok: tuple[int, ...]
    pad_tok: int

    @property
    def samples(self) -> int:
        """Completions it will give."""
        return sum(request.n for request in self.requests)


@dataclass(frozen=True, slots=True)
class Remote:
    """What a chunk took from an endpoint, beside its tokens.

    Attributes:
        usd: Its price; None where prices are not known.
        requests: Requests answered.
        retries: Attempts that failed before one succeeded.
        filtered: Samples withheld by a content filter.
        models: The models that the server says it used.
    """

    usd: float | None
    requests: int
    retries: int
    filtered: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A finished chunk.

    Attributes:
        id: The plan's id.
        completions: Request by request, sample by sample.
        prompt_tok: Prompt tokens, each prompt once, without padding; from endpoints, as billed.
        completion_tok: Generated tokens.
        prefill_rows: Prompts prefilled, fill rows included.
        pad_tok: Length they were padded to.
        decode_rows: Rows of each decoding step as executed.
        prefix_rows: Rows of each step's attention over the prompts (see `tao.compute.generation_device_flop`).
        padded: False from an engine that pads nothing: it executes what the method needs.
        remote: From endpoints only.
    """

    id: str
    completions: tuple[Completion, ...]
    prompt_tok: int
    completion_tok: int
    prefill_rows: int = 0
    pad_tok: int = 0
    decode_rows: tuple[int, ...] = ()
    prefix_rows: tuple[int, ...] = ()
    padded: bool = True
    remote: Remote | None = None

    def model_flop(self, shape: ModelShape | None) -> int:
        """FLOPs the method needs: no padding, every prompt once. 0 where the model's shape is unknown."""
        if shape is None:
            return 0
        lengths: dict[str, tuple[int, list[int]]] = {}
        for completion in self.completions:
            lengths.setdefault(completion.key, (completion.prompt_tok, []))[1].append(len(completion.token_ids))
        return sum(generation_flop(shape, prompt, samples) for prompt, samples in lengths.values())

    def device_flop(self, shape: ModelShape | None) -> int:
        """FLOPs as executed. 0 where the model's shape is unknown."""
        if shape is None:
            return 0
        if not self.padded:
            return self.model_flop(shape)
        return generation_device_flop(shape, self.prefill_rows, self.pad_tok, self.decode_rows, self.prefix_rows)


class Sampler(Protocol):
    """Turns requests into completions, chunk by chunk.

    Attributes:
        name: Name and version, e.g. ``transformers@1``; part of every chunk's id.
        weights_hash: Content hash of the weights and the tokenizer.
        shape: For FLOPs; None where it is unknown (endpoints).
    """

    name: str
    weights_hash: str
    shape: ModelShape | None

    def chunks(self, requests: Sequence[Request], settings: Settings, seed: int) -> list[ChunkPlan]:
        """Cut requests into fixed chunks; the result does not depend on their order.

        Raises:
            InputError: A prompt is longer than the settings allow, or a key occurs twice.
        """
        ...

    def run(self, plan: ChunkPlan) -> Chunk:
        """Generate one chunk. RNG state and train mode of the process are left as found."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


@runtime_checkable
class HoldsWeights(Protocol):
    """A sampler of weights on this machine, which may be asked for more than samples (log-likelihoods, say)."""

    folder: Path
    name: str
    weights_hash: str
    shape: ModelShape | None


@runtime_checkable
class KeepsResponses(Protocol):
    """A sampler whose single responses are worth keeping: what was paid for is never asked for again."""

    def keep_responses(self, path: Path) -> None:
        """Note every response in this file as it arrives, and reuse what an earlier process noted there."""
        ...


def refuse_certainty(settings: Settings, sampler: str) -> None:
    """For samplers that do not see all of the policy's distribution.

    Raises:
        InputError: The settings ask for self-certainty.
    """
    if settings.certainty:
        raise InputError(
            f"self-certainty needs the probabilities of the whole vocabulary, which {sampler} does not give",
            "source: self_certainty",
            "use `sampler: transformers`",
        )


def plan_chunks(
    requests: Sequence[Request],
    prompt_tok: Sequence[int],
    settings: Settings,
    seed: int,
    identity: Mapping[str, str],
) -> list[ChunkPlan]:
    """Cut requests into chunks of equal sample count and padded length, shortest prompts first.

    Args:
        requests: In any order.
        prompt_tok: Length of each request's prompt, template included.
        settings: How to sample.
        seed: Seed of the call.
        identity: What else the completions depend on (sampler, weights, dtype).

    Raises:
        InputError: A prompt is longer than `settings.max_prompt_tok`, or a key occurs twice.
    """
    _refuse_long(requests, prompt_tok, settings)
    order = sorted(
        zip(requests, prompt_tok, strict=True), key=lambda pair: (pair[0].n, settings.pad_to(pair[1]), pair[0].key)
    )
    keys = [request.key for request, _ in order]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError("two requests have the same key", twice)
    groups: dict[tuple[int, int], list[tuple[Request, int]]] = {}
    for request, length in order:
        groups.setdefault((request.n, settings.pad_to(length)), []).append((request, length))
    plans = []
    for (n, pad_tok), members in groups.items():
        for part in _parts(members, settings.chunk_size(n)):
            chosen = tuple(request for request, _ in part)
            content = {
                "identity": dict(identity),
                # Certainty changes no draw: runs with and without it see the same samples.
                "settings": replace(settings, certainty=False).as_record(),
                "seed": seed,
                "requests": [asdict(request) for request in chosen],
            }
            plans.append(ChunkPlan(digest(content), chosen, settings, tuple(length for _, length in part), pad_tok))
    return plans


def _parts(members: Sequence[tuple[Request, int]], size: int) -> Iterator[Sequence[tuple[Request, int]]]:
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _refuse_long(requests: Iterable[Request], prompt_tok: Iterable[int], settings: Settings) -> None:
    long = [(r.key, t) for r, t in zip(requests, prompt_tok, strict=True) if t > settings.max_prompt_tok]
    if long:
        key, length = long[0]
        others = f" ({len(long) - 1} more are too long)" if len(long) > 1 else ""
        error = TooLong(
            f"the prompt has {length} tokens, {settings.max_prompt_tok} are allowed{others}",
            key,
            f"set max_prompt_tok to {max(t for _, t in long)} or more, or shorten the prompt",
        )
        error.keys = tuple(key for key, _ in long)
        raise error
