from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tao.errors import InputError
from tao_bench.cli import main, set_data
from tao_bench.options import build_parser

VERBS = (
    "run",
    "report",
    "tasks",
    "gate",
    "signals",
    "freeze",
    "firewall",
    "prove-firewall",
    "make",
    "new",
    "check",
    "grade",
    "agreement",
    "trace",
    "duel",
    "regrade",
    "bench",
    "port",
    "export",
)
HEAVY = ("torch", "transformers", "datasets", "trl", "lm_eval", "pandas", "matplotlib", "scipy", "duckdb", "sqlglot")


def loaded_by(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter that ran a piece of code."""
    program = f"import sys\n{code}\nimport json\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import tao, tao_bench",
        "from tao_bench.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from tao_bench.cli import main\ntry:\n    main(['run', '--help'])\nexcept SystemExit:\n    pass",
        "from tao_bench.cli import main\nmain(['tasks', 'list'])",
    ],
)
def test_imports_and_help_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code) & set(HEAVY) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches_by_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([verb, "--help"])
    assert ended.value.code == 0
    assert f"example: tao-bench {verb}" in " ".join(capsys.readouterr().out.split())


def test_tasks_are_listed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path))
    folder = str(Path(__file__).parent / "fixtures" / "toy_task")
    assert main(["tasks", "list", "--tasks", folder]) == 0
    assert "toy_task@1  says which number stands on a line" in capsys.readouterr().out
    assert main(["tasks", "show", "toy_task", "--tasks", folder]) == 0
    shown = capsys.readouterr().out
    assert "pool: 12 prompts without labels" in shown
    assert "test: 10 items" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml"], "neither a preset"),
        (["run", "quickstart", "--jobs", "0", "--dry-run"], "--jobs: must be at least 1"),
        (["tasks", "show", "warehouse"], "did you mean 'warehouse_sql'"),
        (["tasks", "show"], "which task?"),
        (["report", "no-such-experiment"], "no such folder of results"),
        (["gate", "--task", "warehouse_sql", "--model", "./nowhere"], "is no folder and no hub id"),
    ],
)
def test_bad_input_ends_with_2_and_says_what(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_data_folders_reach_the_tasks_that_need_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "before")
    set_data([str(tmp_path)], ["ONE"])
    assert os.environ["ONE"] == str(tmp_path)
    set_data([f"TWO={tmp_path}"], ["ONE", "TWO"])
    assert os.environ.pop("TWO") == str(tmp_path)
    with pytest.raises(InputError, match="which of ONE, TWO is meant"):
        set_data([str(tmp_path)], ["ONE", "TWO"])
    with pytest.raises(InputError, match="no task of this experiment needs data"):
        set_data([str(tmp_path)], [])
    with pytest.raises(InputError, match="no such folder"):
        set_data(["ONE=/nowhere"], ["ONE"])
