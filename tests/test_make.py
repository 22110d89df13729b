"""`tao-bench make`: settings reach the generator, the result is a task of its own, bad input costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_registry import GENERATE, write_task

from tao.errors import InputError
from tao_bench.cli import main
from tao_bench.make import make, settings
from tao_bench.registry import load_task

SIZED = GENERATE.replace("def generate(out, seed):", "def generate(out, seed, n=3, tag=None, fold=None):").replace(
    "range(start, start + 3)", "range(start, start + n)"
)


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    write_task(tmp_path / "tasks", generate=SIZED)
    return tmp_path / "tasks"


def test_a_larger_copy_is_a_task_of_its_own(tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "many_sums"
    assert main(["make", "sums", "--out", str(out), "--set", "n=5", "--seed", "4", "--tasks", str(tasks)]) == 0
    assert "many_sums@1: pool 5, train 5" in capsys.readouterr().out
    task = load_task("many_sums", [out])
    assert task.version_name == "many_sums@1" and len(task.pool()) == 5 and "sums@1: n=5" in task.spec.description
    assert task.pool()[0].messages[0].content == "say 4" and not (out / "generate.py").exists()


def test_values_are_scalars_and_names_are_known() -> None:
    assert settings(["n=7200", "tag=a=b"], ["n", "tag"]) == {"n": 7200, "tag": "a=b"}
    for bad, what in (
        ("m=1", "no setting"), ("seed=3", "no setting"), ("fold=1", "no setting"), ("n", "no value"),
        ("n=[", "no YAML"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=what):
            settings([bad], ["n", "tag"])


def test_bad_input_leaves_nothing_behind(tasks: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for name, given, out in (
        ("sums", [], "full"), ("sums", [], "Bad-Name"), ("summs", [], "new"), ("sums", ["tags=1"], "new"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            make(name, tmp_path / out, given, extra=[tasks])
    with pytest.raises(TypeError):  # the generator fails: what it had begun is gone
        make("sums", tmp_path / "new", ["n=many"], extra=[tasks])
    assert not (tmp_path / "new").exists() and (tmp_path / "full" / "x").exists()
