"""A mock sampler for tests of plumbing: it has no model and learns nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tao.compute import ModelShape
from tao.sampling.protocol import Chunk, ChunkPlan, Completion, Request, Settings, plan_chunks, refuse_certainty
from tao.stage import digest

Answer = Callable[[Request, int, str], str]
"""(request, sample index, chunk id) to the text of the mock's answer."""


def _tokens(text: str) -> tuple[int, ...]:
    """A token a word, numbered by its content."""
    return tuple(int(digest(word)[:4], 16) for word in text.split())


class MockSampler:
    """Answers with what a function says; a token is a word.

    Args:
        answer: See `Answer`.
        weights_hash: Any string; stands for the model.
        shape: For FLOPs; None for none.
    """

    def __init__(self, answer: Answer, weights_hash: str = "mock", shape: ModelShape | None = None) -> None:
        self.name = "mock@1"
        self.weights_hash = weights_hash
        self.shape = shape
        self._answer = answer

    def chunks(self, requests: Sequence[Request], settings: Settings, seed: int) -> list[ChunkPlan]:
        """Cut requests into chunks as every sampler does."""
        refuse_certainty(settings, "a mock")
        lengths = [sum(len(_tokens(message.content)) for message in request.messages) for request in requests]
        identity = {"sampler": self.name, "weights": self.weights_hash}
        return plan_chunks(requests, lengths, settings, seed, identity)

    def run(self, plan: ChunkPlan) -> Chunk:
        """Ask the function; cut at `max_new_tok` words."""
        limit = plan.settings.max_new_tok
        completions = []
        for request, prompt_tok in zip(plan.requests, plan.prompt_tok, strict=True):
            for index in range(request.n):
                words = self._answer(request, index, plan.id).split(" ")
                text = " ".join(words[:limit])
                reason = "stop" if len(words) <= limit else "length"
                completions.append(Completion(request.key, index, text, _tokens(text), prompt_tok, reason))
        return Chunk(
            id=plan.id,
            completions=tuple(completions),
            prompt_tok=sum(plan.prompt_tok),
            completion_tok=sum(len(completion.token_ids) for completion in completions),
            prefill_rows=len(plan.requests),
            pad_tok=plan.pad_tok,
        )

    def close(self) -> None:
        """Nothing to release."""
