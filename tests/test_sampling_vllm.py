"""vLLM's engine for real, on CPU or GPU: what it shares with the transformers sampler; that it leaves nothing behind.

Needs vLLM here or in another environment whose Python ``TAO_VLLM_PYTHON`` names: ``.ci/slow`` makes one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_task import write_task

from tao.compute import Ledger
from tao.errors import InputError
from tao.prompts import Message, Prompt, read_prompts
from tao.sampling.explore import explore, greedy_answers
from tao.sampling.protocol import Request, Settings
from tao.sampling.samples import read_samples
from tao.sampling.vllm_sampler import PYTHON_VARIABLE, VllmSampler, engine_python
from tao_bench.models import reference_path

HERE = bool(os.environ.get(PYTHON_VARIABLE)) or importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HERE, reason=f"no vLLM here, and {PYTHON_VARIABLE} names no Python that holds it")
REFERENCE = reference_path()
LIMITS = Settings(max_prompt_tok=200, max_new_tok=40)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[Prompt]:
    """Questions in the form that the reference model knows."""
    folder = write_task(tmp_path_factory.mktemp("task") / "tiny")
    rows = [json.loads(line) for name in ("pool", "train", "test") for line in (folder / f"{name}.jsonl").open()]
    kept = [{key: row[key] for key in ("id", "messages", "context", "handles")} for row in rows]
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    return read_prompts(folder / "all.jsonl")


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmSampler]:
    sampler = VllmSampler(REFERENCE, dtype="float32")
    yield sampler
    sampler.close()


def processes(group: int) -> list[int]:
    """Live processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@pytest.mark.vllm
@needs_vllm
def test_greedy_answers_are_those_of_transformers(engine: VllmSampler, pool: list[Prompt], tmp_path: Path) -> None:
    from tao.sampling.transformers_sampler import TransformersSampler

    exact = TransformersSampler(REFERENCE, dtype="float32")
    ours = read_samples(greedy_answers(pool, exact, LIMITS, tmp_path / "t.jsonl"))
    theirs = read_samples(greedy_answers(pool, engine, LIMITS, tmp_path / "v.jsonl"))
    assert ours.keys() == theirs.keys()
    same = [ours[name][0] == theirs[name][0] for name in ours]  # text, token ids, prompt length, finish reason
    assert sum(same) >= 0.9 * len(same), f"{sum(same)} of {len(same)}"
    assert all(sample.finish_reason == "stop" for group in theirs.values() for sample in group)


@pytest.mark.vllm
@needs_vllm
def test_seeds_decide_and_samples_of_a_prompt_differ(engine: VllmSampler, pool: list[Prompt]) -> None:
    requests = [Request(prompt.id, prompt.messages, 6) for prompt in pool[:4]]
    hot = Settings(max_prompt_tok=200, max_new_tok=40, temperature=2.0)
    (plan,), (other,) = engine.chunks(requests, hot, 0), engine.chunks(requests, hot, 1)
    first, again, changed = engine.run(plan), engine.run(plan), engine.run(other)
    texts = [completion.text for completion in first.completions]
    assert texts == [completion.text for completion in again.completions]
    assert texts != [completion.text for completion in changed.completions]
    for at in range(0, 24, 6):
        assert len(set(texts[at : at + 6])) > 3
    assert first.model_flop(engine.shape) == first.device_flop(engine.shape) > 0


@pytest.mark.vllm
@needs_vllm
def test_no_token_is_kept_from_being_drawn(engine: VllmSampler) -> None:
    """Without top-k and top-p the tail has its full weight: that of the first tokens outside the 50 likeliest."""
    import torch
    from transformers import AutoModelForCausalLM

    n, temperature = 2000, 2.0  # the highest vLLM takes
    settings = Settings(max_prompt_tok=200, max_new_tok=1, temperature=temperature)
    (plan,) = engine.chunks([Request("q", (Message("user", "hello"),), n)], settings, 0)
    drawn = [completion.token_ids[0] for completion in engine.run(plan).completions]
    model = AutoModelForCausalLM.from_pretrained(str(REFERENCE), dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = model(torch.tensor(engine._encode(plan.requests))).logits[0, -1]
    chances = torch.softmax(logits / temperature, -1)
    likeliest = set(chances.topk(50).indices.tolist())
    expected = 1 - float(chances.topk(50).values.sum())
    assert expected > 0.05, "the check needs a tail"
    share = sum(token not in likeliest for token in drawn) / n
    assert abs(share - expected) < 5 * (expected * (1 - expected) / n) ** 0.5


@pytest.mark.vllm
@needs_vllm
def test_the_engine_is_gone_with_all_its_memory_when_closed(pool: list[Prompt], tmp_path: Path) -> None:
    sampler = VllmSampler(REFERENCE)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    out = explore(pool, sampler, {"direct": 3}, LIMITS, seed=0, round=0, out=tmp_path / "s.jsonl", ledger=ledger)
    assert sampler._process is not None
    group = sampler._process.pid
    assert processes(group)
    sampler.close()
    assert not processes(group)
    assert {name: len(samples) for name, samples in read_samples(out).items()} == {prompt.id: 3 for prompt in pool}
    (entry,) = ledger.entries()
    assert entry.model_flop == entry.device_flop > 0


@pytest.mark.vllm
@needs_vllm
def test_an_engine_that_is_killed_is_one_error_and_the_rest_goes_on(pool: list[Prompt], tmp_path: Path) -> None:
    class Killed(VllmSampler):
        chunk = 0

        def run(self, plan):  # type: ignore[no-untyped-def]
            self.chunk += 1
            if self.chunk == 3 and self._process:
                os.killpg(self._process.pid, signal.SIGKILL)
            return super().run(plan)

    out, small = tmp_path / "s.jsonl", Settings(max_prompt_tok=200, max_new_tok=40, chunk_prompts=4)

    def run(sampler: VllmSampler) -> None:
        explore(pool, sampler, {"direct": 2}, small, seed=0, round=0, out=out)

    with pytest.raises(InputError, match=r"(?s)its process ended.*killed.*finished chunks are kept"):
        run(Killed(REFERENCE))
    kept = out.read_bytes()
    assert kept.count(b"\n") == 16
    sampler = VllmSampler(REFERENCE)
    try:
        run(sampler)
    finally:
        sampler.close()
    assert out.read_bytes().startswith(kept) and out.read_bytes().count(b"\n") == 2 * len(pool)


@pytest.mark.vllm
@needs_vllm
def test_an_engine_that_cannot_start_says_why(pool: list[Prompt]) -> None:
    sampler = VllmSampler(REFERENCE, engine={"quantization": "no_such_method"})
    (plan,) = sampler.chunks([Request("q", pool[0].messages, 1)], LIMITS, 0)
    with pytest.raises(InputError, match=r"the vLLM engine failed.*no_such_method"):
        sampler.run(plan)


@pytest.mark.vllm
@needs_vllm
def test_a_run_tunes_on_its_samples_round_after_round(pool: list[Prompt], tmp_path: Path) -> None:
    from tao.answers.interpreter import NumberInterpreter
    from tao.loop import tune
    from tao.recipe import make_recipe

    fields = {"sampler": "vllm", "rounds": 2, "samples": 6, "max_prompt_tok": 200, "max_new_tok": 40, "watch": False}
    recipe = make_recipe({**fields, "temperature": 1.5, "consensus_floor": 0.0})
    interpreter = NumberInterpreter()
    try:
        result = tune(REFERENCE, pool, interpreter, recipe, tmp_path / "run")
    finally:
        interpreter.close()
    assert result.stopped == "rounds" and result.checkpoint.name == "checkpoint"
    first, second = (json.loads((tmp_path / f"run/round-{i}/samples.meta.json").read_text()) for i in range(2))
    assert first["made_from"]["sampler"] == second["made_from"]["sampler"] == "vllm@1/bfloat16"
    assert first["made_from"]["weights"] != second["made_from"]["weights"]


@pytest.mark.vllm
@needs_vllm
def test_an_experiments_arms_answer_with_it(tmp_path: Path) -> None:
    from test_runner import HEAD, Bench

    bench = Bench(
        tmp_path / "bench", REFERENCE, "  - arm: base\n", head=HEAD.replace("seeds:", "sampler: vllm\nseeds:")
    )
    code, text = bench.run()
    assert code == 0, text
    cell = bench.cell("toy_task--base--seed0")
    assert json.loads((cell / "cell.json").read_text())["sampler"] == "vllm"
    made_from = json.loads((cell / "eval/test/samples.meta.json").read_text())["made_from"]
    assert made_from["sampler"] == "vllm@1/bfloat16"
    assert len((cell / "eval/test/rows.jsonl").read_text().splitlines()) == 10


@pytest.mark.vllm
@needs_vllm
def test_the_engine_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, time\nfrom pathlib import Path\nfrom tao.sampling.vllm_sampler import VllmSampler\n"
        "from tao.sampling.protocol import Settings\n"
        "s = VllmSampler(Path(sys.argv[1])); s._start(Settings(100, 10))\n"
        "print(s._process.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(REFERENCE)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    group = int(parent.stdout.readline())
    assert processes(group)
    parent.kill()
    parent.wait()
    give_up = time.monotonic() + 20
    while processes(group) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert not processes(group)


def test_without_vllm_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"(?s)not installed here.*tao-bench\[vllm\].*{PYTHON_VARIABLE}"):
        engine_python()
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="is no Python to run"):
        engine_python()


def test_the_workers_module_imports_only_what_every_python_has() -> None:
    """It runs in an environment that need not hold this package."""
    import ast

    from tao.sampling.vllm_sampler import WORKER

    tree = ast.parse(WORKER.read_text())
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    import sys

    outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert outside == {"vllm"}
