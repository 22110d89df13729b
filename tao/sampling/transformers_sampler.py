"""The default sampler: transformers on CPU or one GPU, exact and chunk by chunk.

What makes it faster than `generate` with ``num_return_sequences``: a prompt is prefilled once for
all its samples, its keys and values are shared and never copied (`tao.sampling.shared_prefix`), and
finished rows leave the batch. A chunk draws from its own generator, one uniform number per sample
and position laid out in advance, so which rows leave when has no influence on any draw.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.compute import ModelShape
from tao.errors import InputError
from tao.sampling.protocol import Chunk, ChunkPlan, Completion, Request, Settings, plan_chunks
from tao.stage import folder_digest

if TYPE_CHECKING:
    from torch import Tensor

SIXTEENTHS = (1, 2, 3, 4, 6, 8, 12, 16)


def fit(count: int, full: int) -> int:
    """The smallest permitted batch size that holds `count` rows of a full batch.

    Only eight sizes are ever used: a matrix product of a new size compiles a kernel and keeps it.
    """
    return next(size for size in (-(-full * k // 16) for k in SIXTEENTHS) if size >= count)


@dataclass(frozen=True, slots=True)
class _Decoded:
    tokens: list[list[int]]
    finished: list[bool]
    decode_rows: list[int]
    prefix_rows: list[int]
    certainty: list[float | None]


class TransformersSampler:
    """Samples from a model folder (Llama-shaped, full attention, with a chat template).

    Args:
        folder: Weights, tokenizer and chat template.
        dtype: Name of the torch dtype the weights are copied to. Generating from a bfloat16 copy is
            several times faster than under autocast.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: CPU threads while a chunk runs; one is fastest when processes share the cores.

    Raises:
        InputError: No such folder, an architecture outside `tao.compute.LLAMA_SHAPED`, sliding
            windows, or no chat template.
    """

    def __init__(self, folder: Path, *, dtype: str = "bfloat16", device: str = "auto", threads: int = 1) -> None:
        if not (folder / "config.json").exists():
            raise InputError("no model here (config.json is missing)", str(folder), "name a folder with weights")
        self.shape: ModelShape | None = ModelShape.from_config(folder)
        self.weights_hash = folder_digest(folder)
        self.name = f"transformers@1/{dtype}"
        self.folder, self._threads = folder, threads
        with _undisturbed(threads):
            self._load(folder, dtype, device)

    def _load(self, folder: Path, dtype: str, device: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from tao.sampling import shared_prefix

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
        if not self._tokenizer.chat_template:
            raise InputError("the tokenizer has no chat template", str(folder), "add chat_template.jinja")
        shared_prefix.register()
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), attn_implementation=shared_prefix.NAME
        )
        self._model.to(device).eval()
        # Older versions of transformers know no `cache`; newer ones warn of the old name.
        named = inspect.signature(self._model.forward).parameters
        self._cache_name = "cache" if "cache" in named else "past_key_values"
        config = self._model.config
        kinds = getattr(config, "layer_types", None) or ["full_attention"]
        if set(kinds) != {"full_attention"} or (kinds == ["full_attention"] and getattr(config, "sliding_window", 0)):
            raise InputError("the model has layers with a sliding window", str(folder), "sample it with vllm")
        ends = self._model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        self._ends = sorted({int(end) for end in [*listed, self._tokenizer.eos_token_id] if end is not None})
        if not self._ends:
            raise InputError("neither tokenizer nor generation config names an end-of-text token", str(folder))

    def chunks(self, requests: Sequence[Request], settings: Settings, seed: int) -> list[ChunkPlan]:
        """Cut requests into fixed chunks; see `tao.sampling.protocol.plan_chunks`.

        Raises:
            InputError: A prompt is too long, a key occurs twice, or the model has too few positions.
        """
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions and settings.max_prompt_tok + settings.max_new_tok > positions:
            raise InputError(
                f"max_prompt_tok + max_new_tok = {settings.max_prompt_tok + settings.max_new_tok}, "
                f"the model has {positions} positions",
                str(self.folder),
                "lower one of them",
            )
        identity = {"sampler": self.name, "weights": self.weights_hash}
        return plan_chunks(requests, [len(ids) for ids in self._encode(requests)], settings, seed, identity)

    def run(self, plan: ChunkPlan) -> Chunk:
        """Generate one chunk: the same bytes whenever and wherever in a run it is generated."""
        import torch

        encoded = self._encode(plan.requests)
        rows = fit(len(encoded), plan.settings.chunk_size(plan.requests[0].n))
        filled = encoded + [encoded[0]] * (rows - len(encoded))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (plan.pad_tok - len(row)) + row for row in filled])
        mask = torch.tensor([[0] * (plan.pad_tok - len(row)) + [1] * len(row) for row in filled])
        with _undisturbed(self._threads), torch.inference_mode():
            decoded = self._decode(ids, mask, plan)
        owners = [(request, index) for request in plan.requests for index in range(request.n)]
        lengths = dict(zip((request.key for request in plan.requests), map(len, encoded), strict=True))
        completions = tuple(
            Completion(
                key=request.key,
                index=index,
                text=self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False),
                token_ids=tuple(tokens),
                prompt_tok=lengths[request.key],
                finish_reason="stop" if finished else "length",
                certainty=certainty,
            )
            for (request, index), tokens, finished, certainty in zip(
                owners, decoded.tokens, decoded.finished, decoded.certainty, strict=True
            )
        )
        return Chunk(
            id=plan.id,
            completions=completions,
            prompt_tok=sum(map(len, encoded)),
            completion_tok=sum(map(len, decoded.tokens)),
            prefill_rows=rows,
            pad_tok=plan.pad_tok,
            decode_rows=tuple(decoded.decode_rows),
            prefix_rows=tuple(decoded.prefix_rows),
        )

    def close(self) -> None:
        """Release the model."""
        self._model = None

    def _encode(self, requests: Sequence[Request]) -> list[list[int]]:
        chats = [[{"role": m.role, "content": m.content} for m in request.messages] for request in requests]
        encoded: list[list[int]] = self._tokenizer.apply_chat_template(
            chats, tokenize=True, add_generation_prompt=True, return_dict=False
        )
        return encoded

    def _decode(self, ids_PS: Tensor, mask_PS: Tensor, plan: ChunkPlan) -> _Decoded:
        """Prefill the prompts once, then decode all samples of all requests together."""
        import torch

        from tao.sampling.shared_prefix import SharedPrefix

        model, device = self._model, self._model.device
        n, steps, temperature = plan.requests[0].n, plan.settings.max_new_tok, plan.settings.temperature
        samples = len(plan.requests) * n
        full = plan.settings.chunk_size(n) * n
        generator = torch.Generator().manual_seed(int(plan.id, 16) % 2**63)
        uniform_RT = torch.rand((samples, steps), generator=generator, dtype=torch.float64).to(device)
        ends = torch.tensor(self._ends, device=device)
        ids_PS, mask_PS = ids_PS.to(device), mask_PS.to(device)
        position_PS = (mask_PS.cumsum(1) - 1).clamp(min=0)
        prefill = model(ids_PS, attention_mask=mask_PS, position_ids=position_PS, use_cache=True, logits_to_keep=1)
        layers = getattr(prefill, self._cache_name).layers
        kind = torch.float32 if device.type == "cpu" else model.dtype
        cache = SharedPrefix([x.keys for x in layers], [x.values for x in layers], mask_PS.bool(), kind)
        # A four-dimensional mask tells transformers that there is none to build: the cache knows the padding.
        no_mask = torch.zeros(1, 1, 1, 1, device=device)

        sample_R = torch.arange(samples, device=device)
        sample_R = torch.cat([sample_R, sample_R.new_zeros(fit(samples, full) - samples)])
        live_R = torch.arange(len(sample_R), device=device) < samples
        position_R = position_PS[sample_R // n, -1]
        logits_RV = prefill.logits[sample_R // n, -1]
        del prefill, layers
        cache.start(sample_R.tolist(), sample_R // n)
        out = torch.full((samples, steps), -1, device=device)
        sure_S = torch.zeros(samples, dtype=torch.float64, device=device)
        decode_rows: list[int] = []
        prefix_rows: list[int] = []
        for step in range(steps):
            token_R = pick(logits_RV, temperature, uniform_RT[sample_R, step])
            out[sample_R[live_R], step] = token_R[live_R]
            if plan.settings.certainty:
                sure_S[sample_R[live_R]] += kl_from_uniform(logits_RV[live_R])
            live_R = live_R & ~torch.isin(token_R, ends)
            alive = int(live_R.sum())
            if alive == 0 or step == steps - 1:
                break
            if (rows := fit(alive, full)) < len(sample_R):
                kept = live_R.nonzero()[:, 0].tolist()
                kept += kept[:1] * (rows - alive)
                cache.select(kept)
                token_R, sample_R, position_R = token_R[kept], sample_R[kept], position_R[kept]
                live_R = torch.arange(rows, device=device) < alive
            position_R = position_R + 1
            cache.advance()
            logits_RV = model(
                token_R[:, None],
                attention_mask=no_mask,
                position_ids=position_R[:, None],
                use_cache=True,
                logits_to_keep=1,
                shared=cache,
                **{self._cache_name: cache},
            ).logits[:, -1]
            decode_rows.append(len(sample_R))
            prefix_rows.append(cache.prefix_rows)
        tokens = [[token for token in row if token >= 0] for row in out.tolist()]
        certainty: list[float | None] = [None] * samples
        if plan.settings.certainty:
            certainty = [round(total / len(row), 6) for total, row in zip(sure_S.tolist(), tokens, strict=True)]
        return _Decoded(tokens, [row[-1] in self._ends for row in tokens], decode_rows, prefix_rows, certainty)


def pick(logits_RV: Tensor, temperature: float, uniform_R: Tensor) -> Tensor:
    """Draw one token a row from softmax(logits / temperature) by inverting its distribution function.

    Args:
        logits_RV: Scores of R rows over V tokens.
        temperature: 0 takes the largest.
        uniform_R: One number in [0, 1) a row, float64.

    Returns:
        Token ids, (R,).
    """
    import torch

    if temperature == 0:
        return logits_RV.argmax(-1)
    weights = torch.softmax(logits_RV.float() / temperature, -1)
    upto = weights.cumsum(-1, dtype=torch.float64)
    # A token is drawn if its cumulated weight is the first above the number: one of weight 0 never is.
    drawn = torch.searchsorted(upto, (uniform_R * upto[:, -1])[:, None], right=True)[:, 0]
    return drawn.clamp(max=logits_RV.shape[-1] - 1)


def kl_from_uniform(logits_RV: Tensor) -> Tensor:
    """KL(uniform || softmax(logits)) of each row, in nats: what self-certainty is the mean of over an answer's tokens.

    It is -log V - mean_j log p_j = logsumexp(logits) - mean(logits) - log V (arXiv 2502.18581).

    Args:
        logits_RV: Scores of R rows over V tokens.

    Returns:
        (R,), float64, 0 or more.
    """
    wide_RV = logits_RV.double()
    return wide_RV.logsumexp(-1) - wide_RV.mean(-1) - math.log(wide_RV.shape[-1])


@contextmanager
def _undisturbed(threads: int) -> Iterator[None]:
    """Run with `threads` CPU threads; leave thread count and random state as they were."""
    import torch

    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)
