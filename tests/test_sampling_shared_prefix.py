"""Attention over a shared prompt and a row's own tokens is plain attention over both."""

from __future__ import annotations

import math

import pytest

PROMPTS, PAD_TOK, KV_HEADS, GROUPS, HEAD_DIM = 4, 7, 2, 3, 8


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 4e-2)])
def test_attention_equals_plain_softmax_whoever_leaves(dtype: str, tolerance: float) -> None:
    import torch

    from tao.sampling.shared_prefix import BLOCK_TOK, SharedPrefix

    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(kind)

    keys, values = normal(PROMPTS, KV_HEADS, PAD_TOK, HEAD_DIM), normal(PROMPTS, KV_HEADS, PAD_TOK, HEAD_DIM)
    attended = torch.arange(PAD_TOK)[None] >= torch.tensor([0, 2, 5, PAD_TOK - 1])[:, None]
    cache = SharedPrefix([keys], [values], attended, kind)
    owner = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    names = [*range(12), 0, 0]
    own: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in names}
    cache.start(names, torch.tensor([owner[name] for name in names]))
    leaving = {3: [1, 2, 3, 7, 8, 1], 5: [2, 3, 7], 40: [7, 7]}  # step: who stays, fill rows last
    rectangles = []
    for step in range(BLOCK_TOK + 12):
        if step in leaving:
            cache.select([names.index(name) for name in leaving[step]])
            names = leaving[step]
        cache.advance()
        fresh = {name: [normal(GROUPS * KV_HEADS, HEAD_DIM), *normal(2, KV_HEADS, HEAD_DIM)] for name in set(names)}
        query, key, value = (torch.stack([fresh[name][i] for name in names]).unsqueeze(2) for i in range(3))
        for name in fresh:
            own[name].append((fresh[name][1], fresh[name][2]))
        cache.update(key, value, 0)
        scaling = HEAD_DIM**-0.5
        got = cache.attend(0, query, scaling)
        assert got.shape == (len(names), 1, GROUPS * KV_HEADS, HEAD_DIM) and got.dtype == kind
        rectangles.append(cache.prefix_rows)
        for row, name in enumerate(names):
            real = attended[owner[name]]
            k = torch.cat([keys[owner[name]][:, real], torch.stack([k for k, _ in own[name]], 1)], 1).float()
            v = torch.cat([values[owner[name]][:, real], torch.stack([v for _, v in own[name]], 1)], 1).float()
            q = query[row].view(KV_HEADS, GROUPS, HEAD_DIM).float()
            plain = torch.softmax(q @ k.transpose(1, 2) * scaling, -1) @ v
            error = (got[row].view(KV_HEADS, GROUPS, HEAD_DIM).float() - plain).abs().max()
            assert math.isfinite(error) and error < tolerance, (step, name)
    # 4 prompts x 3; prompt 3 gone: 3 x 2; still 3 x 2 (one prompt each); one prompt, one sample.
    assert [rectangles[step] for step in (0, 3, 5, 40)] == [12, 6, 3, 1]
