"""Samples from any OpenAI-compatible server: text and token counts, no weights, no token ids, no FLOPs.

A chunk's requests run concurrently. Every response is noted on disk as it arrives (`keep_responses`), so a
server, a network or a process that dies midway costs the requests in flight and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.compute import ModelShape
from tao.prompts import Message
from tao.sampling.protocol import (
    UNKNOWN_TOKEN,
    Chunk,
    ChunkPlan,
    Completion,
    Remote,
    Request,
    Settings,
    plan_chunks,
    refuse_certainty,
)
from tao.stage import digest

if TYPE_CHECKING:
    from tao.endpoint import ChatClient, Clock, EndpointSpec, Reply


@dataclass(frozen=True, slots=True)
class _Response:
    """One sample as it came; counts of its whole request stand on the first sample of the request."""

    chunk: str
    key: str
    index: int
    text: str
    finish_reason: str
    prompt_tok: int
    completion_tok: int
    billed_prompt_tok: int
    retries: int
    model: str


class EndpointSampler:
    """Samples from a served model.

    Args:
        spec: The server and the model.
        instructions: A system message put before every chat that has none; '' for none.
        max_new_tok: Longest completion instead of the settings'; a served model counts in its own tokens.
        clock: Replaced in tests.

    Raises:
        InputError: The key's environment variable is empty.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        *,
        instructions: str = "",
        max_new_tok: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        spec.key()
        self.name = "endpoint@1"
        self.shape: ModelShape | None = None
        # Weights behind a server have no hash, and its address may change: they are known by the model's name.
        self.weights_hash = digest(["endpoint", spec.model])
        self._spec, self._clock = spec, clock
        self._instructions, self._max_new_tok = instructions, max_new_tok
        self._kept: dict[str, dict[tuple[str, int], _Response]] = {}
        self._path: Path | None = None
        self._takes_n = True

    def keep_responses(self, path: Path) -> None:
        """Note every response in `path` from now on; read what an earlier process noted there."""
        self._path, self._kept = path, {}
        from tao.endpoint import read_kept

        for response in read_kept(path, _Response, "no response of ours"):
            self._remember(response)

    def chunks(self, requests: Sequence[Request], settings: Settings, seed: int) -> list[ChunkPlan]:
        """Cut requests into fixed chunks. Lengths are unknown here: the server refuses what is too long for it.

        Raises:
            InputError: A key occurs twice, or the settings ask for self-certainty.
        """
        refuse_certainty(settings, "an endpoint")
        identity = {
            "sampler": self.name,
            "weights": self.weights_hash,
            "instructions": self._instructions,
            "max_new_tok": str(self._max_new_tok),
            "body": digest(dict(self._spec.body)),
        }
        return plan_chunks(requests, [0] * len(requests), settings, seed, identity)

    def run(self, plan: ChunkPlan) -> Chunk:
        """Ask for what is not kept yet.

        Raises:
            InputError: The server is dead or refuses; says how much is kept.
        """
        from tao.endpoint import EndpointError

        try:
            asyncio.run(self._fill(plan))
        except EndpointError as error:
            raise EndpointError(error.what, error.where, f"{error.fix} ({self._progress(plan)})") from None
        return self._chunk(plan)

    def close(self) -> None:
        """Nothing is held between chunks."""

    async def _fill(self, plan: ChunkPlan) -> None:
        from tao.endpoint import ChatClient

        async with ChatClient(self._spec, self._clock) as client:
            # Each ends by itself: what is in flight when another fails may still arrive, and is paid for.
            asked = [self._sample(client, plan, request) for request in plan.requests]
            for result in await asyncio.gather(*asked, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result

    async def _sample(self, client: ChatClient, plan: ChunkPlan, request: Request) -> None:
        """All samples of one request: in one go where the server takes ``n``, else one by one."""
        while missing := self._missing(plan, request):
            if self._takes_n and len(missing) > 1:
                got = await self._ask(client, plan, request, missing)
                self._takes_n = self._takes_n and got == len(missing)
                continue
            results = await asyncio.gather(
                *(self._ask(client, plan, request, [index]) for index in missing), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _ask(self, client: ChatClient, plan: ChunkPlan, request: Request, indices: Sequence[int]) -> int:
        """One HTTP request for these samples; returns how many came."""
        from tao.endpoint import ManyRefused

        chat = list(request.messages)
        if self._instructions and chat[0].role != "system":
            chat.insert(0, Message("system", self._instructions))
        try:
            reply = await client.complete(
                chat,
                temperature=plan.settings.temperature,
                max_tok=self._max_new_tok or plan.settings.max_new_tok,
                seed=sample_seed(plan.id, request.key, indices[0]),
                n=len(indices),
                where=request.key,
            )
        except ManyRefused:
            return 0
        responses = list(_responses(plan.id, request.key, indices, reply))
        for response in responses:
            self._remember(response)
        if self._path:
            text = "".join(json.dumps(asdict(one), sort_keys=True, ensure_ascii=False) + "\n" for one in responses)
            with self._path.open("a", encoding="utf-8") as handle:
                handle.write(text)
        return len(responses)

    def _remember(self, response: _Response) -> None:
        self._kept.setdefault(response.chunk, {})[response.key, response.index] = response

    def _missing(self, plan: ChunkPlan, request: Request) -> list[int]:
        kept = self._kept.get(plan.id, {})
        return [index for index in range(request.n) if (request.key, index) not in kept]

    def _progress(self, plan: ChunkPlan) -> str:
        """How much is kept, of this chunk and in all."""
        whole = sum(not self._missing(plan, request) for request in plan.requests)
        total = sum(map(len, self._kept.values()))
        place = f" in {self._path}" if self._path else "; they end with this process"
        return f"{total} answers are kept{place}; of this chunk {whole} of {len(plan.requests)} prompts are complete"

    def _chunk(self, plan: ChunkPlan) -> Chunk:
        kept = self._kept[plan.id]
        responses = [kept[request.key, index] for request in plan.requests for index in range(request.n)]
        prompt_tok = sum(one.billed_prompt_tok for one in responses)
        completion_tok = sum(one.completion_tok for one in responses)
        return Chunk(
            id=plan.id,
            completions=tuple(
                Completion(
                    key=one.key,
                    index=one.index,
                    text=one.text,
                    token_ids=(UNKNOWN_TOKEN,) * one.completion_tok,
                    prompt_tok=one.prompt_tok,
                    finish_reason=one.finish_reason,
                )
                for one in responses
            ),
            prompt_tok=prompt_tok,
            completion_tok=completion_tok,
            remote=Remote(
                usd=self._spec.usd(prompt_tok, completion_tok),
                requests=sum(one.billed_prompt_tok > 0 for one in responses),
                retries=sum(one.retries for one in responses),
                filtered=sum(one.finish_reason == "content_filter" for one in responses),
                models=tuple(sorted({one.model for one in responses})),
            ),
        )


def sample_seed(chunk: str, key: str, index: int) -> int:
    """The seed of one sample, from the content of its chunk: below 2**31, which every server takes."""
    return int(digest([chunk, key, index]), 16) % 2**31


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers that sum to `total`, in proportion to `weights`: largest remainders, ties to the first."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [int(value) for value in exact]
    order = sorted(range(len(weights)), key=lambda at: (shares[at] - exact[at], at))
    for at in order[: total - sum(shares)]:
        shares[at] += 1
    return shares


def _responses(chunk: str, key: str, indices: Sequence[int], reply: Reply) -> list[_Response]:
    """A reply's choices as samples. Servers count the tokens of all choices together: they go by length of text."""
    choices = reply.choices[: len(indices)]
    shares = share_out(reply.completion_tok, [len(choice.text) + 1 for choice in choices])
    found: list[_Response] = []
    for index, choice, tok in zip(indices, choices, shares, strict=False):
        first: Mapping[str, Any] = {"billed_prompt_tok": 0, "retries": 0}
        if not found:
            first = {"billed_prompt_tok": reply.prompt_tok, "retries": reply.retries}
        found.append(
            _Response(
                chunk=chunk,
                key=key,
                index=index,
                text=choice.text,
                finish_reason=choice.finish_reason,
                prompt_tok=reply.prompt_tok,
                completion_tok=tok,
                model=reply.model,
                **first,
            )
        )
    return found
