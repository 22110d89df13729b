"""Whether a folder holds a model that can be loaded, asked before anything is spent on it."""

from __future__ import annotations

import json
from pathlib import Path

from tao.compute import ModelShape
from tao.errors import InputError

PARTS = (
    "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj "
    "input_layernorm post_attention_layernorm"
).split()
"""Weights of every layer in the architectures of `tao.compute.LLAMA_SHAPED`."""
FIX = "name a folder with config.json, *.safetensors and a tokenizer, as save_pretrained writes them"


def check_checkpoint(folder: Path) -> None:
    """Refuse a folder that transformers could not load, or would load without a word about what is missing.

    No config, no tokenizer; weights that are missing, cut off, garbage, or lack a layer. Only headers are read, so it
    takes no time for large models.

    Raises:
        InputError: See above.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("a model is a folder, this is a file", str(folder), FIX)
    if not folder.exists():
        raise InputError("no such folder", str(folder), FIX)
    shape = ModelShape.from_config(folder)
    shards = _shards(folder)
    if not shards:
        raise InputError("no weights here (no *.safetensors)", str(folder), FIX)
    held = {name.removeprefix("model.") for shard in shards for name in _tensors(shard)}
    wanted = ["embed_tokens.", *(f"layers.{layer}.{part}." for layer in range(shape.layers) for part in PARTS), "norm."]
    missing = [name for name in wanted if not any(tensor.startswith(name) for tensor in held)]
    if missing:
        # transformers would fill them with random numbers and go on.
        what = f"the weights lack {missing[0]}* and {len(missing) - 1} more" if missing[1:] else f"no {missing[0]}*"
        raise InputError(f"incomplete weights: {what}", str(folder), "copy the checkpoint again")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        raise InputError("no tokenizer here", str(folder), FIX)


def _shards(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not an index of weights ({error!r})", str(index), "copy the checkpoint again") from error
    return [folder / str(name) for name in names]


def _tensors(shard: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(shard, framework="numpy") as opened:
            return [str(name) for name in opened.keys()]  # noqa: SIM118 (no mapping)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", str(shard), "copy the checkpoint again"
        ) from error
    except SafetensorError as error:
        raise InputError(f"damaged weights ({error})", str(shard), "copy the checkpoint again") from error
