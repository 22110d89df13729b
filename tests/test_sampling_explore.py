"""Stage 1 from files to files: killed anywhere, it ends with the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao.compute import Ledger, ModelShape
from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao.sampling.explore import explore, greedy_answers
from tao.sampling.mock_sampler import MockSampler
from tao.sampling.protocol import ChunkPlan, Request, Settings
from tao.sampling.samples import read_samples
from tao.sampling.transformers_sampler import TransformersSampler

LIMITS = Settings(max_prompt_tok=60, max_new_tok=16, chunk_prompts=3)
MIX = {"direct": 4, "reorder": 3, "plan": 2}
SHAPE = ModelShape(layers=2, hidden=24, heads=4, kv_heads=2, head_dim=6, ffn=40, vocab=64)
REPO = Path(__file__).resolve().parents[1]


def pool(count: int = 7) -> list[Prompt]:
    tables = ("fee (fee INT)", "stall (name STRING)", "shop (size INT)")
    text = "Schema:\n" + "\n".join(tables) + "\nQuestion: how many of "
    return [Prompt(f"q{i}", (Message("user", text + " ".join("x" * i) + "?"),), tables) for i in range(count)]


def mock_answer(request: Request, index: int, chunk_id: str) -> str:
    said = f"SELECT {chunk_id} {request.key} {index}"
    return f"Plan: {said}\nAnswer: {said}" if request.messages[-1].content.endswith("Plan first.") else said


class Killed(Exception):
    """Stands for kill -9 where a process of its own would be slow."""


def run(out: Path, answer: Callable[[Request, int, str], str] = mock_answer, *, seed: int = 0, round: int = 0) -> Path:
    sampler = MockSampler(answer, shape=SHAPE)
    ledger = Ledger(out.parent / "ledger.jsonl")
    return explore(pool(), sampler, MIX, LIMITS, seed=seed, round=round, out=out, ledger=ledger)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "lost.jsonl"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("whole") / "samples.jsonl")


def test_every_sample_is_there_once(whole: Path) -> None:
    groups = read_samples(whole)
    assert sorted(groups) == [f"q{i}" for i in range(7)]
    for prompt_id, samples in groups.items():
        assert [sample.index for sample in samples] == list(range(9))
        assert [sample.strategy for sample in samples] == ["direct"] * 4 + ["plan"] * 2 + ["reorder"] * 3
        for sample in samples:
            assert sample.prompt_id == prompt_id and prompt_id in sample.text
            assert sample.answer == (sample.text.split("Answer: ")[1] if sample.strategy == "plan" else sample.text)


def test_the_ledger_is_charged_once_and_in_full(whole: Path) -> None:
    ledger = Ledger(whole.parent / "ledger.jsonl")
    (entry,) = ledger.entries()
    samples = [sample for group in read_samples(whole).values() for sample in group]
    assert (entry.stage, entry.round, entry.note) == ("explore", 0, "samples.jsonl")
    assert entry.completion_tok == sum(sample.completion_tok for sample in samples)
    views = {(s.prompt_id, s.strategy, s.prompt_tok, s.index // 2 if s.strategy == "reorder" else 0) for s in samples}
    assert entry.prompt_tok == sum(prompt_tok for _, _, prompt_tok, _ in views)
    assert entry.model_flop > 0
    assert not (whole.parent / "lost.jsonl").exists()


def test_a_finished_stage_is_left_alone(whole: Path) -> None:
    before = contents(whole.parent)

    def never(request: Request, index: int, chunk_id: str) -> str:
        raise AssertionError("generated again")

    run(whole, never)
    assert contents(whole.parent) == before


@pytest.mark.parametrize("after", [0, 1, 10, 27, 45, 62])
def test_killed_between_answers_it_ends_with_the_same_bytes(whole: Path, tmp_path: Path, after: int) -> None:
    asked = 0

    def mortal(request: Request, index: int, chunk_id: str) -> str:
        nonlocal asked
        asked += 1
        if asked > after:
            raise Killed
        return mock_answer(request, index, chunk_id)

    out = tmp_path / "samples.jsonl"
    for _ in range(2):
        with pytest.raises(Killed):
            asked = 0 if asked == 0 else after
            run(out, mortal)
    run(out)
    assert contents(tmp_path) == contents(whole.parent)
    lost = Ledger(tmp_path / "ledger.jsonl").lost()
    assert [entry.note.split(", ")[1] for entry in lost] == ["attempt 1", "attempt 2"]
    assert all(entry.device_flop > 0 and entry.model_flop == 0 for entry in lost)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows_left=st.floats(0, 1), chunks_left=st.floats(0, 1))
def test_torn_files_are_owed_again(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, rows_left: float, chunks_left: float
) -> None:
    """Any prefix of the rows, with the chunk lines that were written before it was cut."""
    folder = tmp_path_factory.mktemp("torn")
    rows = whole.read_bytes()
    lines = (whole.parent / "samples.chunks.jsonl").read_bytes().splitlines(keepends=True)
    cut = int(rows_left * len(rows))
    complete = rows[:cut].count(b"\n")
    finished, count = [], 0
    for line in lines:
        count += json.loads(line)["samples"]
        if count > complete:
            break
        finished.append(line)
    chunk_bytes = b"".join(finished)
    (folder / "samples.jsonl").write_bytes(rows[:cut])
    # The last chunk's line may be torn too, or not yet written.
    start = len(b"".join(finished[:-1]))
    (folder / "samples.chunks.jsonl").write_bytes(chunk_bytes[: start + int(chunks_left * (len(chunk_bytes) - start))])
    for name in ("samples.meta.json", "samples.chunks.meta.json"):
        (folder / name).write_bytes((whole.parent / name).read_bytes())
    run(folder / "samples.jsonl")
    assert contents(folder) == contents(whole.parent)


KILL = """
import os, sys
sys.path[:0] = [{repo!r}, {tests!r}]
from pathlib import Path
import test_sampling_explore as t
count = 0
def answer(request, index, chunk_id):
    global count
    count += 1
    if count > {after}:
        os.kill(os.getpid(), 9)
    return t.mock_answer(request, index, chunk_id)
t.run(Path({out!r}), answer)
"""


def test_kill_minus_nine(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    code = KILL.format(repo=str(REPO), tests=str(REPO / "tests"), after=30, out=str(out))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -9
    assert 0 < len(out.read_bytes().splitlines()) < 63
    run(out)
    assert contents(tmp_path) == contents(whole.parent)


FULL = """
import resource, sys
sys.path[:0] = [{repo!r}, {tests!r}]
from pathlib import Path
import test_sampling_explore as t
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
t.run(Path({out!r}))
"""


def test_a_full_disk_is_told_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    """A file-size limit stands for the full disk: the write fails half way, as there."""
    out = tmp_path / "samples.jsonl"
    code = FULL.format(repo=str(REPO), tests=str(REPO / "tests"), out=str(out))
    full = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert "InputError" in full.stderr and "free space, then run the same command again" in full.stderr
    assert out.stat().st_size == 4096
    run(out)
    assert contents(tmp_path) == contents(whole.parent)


@pytest.mark.parametrize("changed", ["seed", "weights", "pool"])
def test_rows_of_other_inputs_are_refused(tmp_path: Path, changed: str) -> None:
    out = tmp_path / "samples.jsonl"
    run(out)
    sampler = MockSampler(mock_answer, "other" if changed == "weights" else "mock", SHAPE)
    prompts = pool(6) if changed == "pool" else pool()
    with pytest.raises(InputError, match=rf"something else: .*{changed}"):
        explore(prompts, sampler, MIX, LIMITS, seed=int(changed == "seed"), round=0, out=out)


def test_rounds_and_seeds_draw_afresh(whole: Path, tmp_path: Path) -> None:
    other_round = run(tmp_path / "one" / "samples.jsonl", round=1)
    other_seed = run(tmp_path / "two" / "samples.jsonl", seed=1)
    texts = [{s.text for group in read_samples(p).values() for s in group} for p in (whole, other_round, other_seed)]
    assert not texts[0] & texts[1] and not texts[0] & texts[2]


def test_a_long_prompt_is_named_and_nothing_is_generated(tmp_path: Path) -> None:
    prompts = [*pool(), Prompt("novel", (Message("user", "word " * 70),))]

    def never(request: Request, index: int, chunk_id: str) -> str:
        raise AssertionError("generated")

    with pytest.raises(InputError, match=r"novel \[direct 0\]: the prompt has 70 tokens, 60 are allowed"):
        explore(prompts, MockSampler(never), MIX, LIMITS, seed=0, round=0, out=tmp_path / "samples.jsonl")
    assert not (tmp_path / "samples.jsonl").exists()


def test_progress_counts_samples(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    explore(
        pool(),
        MockSampler(mock_answer),
        {"direct": 2},
        LIMITS,
        seed=0,
        round=0,
        out=tmp_path / "samples.jsonl",
        progress=lambda *what: told.append(what),
    )
    assert told[0] == ("explore", 0, 14) and told[-1] == ("explore", 14, 14)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_greedy_answers_of_a_real_model_resume_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    limits = Settings(max_prompt_tok=160, max_new_tok=12, chunk_prompts=2)
    sampler = TransformersSampler(tiny_model, device="cpu")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    path = greedy_answers(pool(), sampler, limits, tmp_path / "test" / "answers.jsonl", ledger=ledger)
    (entry,) = ledger.entries()
    assert (entry.stage, entry.note) == ("evaluate", "test/answers.jsonl")
    assert 0 < entry.model_flop < entry.device_flop
    assert {len(samples) for samples in read_samples(path).values()} == {1}

    class Mortal(TransformersSampler):
        lives = 1

        def run(self, plan: ChunkPlan):  # type: ignore[no-untyped-def]
            self.lives -= 1
            if self.lives < 0:
                raise Killed
            return super().run(plan)

    again = tmp_path / "again" / "answers.jsonl"
    with pytest.raises(Killed):
        greedy_answers(pool(), Mortal(tiny_model, device="cpu"), limits, again)
    greedy_answers(pool(), sampler, limits, again)
    assert contents(again.parent) == contents(path.parent)


def test_the_stage_loads_no_heavy_library() -> None:
    code = (
        "import sys, tao.sampling.explore, tao.sampling.transformers_sampler, tao.sampling.mock_sampler\n"
        "import tao.compute, tao.sampling.diversity\n"
        "print({'torch', 'transformers', 'numpy', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
