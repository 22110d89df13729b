"""FLOPs equal torch's counter to the last one; the ledger charges everything once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao import compute
from tao.compute import Entry, Ledger, ModelShape
from tao.errors import InputError

SHAPE = ModelShape(layers=2, hidden=24, heads=4, kv_heads=2, head_dim=6, ffn=40, vocab=64)
SEQ_TOK, BATCH = 11, 3


def _model(kv_heads: int, attention: str, head_dim: int = 16) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM._from_config(config, attn_implementation=attention)


@pytest.mark.parametrize(("kv_heads", "head_dim"), [(4, 16), (2, 16), (1, 12)])
def test_eager_forward_and_training_equal_the_counter(kv_heads: int, head_dim: int) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = _model(kv_heads, "eager", head_dim)
    shape = ModelShape.from_config(model.config)
    ids = torch.randint(97, (BATCH, SEQ_TOK))
    with FlopCounterMode(display=False) as forward:
        model(ids, use_cache=False)
    assert forward.get_total_flops() == BATCH * compute.forward_flop(shape, SEQ_TOK)
    with FlopCounterMode(display=False) as last:
        model(ids, use_cache=False, logits_to_keep=4)
    assert last.get_total_flops() == BATCH * compute.forward_flop(shape, SEQ_TOK, 4)
    with FlopCounterMode(display=False) as training:
        model(ids, labels=ids, use_cache=False).loss.backward()
    assert training.get_total_flops() == BATCH * compute.training_flop(shape, SEQ_TOK)


@pytest.mark.parametrize("padded", [False, True])
def test_sdpa_forward_and_training_equal_the_counter(padded: bool, cpu_flash: dict[Any, Any]) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = _model(2, "sdpa")
    shape = ModelShape.from_config(model.config)
    ids, mask = torch.randint(97, (BATCH, SEQ_TOK)), torch.ones(BATCH, SEQ_TOK, dtype=torch.long)
    if padded:
        mask[0, :4] = 0
    with FlopCounterMode(display=False, custom_mapping=cpu_flash) as forward:
        model(ids, attention_mask=mask, use_cache=False)
    assert forward.get_total_flops() == BATCH * compute.forward_flop(shape, SEQ_TOK)
    with FlopCounterMode(display=False, custom_mapping=cpu_flash) as training:
        model(ids, attention_mask=mask, labels=ids, use_cache=False).loss.backward()
    expected = compute.training_flop(shape, SEQ_TOK) + compute.flash_recompute_flop(shape, SEQ_TOK)
    assert training.get_total_flops() == BATCH * expected


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_cached_generation_equals_the_counter(attention: str, cpu_flash: dict[Any, Any]) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = _model(2, attention)
    prompt_tok, completion_tok = 9, 6
    ids = torch.randint(97, (1, prompt_tok))
    with FlopCounterMode(display=False, custom_mapping=cpu_flash) as counter:
        model.generate(ids, do_sample=False, min_new_tokens=completion_tok, max_new_tokens=completion_tok)
    shape = ModelShape.from_config(model.config)
    assert counter.get_total_flops() == compute.generation_flop(shape, prompt_tok, [completion_tok])


@given(st.integers(1, 400), st.lists(st.integers(1, 90), min_size=1, max_size=5))
def test_generation_is_the_sum_over_tokens(prompt_tok: int, lengths: list[int]) -> None:
    w, a, h = SHAPE.matrix_params, SHAPE.attention_flop, SHAPE.head_flop
    expected = prompt_tok * 2 * w + a * prompt_tok**2 + h
    expected += sum(2 * w + h + a * (prompt_tok + i) for length in lengths for i in range(1, length))
    assert compute.generation_flop(SHAPE, prompt_tok, lengths) == expected
    # Without padding, fill or a ragged end, what is executed is what is needed.
    rows, longest = len(lengths), max(lengths)
    steps = [rows] * (longest - 1)
    device = compute.generation_device_flop(SHAPE, 1, prompt_tok, steps, steps)
    assert device == compute.generation_flop(SHAPE, prompt_tok, [longest] * rows) >= expected


def test_shape_is_read_from_folder_file_mapping_and_config(tiny_model: Path) -> None:
    raw = json.loads((tiny_model / "config.json").read_text())
    shape = ModelShape.from_config(tiny_model)
    assert shape == ModelShape.from_config(raw) == ModelShape.from_config(str(tiny_model / "config.json"))
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.head_dim) == (3, 48, 4, 2, 12)
    del raw["head_dim"]
    assert ModelShape.from_config(raw).head_dim == shape.head_dim


def test_shapes_without_a_closed_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no closed-form FLOPs for model type 'mixtral'"):
        ModelShape.from_config({"model_type": "mixtral"})
    with pytest.raises(InputError, match="lacks 'hidden_size'"):
        ModelShape.from_config({"model_type": "llama", "num_attention_heads": 4})
    with pytest.raises(InputError, match="cannot be read"):
        ModelShape.from_config(tmp_path / "nowhere" / "config.json")


def test_an_entry_is_charged_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "run" / "ledger.jsonl")
    entry = Entry("explore", 0, "samples.jsonl", model_flop=7, device_flop=9, prompt_tok=2, completion_tok=3)
    assert ledger.charge(entry)
    before = ledger.path.read_bytes()
    assert not ledger.charge(entry)
    assert ledger.path.read_bytes() == before
    with pytest.raises(InputError, match="other amounts"):
        ledger.charge(Entry("explore", 0, "samples.jsonl", model_flop=8))


def test_totals_by_stage_and_round(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for entry in (
        Entry("explore", 0, "a", model_flop=1, device_flop=2, completion_tok=5),
        Entry("train", 0, "a", model_flop=10, device_flop=11, train_tok=6),
        Entry("explore", 1, "a", model_flop=100, device_flop=200, completion_tok=7),
        Entry("evaluate", 0, "dev", model_flop=1000),
    ):
        assert ledger.charge(entry)
    totals = ledger.totals()
    assert list(totals) == ["explore", "train", "evaluate"]
    assert (totals["explore"].model_flop, totals["explore"].device_flop) == (101, 202)
    assert totals["explore"].completion_tok == 12
    assert ledger.totals(rounds=[0])["explore"].model_flop == 1
    assert ledger.tuning_flop() == 111


def test_lost_work_is_charged_apart_and_is_no_part_of_the_method(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.charge_lost(Entry("explore", 0, "chunk x, attempt 1", device_flop=5, completion_tok=3))
    assert ledger.entries() == []
    assert [entry.device_flop for entry in ledger.lost()] == [5]
    with pytest.raises(InputError, match="no model_flop"):
        ledger.charge_lost(Entry("explore", 0, "chunk x, attempt 2", model_flop=5))


def test_a_torn_last_line_is_no_entry_and_is_mended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.charge(Entry("explore", 0, "a", model_flop=1))
    whole = ledger.path.read_bytes()
    with ledger.path.open("ab") as handle:
        handle.write(b'{"stage": "tra')
    assert len(ledger.entries()) == 1
    ledger.charge(Entry("train", 0, "a", model_flop=2))
    assert ledger.path.read_bytes().startswith(whole)
    assert [entry.stage for entry in ledger.entries()] == ["explore", "train"]


def test_bad_entries_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown ledger stage 'exploring'"):
        Entry("exploring", 0, "a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"negative \(train_tok\)"):
        Entry("train", 0, "a", train_tok=-1)
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"stage": "train", "round": 0, "note": "a"}\n{"stage": "train"}\n')
    with pytest.raises(InputError, match=r"ledger.jsonl:2"):
        Ledger(path).entries()


def test_plans_equal_what_constant_lengths_would_cost() -> None:
    plan = compute.plan_tao(
        SHAPE,
        prompts=5,
        prompt_tok=20,
        completion_tok=7,
        samples=4,
        rounds=3,
        epochs=2,
        views=2,
        trained_share=0.5,
        logp_passes=1,
    )
    view = compute.generation_flop(SHAPE, 20, [7, 7])
    assert plan.explore == 3 * 5 * 2 * view
    assert plan.train == 3 * 5 * 2 * (2 * compute.training_flop(SHAPE, 27) + compute.forward_flop(SHAPE, 27))
    assert plan.total == plan.explore + plan.train
    sft = compute.plan_sft(SHAPE, labels=10, prompt_tok=20, target_tok=7, epochs=3)
    assert (sft.explore, sft.train) == (0, 30 * compute.training_flop(SHAPE, 27))
