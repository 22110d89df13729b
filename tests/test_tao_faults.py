"""What goes wrong while `tao` works: one clear error, finished work kept, the same command ends with the same bytes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_endpoint import FakeEndpoint, Raw, completion, fault
from toy import UNHASHED, tree

from tao.cli import main

LATE = (*UNHASHED, "README.md", "spec.yaml", "lost.jsonl")
"""What may differ between a run and its repetition after a fault: times, places, and the work that was lost."""
Command = Callable[..., list[str]]


@pytest.fixture
def command(taught_model: Path, toy_pool_file: Path, toy_recipe: Path) -> Command:
    """The words of a run on the toy task; recipe fields as keywords."""

    def words(out: Path, model: Path = taught_model, **fields: Any) -> list[str]:
        recipe = toy_recipe
        if fields:
            recipe = out.with_name(f"{out.name}-recipe.yaml")
            recipe.write_text(yaml.safe_dump({**yaml.safe_load(toy_recipe.read_text()), **fields}))
        named = {"--model": model, "--prompts": toy_pool_file, "--recipe": recipe, "--out": out}
        return ["tune", "--answers", "number", "--name", "Toy", *(str(w) for pair in named.items() for w in pair)]

    return words


@pytest.fixture
def stages(
    taught_model: Path, toy_run: Path, toy_pool_file: Path, toy_recipe: Path, tmp_path: Path
) -> dict[str, list[str]]:
    """Each stage alone, on the files of a finished run; the last word is where it writes to."""
    files = [f"--prompts={toy_pool_file}", f"--recipe={toy_recipe}"]
    samples = f"--samples={toy_run / 'round-0' / 'samples.jsonl'}"
    scores = f"--scores={toy_run / 'round-0' / 'scores.jsonl'}"
    return {
        "explore": ["explore", f"--model={taught_model}", *files, "--out", str(tmp_path / "samples.jsonl")],
        "score": ["score", samples, "--answers=number", *files, "--out", str(tmp_path / "scores.jsonl")],
        "train": ["train", f"--model={taught_model}", samples, scores, *files, "--out", str(tmp_path / "trained")],
    }


def one_error(said: str) -> str:
    """What `tao` said, held to one error without a traceback."""
    assert said.count("tao: ") == 1 and "Traceback" not in said, said
    return said[said.index("tao: ") :]


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the kernel refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_in_every_stage(
    command: Command, toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    samples, scores = ((toy_run / "round-0" / name).stat().st_size for name in ("samples.jsonl", "scores.jsonl"))
    weights = (toy_run / "round-0" / "checkpoint" / "model.safetensors").stat().st_size
    assert samples // 2 > 4000 and max(samples, scores) < weights - 1000
    for size, told, kept in (
        (samples // 2, "samples.jsonl", "recipe.json"),
        (weights - 1000, "checkpoint", "round-0/scores.done"),
    ):
        with disk_of(size):
            assert main(command(out)) == 2
        error = one_error(capsys.readouterr().err)
        assert told in error and "File too large" in error and "free space" in error and "same command" in error
        assert (out / kept).exists() and not (out / "result.json").exists()
        assert not list(out.rglob("*.tmp")) and not [p for p in (out / "round-0").iterdir() if p.is_dir()]
    assert main(command(out)) == 0
    assert tree(out, LATE) == tree(toy_run, LATE)


def test_a_full_disk_while_scoring(
    stages: dict[str, list[str]], toy_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (toy_run / "round-0" / "scores.jsonl").read_bytes()
    with disk_of(len(whole) // 2):
        assert main(stages["score"]) == 2
    assert "scores.jsonl: cannot be written" in one_error(capsys.readouterr().err)
    assert main(stages["score"]) == 0
    assert Path(stages["score"][-1]).read_bytes() == whole


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell, which would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_in_every_stage(
    command: Command,
    toy_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real SIGINT, at a moment that the progress of the stage names."""
    out, left = tmp_path / "run", {"explore": 1, "score": 4, "train": 2}

    @contextmanager
    def pressing(prefix: Any = None) -> Iterator[Callable[[str, int, int], None]]:
        def show(stage: str, done: int, everything: int) -> None:
            if stage in left:
                left[stage] -= 1
                if left[stage] <= 0:
                    del left[stage]
                    signal.raise_signal(signal.SIGINT)

        yield show

    monkeypatch.setattr("tao.commands.tune.bars", pressing)
    for _ in range(3):
        assert main(command(out)) == 130
        said = capsys.readouterr().err
        assert "what is finished is kept. Go on with:" in said and f"--out {out}" in said and "Traceback" not in said
    assert not left and main(command(out)) == 0
    assert tree(out, LATE) == tree(toy_run, LATE)


@pytest.mark.usefixtures("keyboard")
@pytest.mark.parametrize("verb", ["explore", "score", "train"])
def test_ctrl_c_in_a_single_stage(
    verb: str, stages: dict[str, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, made = stages[verb], Path(stages[verb][-1])

    @contextmanager
    def pressing() -> Iterator[Callable[[str, int, int], None]]:
        yield lambda stage, done, everything: signal.raise_signal(signal.SIGINT) if done else None

    with monkeypatch.context() as pressed:
        pressed.setattr(f"tao.commands.{verb}.bars", pressing)
        assert main(words) == 130
    assert f"tao {verb}" in capsys.readouterr().err
    assert main(words) == 0
    again = [*words[:-1], str(made.with_name(f"again-{made.name}"))]
    assert main(again) == 0
    if made.is_dir():
        skip = (*LATE, "ledger.jsonl")
        assert tree(made, skip) == tree(Path(again[-1]), skip)
    else:
        assert made.read_bytes() == Path(again[-1]).read_bytes()


def test_a_model_that_never_answers_in_the_form(
    tiny_model: Path, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, made = tmp_path / "run", []
    for _ in range(2):
        assert main(command(out, tiny_model)) == 2
        error = one_error(capsys.readouterr().err)
        assert "round-0/samples.jsonl: none of 72 answers works as number" in error and "--instructions" in error
        made.append(tree(out, LATE))
    assert made[0] == made[1] and "result.json" in made[0] and not (out / "model").exists()


def test_a_loss_that_is_no_number(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(command(out, learning_rate=1e30, precision="fp32", epochs=3)) == 2
    error = one_error(capsys.readouterr().err)
    assert "round-0: training diverged at step" in error and "lower learning_rate" in error
    assert (out / "round-0" / "scores.done").exists() and not (out / "round-0" / "checkpoint").exists()


def test_an_endpoint_that_dies_midway(
    taught_model: Path, toy_pool_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiohttp", reason="needs the endpoint extra")

    def served(out: Path, url: str) -> list[str]:
        spec = {"url": url, "model": "m", "attempts": 1, "concurrency": 2}
        recipe = out.with_suffix(".yaml")
        recipe.write_text(yaml.safe_dump({"rounds": 1, "samples": 3, "sampler": "endpoint", "endpoint": spec}))
        words = ["explore", "--model", str(taught_model), "--prompts", str(toy_pool_file), "--recipe", str(recipe)]
        return [*words, "--out", str(out)]

    def dying(body: dict[str, Any], before: int) -> Raw:
        return completion(body) if before < 10 else fault(503)

    with FakeEndpoint() as server:
        assert main(served(tmp_path / "whole.jsonl", server.url)) == 0
        server.answered.clear()
        server.script = dying
        server.asked.clear()
        assert main(served(tmp_path / "torn.jsonl", server.url)) == 2
        error = one_error(capsys.readouterr().err)
        assert "503" in error and server.url in error
        with FakeEndpoint() as moved:  # the server comes back at another address
            assert main(served(tmp_path / "torn.jsonl", moved.url)) == 0
        assert server.answered and moved.answered
        assert set((server.answered + moved.answered).values()) == {1}  # nothing is asked, and paid for, twice
    assert (tmp_path / "torn.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_folder_that_may_not_be_written_to(command: Command, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    prefix: list[str] = []
    if os.geteuid() == 0:  # root may write anywhere, unless that right is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("runs as root, and there is no setpriv to give that up")
        caps = "-dac_override,-dac_read_search"
        prefix = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"]
    words = [*prefix, sys.executable, "-m", "tao.cli", *command(tmp_path / "x")[:-1], str(closed / "run")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    error = one_error(done.stderr)
    assert str(closed / "run") in error and "Permission denied" in error and "may write to" in error
