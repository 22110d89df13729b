"""The `tao` command: help at once, bad input named, a run and its report end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tao.cli import main
from tao.recipe import make_recipe
from tao.spec import parse_signal


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Six questions about a document of two lines."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "d.json").write_text('{"columns": ["2023"], "rows": [["a", 3], ["b", 7]]}')
    rows = [
        {
            "id": f"p{i}",
            "messages": [{"role": "user", "content": f"Report: d\nLine | 2023\na | 3\nb | 7\nQuestion: {asked}?"}],
            "context": ["a | 3", "b | 7"],
            "handles": {"document": "documents/d.json"},
        }
        for i, asked in enumerate("ababab")
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tune(model: Path, pool: Path, out: Path, *more: str) -> list[str]:
    return ["tune", "--model", str(model), "--prompts", str(pool), "--answers", "number", "--out", str(out), *more]


@pytest.mark.parametrize("verb", [[], ["tune"], ["explore"], ["score"], ["train"], ["report"]])
def test_help_teaches_and_loads_nothing_heavy(verb: list[str]) -> None:
    code = "import sys; from tao.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'transformers', 'trl', 'datasets', 'pydantic', 'rich', 'duckdb', 'sqlglot'}\n"
    code += "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *verb, "--help"], capture_output=True, text=True, check=True)
    assert "example" in done.stdout and "tao " in done.stdout


@pytest.mark.parametrize("verb", ["tune", "score"])
def test_help_says_how_a_judge_is_written(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    written = next(word for word in capsys.readouterr().out.split() if word.startswith("judge:"))
    recipe = make_recipe({"signals": [parse_signal(written)]})
    assert recipe.signals[0].endpoint is not None and recipe.signals[0].weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--recipe", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--samples", "1"], "samples: Input should be greater than or equal to 2"),
        (["--budget", "-1"], "--budget: a budget must be positive"),
        (["--model", "nowhere"], "nowhere"),
        (["--prompts", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
    ],
)
def test_bad_input_is_named_before_compute_is_spent(
    tiny_model: Path, pool: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(tune(tiny_model, pool, pool.parent / "run", *change)) == 2
    assert message in capsys.readouterr().err
    assert not (pool.parent / "run").exists()


def test_a_label_in_the_pool_is_refused(
    tiny_model: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = json.loads(pool.read_text().splitlines()[0])
    pool.write_text(json.dumps({**row, "gold": 3}) + "\n")
    assert main(tune(tiny_model, pool, tmp_path / "run")) == 2
    assert "unknown column 'gold'" in capsys.readouterr().err


def test_dry_run_prices_and_runs_nothing(
    tiny_model: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tune(tiny_model, pool, tmp_path / "run", "--dry-run", "--samples", "4", "--rounds", "2")) == 0
    out = capsys.readouterr().out
    assert "6 prompts, 6 a round, 4 samples each (4 direct), 2 rounds" in out and "model FLOP" in out
    assert not (tmp_path / "run").exists()


def test_a_run_and_its_report(toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(toy_run)]) == 0
    report = capsys.readouterr().out
    assert "round  runs  clusters" in report and "0 explore" in report and f"model: {toy_run / 'model'}" in report
    assert main(["report", str(tmp_path)]) == 2
    assert "no run here" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    tiny_model: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tao.loop.tune", interrupted)
    command = tune(tiny_model, pool, tmp_path / "run with space")
    assert main(command) == 130
    said = capsys.readouterr().err
    assert "Go on with:" in said and f"--out '{tmp_path}/run with space'" in said


def test_restarted_rounds_train_on_all_prompts_seen_so_far() -> None:
    from tao.recipe import make_recipe
    from tao.report import explored_prompts

    walk = {"rounds": 4, "prompts_per_round": 200}
    assert explored_prompts(make_recipe(walk), 1600) == [200] * 4
    assert explored_prompts(make_recipe({**walk, "objective": "rft", "restart": True}), 700) == [200, 400, 600, 700]
    assert explored_prompts(make_recipe({"rounds": 2}), 50) == [50, 50]
