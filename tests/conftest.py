"""Shared fixtures: a tiny model with random weights and a tokenizer with the chat template."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# how fast a busy machine draws examples is no property of what is tested
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_tokenizer(folder: Path) -> int:
    """Save a byte-level tokenizer (one token a byte and the chat's special tokens); returns its size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate([*SPECIAL, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[1], chat_template=CHAT_TEMPLATE
    ).save_pretrained(str(folder))
    return len(SPECIAL) + len(alphabet)


def write_model(folder: Path, *, vocab: int, seed: int = 0, ends: tuple[int, ...] = (1,), **shape: int) -> None:
    """Save a Llama with random weights; `ends` are its end-of-text ids."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    config = LlamaConfig(
        **{**sizes, **shape},
        vocab_size=vocab,
        tie_word_embeddings=True,
        initializer_range=0.2,  # wide, so that greedy choices are clear and samples differ
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=list(ends),
    )
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(str(folder))
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a 0.1 M-parameter Llama (grouped-query, tied embeddings) with random weights.

    Besides ``<|end|>`` sixteen other tokens end its answers, so that lengths vary.
    """
    folder = tmp_path_factory.mktemp("tiny_model")
    vocab = write_tokenizer(folder)
    write_model(folder, vocab=vocab, ends=(1, *range(200, 216)))
    return folder


@pytest.fixture(scope="session")
def cpu_flash() -> dict[Any, Any]:
    """Formulas torch's FLOP counter lacks: its own for sdpa, applied to the CPU kernel (else counted as 0)."""
    import torch
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))

    def backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_backward_flop_count(grad, query, key, value))

    aten = torch.ops.aten
    return {
        aten._scaled_dot_product_flash_attention_for_cpu: forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }


@pytest.fixture(scope="session")
def taught_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model after a short lesson in the toy task's form: it answers with a number, often the wrong one."""
    import toy

    return toy.taught(tiny_model, tmp_path_factory.mktemp("taught") / "model")


@pytest.fixture(scope="session")
def toy_pool_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy task's pool as a file: 12 prompts, each with a document of two lines."""
    import toy

    from tao.prompts import write_prompts
    from tao_bench.registry import load_task

    path = tmp_path_factory.mktemp("toy_pool") / "pool.jsonl"
    write_prompts(path, load_task("toy_task", [toy.TASK]).pool())
    return path


@pytest.fixture(scope="session")
def toy_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One round on the toy task, as `tao` reads it."""
    path = tmp_path_factory.mktemp("toy_recipe") / "recipe.yaml"
    path.write_text(
        "rounds: 1\nsamples: 6\nmax_prompt_tok: 64\nmax_new_tok: 6\nmax_row_tok: 128\nlearning_rate: 2.0e-3\n"
        "batch_size: 8\n"
    )
    return path


@pytest.fixture(scope="session")
def toy_run(
    taught_model: Path, toy_pool_file: Path, toy_recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished `tao tune` of one round on the toy task, by its command."""
    from tao.cli import main

    out = tmp_path_factory.mktemp("toy_run") / "run"
    command = ["tune", "--model", str(taught_model), "--prompts", str(toy_pool_file), "--answers", "number"]
    assert main([*command, "--recipe", str(toy_recipe), "--name", "Toy", "--out", str(out)]) == 0
    return out
