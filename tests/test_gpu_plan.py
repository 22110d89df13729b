"""Plans for GPUs: sizes that are published, bounds computed by hand, and a dry run without weights or a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from test_make import SIZED
from test_registry import write_task

from tao.compute import ModelShape
from tao.errors import InputError
from tao.recipe import make_recipe
from tao_bench.cli import main
from tao_bench.gpu_plan import (
    ENGINE_STEP_S,
    FACTS,
    RUNTIME_BYTE,
    Hardware,
    gpu,
    kv_byte_tok,
    parameters,
    published,
    sampling,
    training_hours,
    training_memory,
)

SMALL, LARGE = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"
NODE = {"num_processes": 8, "fsdp": True}
EXPERIMENT = f"""
name: planned
model: {SMALL}
tasks: [more_sums]
made: {{more_sums: {{from: sums, n: 40}}}}
sampler: vllm
vllm: {{tensor_parallel_size: 8}}
hardware: {{gpu: H100-80GB, count: 8, usd_per_gpu_h: 2.0}}
arms:
  - arm: base
  - {{arm: sft, labels: 10, accelerate: {{num_processes: 8, fsdp: true}}, checkpointing: true}}
  - {{arm: tao, samples: 4, rounds: 2, recipe: {{accelerate: {{num_processes: 8, fsdp: true}}, checkpointing: true}}}}
"""


def shape_of(name: str) -> tuple[ModelShape, int]:
    known = published(name)
    assert known is not None
    return ModelShape.from_config(known.config), known.parameters


@pytest.mark.parametrize("name", yaml.safe_load(FACTS.read_text())["models"])
def test_published_shapes_add_up_to_the_published_count(name: str) -> None:
    known = published(name)
    assert known is not None and known.source.endswith(name)
    shape = ModelShape.from_config(known.config)
    assert parameters(shape, tied=known.config["tie_word_embeddings"]) == known.parameters


def test_decoding_alone_is_bound_by_reading_the_weights() -> None:
    """One sequence of 1,000 tokens: a thousand times 16 GB through 60 % of 3.35 TB/s and the step's own time."""
    shape, params = shape_of(SMALL)
    sizes: dict[str, Any] = {"prompts": 1, "prompt_tok": 10, "samples": 1, "longest_tok": 1100}
    none = sampling(shape, params, Hardware(count=1), {}, answer_tok=0, **sizes)
    some = sampling(shape, params, Hardware(count=1), {}, answer_tok=1000, **sizes)
    assert some.batch == 1 and some.fits
    steps_s = 1000 * (2 * params / (0.6 * 3.35e12) + ENGINE_STEP_S)
    assert 3600 * (some.hours - none.hours) == pytest.approx(steps_s, rel=0.01)
    assert kv_byte_tok(shape) == 131072  # 2 x 2 bytes x 32 layers x 8 heads x 128


def test_the_cache_bounds_the_batch_and_what_does_not_fit_is_said() -> None:
    shape, params = shape_of(LARGE)
    sizes: dict[str, Any] = {"prompts": 500, "prompt_tok": 8000, "samples": 1, "answer_tok": 500, "longest_tok": 9000}
    whole = sampling(shape, params, Hardware(), {"tensor_parallel_size": 8}, **sizes)
    half = sampling(shape, params, Hardware(), {"tensor_parallel_size": 4}, **sizes)
    assert half.batch < whole.batch <= 256 and whole.fits and whole.memory_byte <= 0.9 * 80e9
    assert half.hours > whole.hours
    assert not sampling(shape, params, Hardware(), {"tensor_parallel_size": 1}, **sizes).fits
    with pytest.raises(InputError, match="tensor_parallel_size 16 of 8 GPUs"):
        sampling(shape, params, Hardware(), {"tensor_parallel_size": 16}, **sizes)


def test_training_memory_by_hand() -> None:
    """Full fine-tuning holds 16 bytes a weight (one float32 copy, gradient, two moments), shared by FSDP."""
    shape, params = shape_of(SMALL)
    sizes = {"row_tok": 2048, "answer_share": 0.2}

    def memory(name: str = SMALL, **fields: Any) -> Any:
        shape, params = shape_of(name)
        return training_memory(shape, params, make_recipe({"batch_size": 64, **fields}), **sizes)

    alone = memory()
    assert alone.state == 16 * params and alone.total > 80e9 and alone.gathered > 0
    node = memory(accelerate=NODE, checkpointing=True, logits_chunk=512)
    assert node.state == 2 * params and node.total < 80e9
    assert node.activations < memory(accelerate=NODE).activations / 5
    assert node.logits == 16 * 512 * shape.vocab < alone.logits
    big = memory(LARGE, accelerate=NODE, checkpointing=True, lora={"r": 32, "alpha": 64}, weights="bf16")
    assert big.state == pytest.approx(2 * 70.55e9 / 8, rel=0.06) and big.total < 80e9
    assert memory(LARGE, accelerate=NODE, checkpointing=True).total > 80e9
    assert alone.total == alone.state + alone.gathered + alone.activations + alone.logits + RUNTIME_BYTE


def test_training_hours_by_hand() -> None:
    recipe = make_recipe({"batch_size": 64, "accelerate": NODE, "checkpointing": True})
    sizes: dict[str, Any] = {"params": 0, "hardware": Hardware(), "stages": 0}
    peak = gpu("H100-80GB").flop_s
    assert training_hours(3e18, 1e18, scale=recipe, **sizes) == pytest.approx(4e18 / (8 * peak * 0.4) / 3600)
    alone = make_recipe({})
    assert training_hours(3e18, 1e18, scale=alone, **sizes) == pytest.approx(3e18 / (peak * 0.4) / 3600)


def test_an_unknown_gpu_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown GPU .H100-80G. .did you mean .H100-80GB."):
        gpu("H100-80G")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    write_task(tmp_path / "tasks", generate=SIZED)
    (tmp_path / "planned.yaml").write_text(EXPERIMENT)
    return tmp_path


def test_a_dry_run_needs_no_weights_and_says_so(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "planned.yaml", "--tasks", str(bench / "tasks")]
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("NOT RUN: a plan for 8 x H100-80GB")
    assert "8.03 billion weights" in said and "config.json" in said and "3 characters a token" in said
    assert "more_sums--tao-n4-r2 " in said and "all of it fits" in said
    assert not (bench / "runs").exists() and not list((bench / "cache" / "shapes").rglob("*.safetensors"))

    assert main(command) == 2
    error = capsys.readouterr().err
    assert "its weights are not here and cannot be fetched" in error and "--dry-run" in error
    assert not (bench / "runs").exists()


def test_a_dry_run_says_what_does_not_fit(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = EXPERIMENT.replace("{num_processes: 8, fsdp: true}", "{num_processes: 8}")
    (bench / "planned.yaml").write_text(alone)
    assert main(["run", "planned.yaml", "--dry-run", "--tasks", str(bench / "tasks")]) == 0
    said = capsys.readouterr().out
    assert "DOES NOT FIT: more_sums--sft-l10: training takes" in said and "all of it fits" not in said


def test_hardware_and_made_tasks_are_checked(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for old, new, what in (
        ("sampler: vllm\n", "", "hardware: goes with `sampler: vllm`"),
        ("tasks: [more_sums]", "tasks: [sums]", "made: 'more_sums' is not among the experiment's tasks"),
        ("n: 40", "m: 40", "no setting 'm'"),
        (SMALL, "meta-llama/Unknown", "its shape is not among those kept for planning"),
    ):
        (bench / "planned.yaml").write_text(EXPERIMENT.replace(old, new, 1))
        assert main(["run", "planned.yaml", "--dry-run", "--tasks", str(bench / "tasks")]) == 2
        assert what in capsys.readouterr().err
