"""`tao-bench prove-firewall`: which small cells an experiment comes to, what is left out, and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy

from tao.errors import InputError
from tao_bench.cli import main
from tao_bench.experiment import PRESETS, parse_experiment, read_experiment
from tao_bench.firewall_check import PARTS, Proof, Subject, Traces, Trial
from tao_bench.firewall_command import CANNOT_SHOW, Size, joint_trials, trials_of
from tao_bench.firewall_data import VARIANTS
from tao_bench.registry import Task, load_task

GRID = """
name: grid
tasks: [toy_task]
seeds: [0, 1]
arms:
  - arm: base
  - {arm: base_maj, samples: 16}
  - {arm: sft, labels: [24, 48], epochs: 2}
  - {arm: tao, samples: [8, 16], rounds: 3, recipe: {mix: {direct: 1, plan: 1, reorder: 1}, learning_rate: 0.001}}
  - {arm: tao, name: guess, samples: 2, rounds: 1, prompts: 3, budget_flop: 5, recipe: {source: random}}
  - {arm: tao, name: served, rounds: 1, recipe: {sampler: endpoint, endpoint: {url: "http://x/v1", model: m}}}
"""


@pytest.fixture
def toy_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    return load_task("toy_task", [toy.TASK])


def test_a_grid_of_budgets_is_one_small_cell_and_recipes_stay_as_they_are(toy_task: Task) -> None:
    _, cells = parse_experiment(GRID)
    trials, left_out = trials_of(cells, toy_task, Size(prompts=8, samples=2, rounds=2))
    assert [trial.name for trial in trials] == ["base", "base_maj", "sft", "tao", "guess", "gold_reward"]
    by_name = {trial.name: trial for trial in trials}
    assert by_name["tao"].options["samples"] == 3  # one of each strategy
    assert by_name["tao"].options["recipe"] == {"mix": {"direct": 1, "plan": 1, "reorder": 1}, "learning_rate": 0.001}
    assert (by_name["tao"].options["rounds"], by_name["tao"].options["prompts"]) == (2, 8)
    assert by_name["guess"].options["prompts"] == 3 and by_name["guess"].options["budget_flop"] is None
    assert by_name["sft"].options["labels"] == 8 and by_name["sft"].options["epochs"] == 2
    assert left_out == ["served: sampler endpoint promises no equal bytes"]
    assert [trial.name for trial in trials if trial.uses_labels] == ["sft", "gold_reward"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_to_cells_that_its_arms_accept(preset: str, toy_task: Task) -> None:
    experiment, cells = read_experiment(preset)
    own = [cell for cell in cells if cell.task == experiment.tasks[0] and not cell.tune_on]
    trials, _ = trials_of(own, toy_task, Size())
    assert len({trial.name for trial in trials}) == len(trials)
    assert {"sft", "gold_reward"} <= {trial.arm for trial in trials}


JOINT = """
name: grid
tasks: [toy_task, toy_two]
arms:
  - {arm: tao, samples: [8, 16], rounds: 3, tune_on: {toy_task: 2, toy_two: 1}, recipe: {learning_rate: 0.001}}
  - {arm: tao, name: served, rounds: 1, tune_on: {toy_task: 2, toy_two: 1},
     recipe: {sampler: endpoint, endpoint: {url: "http://x/v1", model: m}}}
"""


@pytest.mark.parametrize("control", ["", "  - {arm: sft, labels: 24, tune_on: {toy_task: 2, toy_two: 1}}\n"])
def test_a_mixture_has_cells_of_its_own_and_a_control_on_the_same_mixture(
    toy_task: Task, tmp_path: Path, control: str
) -> None:
    folder = toy.copy_tree(toy.TASK, tmp_path / "toy_two")
    spec = folder / "task.yaml"
    spec.write_text(spec.read_text().replace("name: toy_task", "name: toy_two"))
    subject = Subject({"toy_task": toy_task, "toy_two": load_task("toy_two", [folder])}, {"toy_task": 2, "toy_two": 1})
    _, cells = parse_experiment(JOINT + control)
    joint = [cell for cell in cells if cell.tune_on]
    assert len(joint) == len(cells) and {cell.task for cell in joint} == {"toy_task", "toy_two"}
    trials, left_out = joint_trials(joint, subject, Size(prompts=8, samples=4, rounds=2))
    assert [(trial.arm, trial.uses_labels) for trial in trials] == [("tao", False), ("sft", True)]
    assert (trials[0].options["prompts"], trials[0].options["rounds"], trials[1].options["labels"]) == (8, 2, 8)
    assert len(left_out) == 1 and "sampler endpoint promises no equal bytes" in left_out[0]
    assert subject.title == "2 toy_task@1 + 1 toy_two@1"
    # A single task's proof leaves them alone: they are not tuned on it.
    alone, _ = trials_of([cell for cell in cells if not cell.tune_on], toy_task, Size())
    assert {trial.name for trial in alone} == {"sft", "gold_reward"}


def test_sizes_that_prove_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="--samples"):
        Size(samples=1)
    assert main(["prove-firewall", "trials_signals", "--prompts", "0"]) == 2
    assert main(["prove-firewall", "trials_signals", "--out", "."]) == 2
    assert main(["prove-firewall", "trial_signals"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_what_cannot_be_shown_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prove-firewall", "--help"])
    told = capsys.readouterr().out
    for word in ("it cannot show", "prompts, documents or databases", "dev", "intent", "vllm"):
        assert word in told
    assert len(CANNOT_SHOW) == 7


EXPERIMENT = """
name: tiny
model: {model}
tasks: [toy_task]
arms:
  - {{arm: tao, rounds: 1, recipe: {{learning_rate: 0.001, batch_size: 4, max_new_tok: 6}}}}
  - {{arm: tao, name: remote, rounds: 1, recipe: {{sampler: endpoint, endpoint: {{url: "http://x/v1", model: m}}}}}}
"""


def plumbed_proof(labels_matter: bool) -> Callable[..., Proof]:
    """A mock of `prove`, for the command's plumbing only: every cell is sound, or the arm goes by its labels."""

    def proof(task: Task, model: Any, scratch: Path, trials: list[Trial], **sizes: Any) -> Proof:
        def traces(trial: Trial, variant: str) -> Traces:
            moved = trial.uses_labels or labels_matter
            text = variant if moved else "same"
            seen = ("labels/train.jsonl",) if trial.uses_labels else ()
            return Traces(dict.fromkeys(PARTS, text), "", 60, (), seen, ())

        cells = {
            (trial.name, variant): traces(trial, variant)
            for trial in trials
            for variant in (VARIANTS[:2] if trial.uses_labels else VARIANTS)
        }
        return Proof(task.version_name, cells, tuple(trials))

    return proof


@pytest.mark.parametrize("labels_matter", [False, True])
def test_the_command_writes_a_page_and_its_exit_status_says_whether_it_holds(
    labels_matter: bool,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tao_bench.firewall_command.prove", plumbed_proof(labels_matter))
    path, out = tmp_path / "tiny.yaml", tmp_path / "pages" / "firewall.md"
    path.write_text(EXPERIMENT.format(model=tiny_model))
    command = ["prove-firewall", str(path), "--tasks", str(toy.TASK), "--samples", "4", "--prompts", "12"]
    assert main([*command, "--rounds", "1", "--out", str(out)]) == int(labels_matter)
    text = out.read_text()
    assert text in capsys.readouterr().out
    assert "remote: sampler endpoint" in text and "## toy_task@1" in text
    assert all(line in text for line in CANNOT_SHOW)
    if labels_matter:
        assert (
            "**BROKEN**" in text and "toy_task@1, tao: rewards differ between labels as they are and permuted" in text
        )
    else:
        assert (
            "**Holds**" in text and "| tao | `same` | `same` | `same` | `same` | `same` | 60 or more | 0 | 0 |" in text
        )
        assert "| gold_reward | rewards | `as they are` | `permuted` | yes | 1 |" in text
