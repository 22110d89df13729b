"""One model for several tasks: what an experiment file may say, what the arms are handed, own signals in tuning."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import toy
from tiny_task import write_task

from tao.compute import Ledger
from tao.errors import InputError
from tao_bench.arms import get_arm
from tao_bench.arms.sft import draw_mixture
from tao_bench.arms.tao import TaoOptions
from tao_bench.experiment import parse_experiment
from tao_bench.joint import common_limits, mixed_workplace, mixture_sizes
from tao_bench.own_signals import ranks, tuning_signals
from tao_bench.registry import Task, load_task, open_task
from tao_bench.store import export_results, finished_cells
from tao_bench.task import Limits

FILE = """\
name: trial
tasks: [warehouse_sql, sec_filings]
transfer: [geoquery]
seeds: [0, 1]
arms:
  - arm: base
  - {arm: tao, samples: 4, rounds: 1, tune_on: {warehouse_sql: 2, sec_filings: 1}}
  - {arm: tao, samples: 4, rounds: 1}
"""


def test_one_model_a_seed_answers_all_tasks_and_tuned_ones_never_meet_transfer() -> None:
    _, cells = parse_experiment(FILE)
    joint = [cell for cell in cells if cell.tune_on]
    assert len(joint) == 6
    assert {cell.task for cell in joint} == {"warehouse_sql", "sec_filings", "geoquery"}
    assert {cell.tuned_id for cell in joint} == {f"tao-on-warehouse_sql-sec_filings-n4-r1--seed{s}" for s in (0, 1)}
    assert {cell.arm_label for cell in joint} == {"TAO n=4 x1 on 2 warehouse_sql + 1 sec_filings"}
    assert {cell.task for cell in cells if cell.arm == "tao" and not cell.tune_on} == {"warehouse_sql", "sec_filings"}
    assert {cell.task for cell in cells if cell.arm == "base"} == {"warehouse_sql", "sec_filings", "geoquery"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{warehouse_sql: 2, sec_filings: 1}", "{warehouse_sq: 1}", r"f\.yaml:7: task 'warehouse_sq' .*did you mean"),
        ("{warehouse_sql: 2, sec_filings: 1}", "{geoquery: 1}", "'geoquery' is not among"),
        ("sec_filings: 1}", "sec_filings: 0}", r"f\.yaml:7: .*weight of sec_filings must be above 0"),
        ("- arm: base", "- {arm: base, tune_on: {warehouse_sql: 1}}", "goes with the arms tao and sft"),
        ("[geoquery]", "[sec_filings]", "sec_filings is among the tasks already"),
        ("seeds: [0, 1]", "deployed: {labels: 5}", "does not go with `deployed`"),
        ("seeds: [0, 1]", "eval: {folds: 2}", "does not go with folds"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(before: str, after: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_experiment(FILE.replace(before, after, 1), "f.yaml")


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    tiny = write_task(tmp_path / "tiny")
    return {"toy_task": load_task("toy_task", [toy.TASK]), "tiny": open_task(tiny, tiny, "0")}


def test_an_arm_gets_the_mixture_and_labels_only_if_it_declares_them(
    tasks: dict[str, Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[Path] = []
    monkeypatch.setattr("tao_bench.joint.seal", lambda data, *_: sealed.append(data))
    weights = {"toy_task": 1.0, "tiny": 1.0}
    rest = {
        "options": None, "base": tmp_path, "folder": tmp_path, "seed": 0, "progress": lambda *_: None,
        "ledger": Ledger(tmp_path / "ledger.jsonl"),
    }  # fmt: skip
    free = mixed_workplace(tasks, weights, get_arm("tao"), None, **rest)
    assert (free.labels, free.verifier, free.train) == (None, None, ())
    assert sealed == [task.data for task in tasks.values()]
    assert [prompt.id for prompt in free.pool[:2]] == ["toy_task/pool-0", "tiny/tiny-1"]
    assert mixture_sizes(tasks, weights) == {"toy_task": (7, 12), "tiny": (6, 6)}
    assert common_limits(list(tasks.values())) == Limits(max_prompt_tok=160, max_new_tok=40)

    sealed.clear()
    labelled = mixed_workplace(tasks, weights, get_arm("sft"), None, **rest)
    assert sealed == [] and labelled.labels is not None
    labels = labelled.labels("train")
    assert {item.prompt.id for item in labelled.train} == set(labels)
    few = draw_mixture(list(labels), weights, 4, seed=0)
    assert [name.partition("/")[0] for name in few].count("tiny") == 2
    assert set(few) < set(draw_mixture(list(labels), weights, 6, seed=0))
    with pytest.raises(InputError, match="wants 5 labels of tiny, 4 are there"):
        draw_mixture(list(labels), weights, 10, seed=0)


def test_ranks_by_hand() -> None:
    assert ranks([3.0, -1.0, 3.0]) == [0.75, 0.0, 0.75]
    assert ranks([2.0, 2.0]) == [None, None]
    assert ranks([5.0]) == [None]


def test_a_task_s_own_signals_take_part_when_the_recipe_says_so(tasks: dict[str, Task]) -> None:
    (tasks["tiny"].folder / "signal.py").write_text(
        "def short(prompt, answers):\n    return [-len(a) for a in answers]\n"
    )
    spec = tasks["tiny"].spec.model_copy(update={"signals": ("vote share", "signal.py:short")})
    (own,) = tuning_signals(replace(tasks["tiny"], spec=spec), 0.5)
    assert (own.signal.name, own.weight, own.veto) == ("signal.py:short", 0.5, None)
    prompt = tasks["tiny"].pool()[0]
    assert own.signal.values(prompt, ["1", "1 + 1", "22"]) == [1.0, 0.0, 0.5]
    assert tuning_signals(tasks["toy_task"], 0.5) == []


def test_signals_of_the_task_in_a_recipe() -> None:
    grpo = {"objective": "clipped"}
    assert TaoOptions(recipe=grpo).own() is None
    own = TaoOptions(recipe={**grpo, "signals": "task"}).own()
    assert own is not None and own.weight == 0.5
    both = TaoOptions(
        recipe={**grpo, "signals": [{"signal": "grounded", "weight": 0.1}, {"signal": "task", "veto": 0.2}]}
    )
    limits = Limits(max_prompt_tok=64, max_new_tok=8)
    assert [one.signal for one in both.made(limits).signals] == ["grounded"]
    plain, own_too = TaoOptions(recipe=grpo), TaoOptions(recipe={**grpo, "signals": "task"})
    assert plain.made(limits) == own_too.made(limits)
    with pytest.raises(ValueError, match="rft trains on what won the vote"):
        TaoOptions(recipe={"objective": "rft", "signals": "task"})
    with pytest.raises(ValueError, match="without weight or veto"):
        TaoOptions(recipe={**grpo, "signals": [{"signal": "task"}]})


TWO = """\
name: trial
model: {model}
tasks: [toy_task, toy_two]
transfer: [toy_three]
seeds: [0]
arms:
  - arm: base
  - {{arm: tao, samples: 4, rounds: 1, tune_on: {{toy_task: 1, toy_two: 1}}, recipe: &r {{learning_rate: 0.001, batch_size: 4}}}}
  - {{arm: tao, samples: 4, rounds: 1, tune_on: {{toy_task: 1}}, recipe: *r}}
  - {{arm: tao, samples: 4, rounds: 1, tasks: [toy_two], recipe: *r}}
"""  # noqa: E501


def test_a_model_is_tuned_once_and_answers_every_task(taught_model: Path, tmp_path: Path) -> None:
    from test_runner import Bench

    bench = Bench(tmp_path / "bench", taught_model, "")
    bench.file.write_text(TWO.format(model=taught_model))
    for name in ("toy_two", "toy_three"):
        folder = toy.copy_tree(toy.TASK, tmp_path / name)
        spec = folder / "task.yaml"
        spec.write_text(spec.read_text().replace("name: toy_task", f"name: {name}"))
        bench.command += ["--tasks", str(folder)]
    assert bench.command[0] == sys.executable
    code, text = bench.run()
    assert code == 0, text
    run = bench.folder / "runs" / "trial"
    joint = [path for path in (run / "tuned").iterdir() if "toy_two" in path.name]
    assert len(joint) == 1
    record = json.loads((joint[0] / "tune" / "round-0" / "round.json").read_text())
    assert set(record["parts"]) == {"toy_task", "toy_two"}
    assert sum(part["prompts"] for part in record["parts"].values()) == record["stats"]["prompts"]
    shared = {folder.model.read_text() for cell, folder in finished_cells(run) if cell.get("tuned") == joint[0].name}
    assert len(shared) == 1 and joint[0].name in shared.pop()
    before = {path: path.stat().st_mtime_ns for path in (run / "tuned").rglob("*.safetensors")}
    assert before and bench.run()[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (run / "tuned").rglob("*.safetensors")} == before

    report = (bench.folder / "reports" / "trial" / "report.md").read_text()
    for words in ("Every arm on every task", "No task fell", "Joint less alone", "matrix.png"):
        assert words in report
    assert (bench.folder / "reports" / "trial" / "matrix.csv").is_file()
    assert "less a model for each task" in " ".join(text.split())
    assert export_results(run, tmp_path / "again") == 10
