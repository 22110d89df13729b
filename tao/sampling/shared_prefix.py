"""Decoding many samples of one prompt without copying the prompt: a KV cache with a shared prefix.

The keys and values of a prompt are held once. At each step the live samples of a prompt attend to
them together, as one matrix product, and to their own generated tokens apart; the two partial
softmaxes are merged through their log-sum-exp, which is exact (Juravsky et al., "Hydragen",
arXiv 2402.05099, section 3.1). On CPU the cache and its products should be float32: batched
float32 products are faster there than bfloat16 ones, which compile a kernel for every new shape.

Shapes: P prompts, S padded prompt length, R rows (live samples and fill), H query heads,
K key-value heads, D head size, m samples of a prompt side by side.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NAME = "tao_shared_prefix"
BLOCK_TOK = 32


def register() -> None:
    """Make the attention known to transformers under `NAME`; without a shared cache it is plain sdpa."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attention(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *,
        scaling: float | None = None,
        shared: SharedPrefix | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        if shared is None:
            output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
            return output, None
        return shared.attend(module.layer_idx, query, scaling or query.shape[-1] ** -0.5), None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


class SharedPrefix:
    """Cache of one chunk while it is decoded; what transformers calls ``past_key_values``.

    Args:
        keys: Per layer, (P, K, S, D) of the prefill.
        values: Likewise.
        attended_PS: True where a prompt position is no padding.
        kind: Dtype of the cache and its products; scores and their softmax are float32 in any case.
    """

    def __init__(self, keys: list[Tensor], values: list[Tensor], attended_PS: Tensor, kind: torch.dtype) -> None:
        self.prompts, self.kv_heads, _, self.head_dim = keys[0].shape
        self.prefix_k = [k.to(kind).flatten(0, 1) for k in keys]
        self.prefix_v = [v.to(kind).flatten(0, 1) for v in values]
        self.bias = torch.zeros_like(attended_PS, dtype=kind).masked_fill(~attended_PS, float("-inf"))[:, None]
        self.suffix_k: list[Tensor] = []
        self.suffix_v: list[Tensor] = []
        self.length = 0
        self.rows = 0
        self.prefix_rows = 0
        self._prompt_R = torch.empty(0, dtype=torch.long)
        self._slot_R: Tensor | None = None
        self._distinct = 0

    def start(self, names: list[int], prompt_R: Tensor) -> None:
        """Give every row its prompt; nothing is generated yet.

        Args:
            names: Which sample a row is; fill rows repeat a name and stand last.
            prompt_R: Prompt of each row.
        """
        self._prompt_R, self.rows = prompt_R, len(prompt_R)
        empty = self.prefix_k[0].new_empty(self.rows * self.kv_heads, BLOCK_TOK, self.head_dim)
        self.suffix_k = [torch.empty_like(empty) for _ in self.prefix_k]
        self.suffix_v = [torch.empty_like(empty) for _ in self.prefix_k]
        self._lay_out(names)

    def select(self, rows: list[int]) -> None:
        """Go on with these rows only, in this order; fill rows repeat a row and stand last."""
        index = torch.tensor(rows, device=self._prompt_R.device)
        for layer in range(len(self.prefix_k)):
            self.suffix_k[layer] = self._rows(self.suffix_k[layer], index)
            self.suffix_v[layer] = self._rows(self.suffix_v[layer], index)
        self._prompt_R, self.rows = self._prompt_R[index], len(rows)
        kept, renumbered = torch.unique(self._prompt_R, return_inverse=True)
        if 4 * len(kept) <= 3 * self.prompts:
            for layer in range(len(self.prefix_k)):
                self.prefix_k[layer] = self._prompt_rows(self.prefix_k[layer], kept)
                self.prefix_v[layer] = self._prompt_rows(self.prefix_v[layer], kept)
            self.bias, self._prompt_R, self.prompts = self.bias[kept], renumbered, len(kept)
        self._lay_out(rows)

    def advance(self) -> None:
        """Make room for one more token a row; call before each step."""
        self.length += 1
        if self.length > self.suffix_k[0].shape[1]:
            more = self.suffix_k[0].new_empty(self.rows * self.kv_heads, BLOCK_TOK, self.head_dim)
            self.suffix_k = [torch.cat([k, more], 1) for k in self.suffix_k]
            self.suffix_v = [torch.cat([v, more], 1) for v in self.suffix_v]

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store a step's keys and values, (R, K, 1, D); called by the model's attention."""
        self.suffix_k[layer_idx][:, self.length - 1] = key.reshape(-1, self.head_dim)
        self.suffix_v[layer_idx][:, self.length - 1] = value.reshape(-1, self.head_dim)
        return key, value

    def attend(self, layer: int, query: Tensor, scaling: float) -> Tensor:
        """Attention of one token a row over its prompt and its own tokens.

        Args:
            layer: Layer.
            query: (R, H, 1, D).
            scaling: Multiplies the scores.

        Returns:
            (R, 1, H, D), in the query's dtype.
        """
        heads, head_dim = query.shape[1], query.shape[3]
        q = (query.to(self.bias.dtype) * scaling).reshape(self.rows, self.kv_heads, -1, head_dim)
        over_prompt, weight_prompt = self._over_prompt(layer, q)
        over_own, weight_own = self._over_own(layer, q)
        share = torch.sigmoid(weight_prompt - weight_own)[..., None]
        mixed = torch.lerp(over_own.float(), over_prompt.float(), share)
        return mixed.reshape(self.rows, 1, heads, head_dim).to(query.dtype)

    def _over_prompt(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over the prompts: output (R, K, H/K, D) and log-sum-exp of the scores (R, K, H/K)."""
        groups, head_dim = q.shape[2:]
        side = self.prefix_rows // self.prompts
        if self._slot_R is not None:
            grid = q.new_zeros(self.prefix_rows, self.kv_heads, groups, head_dim)
            grid[self._slot_R[: self._distinct]] = q[: self._distinct]
            q = grid
        q = q.view(self.prompts, side, self.kv_heads, groups, head_dim).transpose(1, 2)
        q = q.reshape(self.prompts * self.kv_heads, side * groups, head_dim)
        scores = torch.bmm(q, self.prefix_k[layer].transpose(1, 2)).view(self.prompts, -1, self.bias.shape[-1])
        scores += self.bias
        weights = torch.softmax(scores, -1, dtype=torch.float32)
        # The largest weight is exp(largest score - lse) and never 0, so this needs no second pass of exponentials.
        lse = scores.amax(-1).float() - weights.amax(-1).log()
        shape = (self.prompts, self.kv_heads, side, groups)
        output = torch.bmm(weights.to(q.dtype).view(*q.shape[:2], -1), self.prefix_v[layer])
        output = output.view(*shape, head_dim).transpose(1, 2).reshape(-1, self.kv_heads, groups, head_dim)
        lse = lse.view(shape).transpose(1, 2).reshape(-1, self.kv_heads, groups)
        return (output, lse) if self._slot_R is None else (output[self._slot_R], lse[self._slot_R])

    def _over_own(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over the generated tokens; shapes as in `_over_prompt`."""
        k, v = self.suffix_k[layer][:, : self.length], self.suffix_v[layer][:, : self.length]
        scores = torch.bmm(q.flatten(0, 1), k.transpose(1, 2)).float()
        output = torch.bmm(torch.softmax(scores, -1).to(q.dtype), v)
        return output.view(q.shape), torch.logsumexp(scores, -1).view(q.shape[:3])

    def _rows(self, suffix: Tensor, index: Tensor) -> Tensor:
        kept = suffix.view(-1, self.kv_heads, *suffix.shape[1:])[index, :, : self.length]
        room = kept.new_empty(*kept.shape[:2], -(-(self.length + 1) // BLOCK_TOK) * BLOCK_TOK, self.head_dim)
        room[:, :, : self.length] = kept
        return room.flatten(0, 1)

    def _prompt_rows(self, prefix: Tensor, kept: Tensor) -> Tensor:
        return prefix.view(self.prompts, self.kv_heads, *prefix.shape[1:])[kept].flatten(0, 1)

    def _lay_out(self, names: list[int]) -> None:
        """Find each row's place in the (prompt, sample) rectangle; fill rows look where their original does."""
        taken = [0] * self.prompts
        place: dict[int, tuple[int, int]] = {}
        for name, prompt in zip(names, self._prompt_R.tolist(), strict=True):
            if name not in place:
                place[name] = (prompt, taken[prompt])
                taken[prompt] += 1
        side, self._distinct = max(taken), len(place)
        slots = [place[name][0] * side + place[name][1] for name in names]
        self.prefix_rows = side * self.prompts
        in_order = slots == list(range(self.prefix_rows))
        self._slot_R = None if in_order else torch.tensor(slots, device=self._prompt_R.device)
