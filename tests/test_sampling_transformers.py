"""The default sampler: exact, seeded by content, and it leaves no trace in the process."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tao.compute import ModelShape
from tao.errors import InputError
from tao.prompts import Message
from tao.sampling.protocol import Request, Settings
from tao.sampling.transformers_sampler import TransformersSampler, fit, pick

GREEDY = Settings(max_prompt_tok=80, max_new_tok=24, temperature=0.0, chunk_prompts=4)
WARM = replace(GREEDY, temperature=0.8)


def requests(count: int, n: int, seed: int = 0) -> list[Request]:
    rng = random.Random(seed)
    texts = ["".join(rng.choices("abcdefgh 0123", k=rng.randint(5, 70))) for _ in range(count)]
    return [Request(f"p{i}", (Message("user", text),), n) for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def exact(tiny_model: Path) -> TransformersSampler:
    return TransformersSampler(tiny_model, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def half(tiny_model: Path) -> TransformersSampler:
    return TransformersSampler(tiny_model, device="cpu")


def encode(tokenizer: Any, request: Request) -> list[int]:
    chat = [{"role": m.role, "content": m.content} for m in request.messages]
    ids: list[int] = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    return ids


@pytest.mark.parametrize("n", [1, 3])
def test_greedy_equals_generate_token_for_token(exact: TransformersSampler, tiny_model: Path, n: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    lengths = set()
    for plan in exact.chunks(requests(9, n), GREEDY, seed=0):
        by_key = {request.key: request for request in plan.requests}
        for completion in exact.run(plan).completions:
            ids = encode(tokenizer, by_key[completion.key])
            with torch.no_grad():
                out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=GREEDY.max_new_tok)
            assert list(completion.token_ids) == out[0, len(ids) :].tolist()
            assert completion.prompt_tok == len(ids)
            lengths.add(len(completion.token_ids))
    assert len(lengths) > 2, "all answers equally long: rows never left the batch"


def test_every_sampled_token_is_the_one_its_number_picks(exact: TransformersSampler, tiny_model: Path) -> None:
    """Teacher-forced without any cache, each drawn token covers its uniform number: no top-k, no top-p, T exact."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    n, tolerance = 5, 1e-4
    for plan in exact.chunks(requests(6, n), WARM, seed=3):
        generator = torch.Generator().manual_seed(int(plan.id, 16) % 2**63)
        uniform = torch.rand((len(plan.requests) * n, WARM.max_new_tok), generator=generator, dtype=torch.float64)
        by_key = {request.key: request for request in plan.requests}
        for row, completion in enumerate(exact.run(plan).completions):
            ids, drawn = encode(tokenizer, by_key[completion.key]), torch.tensor(completion.token_ids)
            with torch.no_grad():
                logits = model(torch.tensor([ids + list(completion.token_ids)])).logits[0, len(ids) - 1 : -1]
            upto = torch.softmax(logits.double() / WARM.temperature, -1).cumsum(-1)
            above = upto.gather(1, drawn[:, None])[:, 0]
            weight = torch.softmax(logits.double() / WARM.temperature, -1).gather(1, drawn[:, None])[:, 0]
            number = uniform[row, : len(drawn)]
            assert bool((number <= above + tolerance).all())
            assert bool((number >= above - weight - tolerance).all())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_pick_draws_from_the_softmax(temperature: float) -> None:
    import torch
    from scipy.stats import chisquare

    logits = torch.tensor([2.0, 0.0, -1.0, float("-inf"), 1.0, 0.5])
    draws = 20_000
    uniform = torch.rand(draws, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.bincount(pick(logits.expand(draws, -1), temperature, uniform), minlength=6)
    expected = torch.softmax(logits.double() / temperature, -1) * draws
    assert counts[3] == 0
    kept = [0, 1, 2, 4, 5]
    assert chisquare(counts[kept].numpy(), expected[kept].numpy()).pvalue > 1e-3


def test_pick_at_the_ends_of_the_unit_interval() -> None:
    import torch

    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]]).expand(2, -1)
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert pick(logits, 1.0, ends).tolist() == [1, 2]
    assert pick(torch.tensor([[0.0, 3.0, 1.0]]), 0.0, ends[:1]).tolist() == [1]


def test_a_chunks_bytes_depend_on_its_content_only(half: TransformersSampler, tiny_model: Path) -> None:
    import torch

    asked = requests(10, 4)
    plans = half.chunks(asked, WARM, seed=1)
    first = {plan.id: half.run(plan) for plan in plans}
    torch.manual_seed(99)
    fresh = TransformersSampler(tiny_model, device="cpu")
    shuffled = random.Random(5).sample(asked, len(asked))
    again = fresh.chunks(shuffled, WARM, seed=1)
    assert again == plans
    for plan in reversed(again):
        assert fresh.run(plan) == first[plan.id]


def test_seed_settings_and_weights_change_the_chunk(half: TransformersSampler, exact: TransformersSampler) -> None:
    asked = requests(4, 2)
    variants = [
        half.chunks(asked, WARM, seed=1),
        half.chunks(asked, WARM, seed=2),
        half.chunks(asked, replace(WARM, temperature=0.9), seed=1),
        exact.chunks(asked, WARM, seed=1),
    ]
    ids = [tuple(plan.id for plan in plans) for plans in variants]
    assert len(set(ids)) == len(ids)
    one, two = (half.run(plans[0]).completions for plans in variants[:2])
    assert [c.token_ids for c in one] != [c.token_ids for c in two]


def test_samples_of_a_prompt_differ_and_rows_leave(half: TransformersSampler) -> None:
    (plan,) = half.chunks(requests(4, 8), replace(WARM, pad_lengths=1), seed=0)
    chunk = half.run(plan)
    assert len({c.token_ids for c in chunk.completions}) > 16
    assert chunk.decode_rows[0] == 32 > chunk.decode_rows[-1], "finished rows stayed in the batch"
    assert list(chunk.decode_rows) == sorted(chunk.decode_rows, reverse=True)
    assert set(chunk.decode_rows) <= {fit(rows, 32) for rows in range(1, 33)}


def test_finish_reasons_and_lengths(half: TransformersSampler, tiny_model: Path) -> None:
    ends = json.loads((tiny_model / "generation_config.json").read_text())["eos_token_id"]
    chunks = [half.run(plan) for plan in half.chunks(requests(6, 6), WARM, seed=0)]
    completions = [completion for chunk in chunks for completion in chunk.completions]
    assert {completion.finish_reason for completion in completions} == {"stop", "length"}
    for completion in completions:
        ended = completion.token_ids[-1] in ends
        assert completion.finish_reason == ("stop" if ended else "length")
        assert ended or len(completion.token_ids) == WARM.max_new_tok
        assert not set(completion.token_ids[:-1]) & set(ends)
        assert "<|" not in completion.text
    assert sum(chunk.completion_tok for chunk in chunks) == sum(len(c.token_ids) for c in completions)


def test_one_token_answers(half: TransformersSampler) -> None:
    (plan,) = half.chunks(requests(2, 2), replace(WARM, max_new_tok=1, pad_lengths=1), seed=0)
    chunk = half.run(plan)
    assert [len(c.token_ids) for c in chunk.completions] == [1] * 4
    assert chunk.decode_rows == ()


@pytest.mark.parametrize("count", [4, 3])
def test_device_flop_equals_the_counter(half: TransformersSampler, cpu_flash: dict[Any, Any], count: int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    assert isinstance(half.shape, ModelShape)
    plans = half.chunks(requests(count, 5), replace(WARM, pad_lengths=1), seed=0)
    (plan,) = plans
    with FlopCounterMode(display=False, custom_mapping=cpu_flash) as counter:
        chunk = half.run(plan)
    assert chunk.prefill_rows == count and chunk.pad_tok == WARM.max_prompt_tok
    assert counter.get_total_flops() == chunk.device_flop(half.shape)
    assert 0 < chunk.model_flop(half.shape) < chunk.device_flop(half.shape)


def test_the_process_is_left_as_found(tiny_model: Path) -> None:
    import numpy as np
    import torch

    def state() -> tuple[Any, ...]:
        numpy_state = np.random.get_state()[1]
        grad, threads = torch.is_grad_enabled(), torch.get_num_threads()
        return random.getstate(), torch.get_rng_state().tolist(), np.asarray(numpy_state).tolist(), grad, threads

    torch.set_num_threads(2)
    before = state()
    sampler = TransformersSampler(tiny_model, device="cpu")
    for plan in sampler.chunks(requests(3, 2), WARM, seed=0):
        sampler.run(plan)
    sampler.close()
    after = state()
    torch.set_num_threads(1)
    assert after == before


def test_long_prompts_are_named_before_anything_is_generated(half: TransformersSampler) -> None:
    asked = [*requests(3, 2), Request("novel", (Message("user", "a" * 90),), 2)]
    with pytest.raises(InputError, match=r"novel: the prompt has 93 tokens, 80 are allowed") as caught:
        half.chunks(asked, WARM, seed=0)
    assert "max_prompt_tok to 93" in str(caught.value)
    with pytest.raises(InputError, match="the model has 512 positions"):
        half.chunks(asked, replace(WARM, max_new_tok=500), seed=0)


def test_prompts_are_padded_to_few_lengths_and_chunks_are_full(half: TransformersSampler) -> None:
    plans = half.chunks(requests(40, 2), WARM, seed=0)
    assert {plan.pad_tok for plan in plans} <= set(range(10, 81, 10))
    for plan in plans:
        assert max(plan.prompt_tok) <= plan.pad_tok < min(plan.prompt_tok) + 10
    sizes = [(plan.pad_tok, len(plan.requests)) for plan in plans]
    for _, group in itertools.groupby(sizes, key=lambda pair: pair[0]):
        assert all(size == WARM.chunk_prompts for _, size in list(group)[:-1])


def drop_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def slide(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=16)
    (folder / "config.json").write_text(json.dumps(config))


def leave_nothing(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(drop_template, "no chat template"), (slide, "sliding window"), (leave_nothing, "no model here")],
)
def test_models_it_cannot_sample_are_refused(
    tiny_model: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    spoil(folder)
    with pytest.raises(InputError, match=message):
        TransformersSampler(folder, device="cpu")


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_self_certainty_equals_a_forward_pass(exact: TransformersSampler, tiny_model: Path, temperature: float) -> None:
    """Mean over the answer's tokens of KL(uniform || policy), by torch's own KL, whatever was sampled how hot."""
    import torch
    from torch.nn.functional import kl_div
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    settings = replace(WARM, temperature=temperature, certainty=True)
    found = []
    for plan in exact.chunks(requests(6, 4), settings, seed=3):
        by_key = {request.key: request for request in plan.requests}
        for completion in exact.run(plan).completions:
            ids, answer = encode(tokenizer, by_key[completion.key]), list(completion.token_ids)
            with torch.no_grad():
                logits = model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1].double()
            uniform = torch.full_like(logits, 1 / logits.shape[-1])
            expected = kl_div(torch.log_softmax(logits, -1), uniform, reduction="none").sum(-1).mean()
            assert completion.certainty == pytest.approx(float(expected), abs=1e-4)
            found.append((len(answer), completion.certainty))
    assert len({length for length, _ in found}) > 2 and max(c for _, c in found) - min(c for _, c in found) > 0.05


def test_measuring_certainty_changes_no_draw(half: TransformersSampler) -> None:
    asked = requests(6, 4)
    plain, measured = (half.chunks(asked, replace(WARM, certainty=on), seed=3) for on in (False, True))
    assert [plan.id for plan in plain] == [plan.id for plan in measured]
    assert "certainty" not in WARM.as_record()  # stages made before it keep their inputs, and their bytes
    assert replace(WARM, certainty=True).as_record() == {**WARM.as_record(), "certainty": True}
    for one, other in zip(plain, measured, strict=True):
        without, with_it = half.run(one), half.run(other)
        assert all(c.certainty is None for c in without.completions)
        assert all(c.certainty is not None and c.certainty > 0 for c in with_it.completions)
        assert replace(with_it, completions=tuple(replace(c, certainty=None) for c in with_it.completions)) == without
