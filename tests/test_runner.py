from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import toy

from tao.errors import InputError
from tao_bench.processes import ANEW_VARIABLE, COMMAND_NAME
from tao_bench.report.load import load
from tao_bench.runner import Clock, Job, run_lock
from tao_bench.store import CellFolder

ROOT = Path(__file__).resolve().parent.parent
HEAD = "name: trial\nmodel: {model}\ntasks: [{task}]\nseeds: [0]\narms:\n"
TAO = "  - arm: tao\n    samples: 4\n    rounds: 1\n    recipe: {learning_rate: 0.001, batch_size: 4}\n"


class Bench:
    """A folder with an experiment, and its command."""

    def __init__(self, folder: Path, model: Path, arms: str, *, task: Path = toy.TASK, head: str = HEAD) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "trial.yaml"
        self.file.write_text(head.format(model=model, task=task.name) + arms)
        self.command = [
            sys.executable,
            "-m",
            "tao_bench.cli",
            "run",
            str(self.file),
            "--tasks",
            str(task),
            "--jobs",
            "1",
        ]
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TAO_BENCH_CACHE": str(folder.parent / "cache"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *more],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # a test run in the background of a shell ignores the interrupt, and its children would too
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        )

    def run(self, *more: str) -> tuple[int, str]:
        process = self.start(*more)
        text, _ = process.communicate(timeout=600)
        return process.returncode, text

    def cell(self, name: str) -> Path:
        return self.folder / "runs" / "trial" / "cells" / name


def workers(folder: Path) -> list[int]:
    """Process ids of workers whose working directory is a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (
                b"tao_bench.worker" in (entry / "cmdline").read_bytes()
                or (entry / "comm").read_text().strip() == COMMAND_NAME
            ):
                found += [int(entry.name)] if (entry / "cwd").resolve() == folder.resolve() else []
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Poll a condition; a process that ends first is a failure with its output."""
    give_up = time.monotonic() + 300
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        assert time.monotonic() < give_up, "waited too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A run that nobody disturbed."""
    bench = Bench(tmp_path_factory.mktemp("whole") / "bench", taught_model, TAO)
    code, text = bench.run()
    assert code == 0, text
    return bench


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="watches processes through /proc")


def test_forked_workers_write_the_bytes_of_those_started_anew(whole: Bench, taught_model: Path, tmp_path: Path) -> None:
    anew = Bench(tmp_path / "bench", taught_model, TAO)
    anew.environment[ANEW_VARIABLE] = "1"
    code, text = anew.run()
    assert code == 0, text
    assert toy.tree(anew.folder / "results") == toy.tree(whole.folder / "results")
    assert toy.tree(anew.folder / "runs", skip=toy.UNHASHED) == toy.tree(whole.folder / "runs", skip=toy.UNHASHED)


@needs_proc
def test_a_run_stopped_and_killed_ends_with_the_same_bytes(whole: Bench, taught_model: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", taught_model, TAO)
    cell = bench.cell("toy_task--tao-n4-r1--seed0")

    stopped = bench.start()
    wait_until((cell / "tune" / "round-0" / "scores.jsonl").exists, stopped)
    stopped.send_signal(signal.SIGINT)
    text, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "go on with: tao-bench run" in " ".join(text.split())
    assert workers(bench.folder) == []

    killed = bench.start()
    wait_until((cell / "eval" / "test" / "samples.meta.json").exists, killed)
    killed.kill()
    killed.wait()
    wait_until(lambda: workers(bench.folder) == [])

    code, text = bench.run()
    assert code == 0, text
    undisturbed = toy.tree(whole.folder / "runs", skip=(*toy.UNHASHED, "lost.jsonl"))
    assert toy.tree(bench.folder / "runs", skip=(*toy.UNHASHED, "lost.jsonl")) == undisturbed
    assert toy.tree(bench.folder / "results") == toy.tree(whole.folder / "results")
    assert any(name.endswith("model.safetensors") for name in undisturbed)


def test_a_finished_run_is_not_done_again(whole: Bench) -> None:
    rows = whole.cell("toy_task--tao-n4-r1--seed0") / "eval" / "test" / "rows.jsonl"
    before = rows.stat().st_mtime_ns
    code, text = whole.run()
    assert code == 0, text
    assert rows.stat().st_mtime_ns == before
    assert "TAO n=4 x1" in text
    assert (whole.folder / "reports" / "trial" / "index.html").is_file()


def test_times_and_paths_of_this_machine_are_in_timing_only(whole: Bench) -> None:
    cell = whole.cell("toy_task--tao-n4-r1--seed0")
    for path in [*cell.glob("*.json*"), *cell.glob("eval/test/*")]:
        assert str(whole.folder) not in path.read_text(), path
        assert "wall_s" not in path.read_text() or path.name == "timing.jsonl"
    timing = [json.loads(line) for line in (cell / "timing.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in timing] == ["tune", "answer", "verify"]


def test_other_settings_are_refused_and_restarted_on_demand(whole: Bench, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", Path("unused"), "")
    bench.file.write_text(whole.file.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    shutil.copytree(whole.folder / "runs", bench.folder / "runs")
    code, text = bench.run()
    assert code == 2
    assert "settings: arm_options.recipe.learning_rate (0.001 before, 0.002 now)" in text
    assert bench.run("--dry-run")[0] == 0
    assert "--restart" in text


def test_a_cell_that_fails_leaves_the_others_alone(taught_model: Path, tmp_path: Path) -> None:
    arms = "  - arm: base\n  - arm: sft\n    labels: [8, 4000]\n    min_steps: 4\n"
    head = HEAD.replace("seeds: [0]\n", "seeds: [0]\ndeployed: {{labels: 8}}\n")
    bench = Bench(tmp_path / "bench", taught_model, arms, head=head)
    code, text = bench.run()
    said = " ".join(text.split())
    assert code == 1
    assert "failed: toy_task--sft-l4000--seed0/model: arm sft: wants 4000 labels, 40 are there" in said
    assert "log: runs/trial/cells/toy_task--sft-l4000--seed0/log.txt" in said
    assert "2 of 3 cells are finished" in said
    assert "report: runs/trial/partial/report/index.html" in said
    assert not (bench.folder / "results").exists()
    config = json.loads((bench.cell("toy_task--sft-l8--seed0") / "cell.json").read_text())
    assert (config["labels_base"], config["labels_arm"], config["labels_dev"]) == (8, 8, 6)
    assert (bench.cell("toy_task--base--seed0") / "model").read_text() == "starting-model\n"


def test_a_verifier_that_fails_is_no_wrong_answer(taught_model: Path, tmp_path: Path) -> None:
    task = toy.copy_tree(toy.TASK, tmp_path / "toy_task")
    generator = task / "generate.py"
    generator.write_text(generator.read_text().replace('"unit": "amount"', '"unit": "stones"'))
    bench = Bench(tmp_path / "bench", taught_model, "  - arm: base\n", task=task)
    code, text = bench.run()
    assert code == 1
    assert "the verifier failed on 10 of 10 items (first: test-0)" in " ".join(text.split())


@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode != 0,
    reason="needs a small tmpfs, and this machine allows no mount in a user namespace",
)
def test_a_full_disk_is_named_and_the_command_goes_on(whole: Bench, taught_model: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    bench = Bench(tmp_path / "bench", taught_model, TAO)
    first = " ".join([*bench.command, "--out", str(disk)])
    script = (
        f"mount -t tmpfs -o size=300k none {disk} && ({first}; echo code $?) ; mount -o remount,size=64m {disk} && "
        f"({first}; echo code $?) && cp -r {disk} {tmp_path}/copy"
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        cwd=bench.folder,
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert "no space left on the disk" in said, done.stdout + done.stderr
    assert "the disk is full; what is finished is kept" in said
    assert "code 1" in said
    assert said.rstrip().rpartition("code ")[2] == "0", done.stdout + done.stderr
    skip = (*toy.UNHASHED, "lost.jsonl")
    assert toy.tree(tmp_path / "copy" / "trial", skip) == toy.tree(whole.folder / "runs" / "trial", skip)


def test_a_cross_validation_answers_every_item_once(taught_model: Path, tmp_path: Path) -> None:
    head = HEAD.replace("seeds: [0]\n", "seeds: [0]\ndeployed: {{labels: 8}}\neval: {{folds: 2}}\n")
    sft = "  - arm: sft\n    labels: [8]\n    min_steps: 4\n"
    bench = Bench(tmp_path / "bench", taught_model, "  - arm: base\n" + sft, head=head)
    code, text = bench.run()
    assert code == 0, text
    results = bench.folder / "results" / "trial"
    cells = [json.loads(line) for line in (results / "cells.jsonl").read_text().splitlines()]
    assert [(cell["cell"], cell["folds"]) for cell in cells] == [
        ("toy_task--base--seed0", 2),
        ("toy_task--sft-l8--seed0", 2),
    ]
    for cell in cells:
        rows = [json.loads(line) for line in (results / "rows" / f"{cell['cell']}.jsonl").read_text().splitlines()]
        assert sorted(row["item"] for row in rows) == [f"test-{n}" for n in range(10)]
        assert {row["fold"] for row in rows} == {0, 1}
    charged = [json.loads(line) for line in (results / "ledger.jsonl").read_text().splitlines()]
    tuned = [row["model_flop"] for row in charged if row["stage"] == "train"]
    assert load(results).flop("toy_task--sft-l8--seed0") == sum(tuned) / 2
    report = (bench.folder / "reports" / "trial" / "report.md").read_text()
    assert "Cross-validated over 2 folds" in report
    assert "10 test items" in report
    bench.file.write_text(bench.file.read_text().replace("folds: 2", "folds: 3"))
    code, text = bench.run()
    assert code == 2
    assert "asks for 3 folds of toy_task, which has 2 folds" in " ".join(text.split())


def test_two_commands_do_not_share_a_run(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path / "run"),
        pytest.raises(InputError, match="another command is running"),
        run_lock(tmp_path / "run"),
    ):
        pass


def test_the_clock_goes_from_expectation_to_pace(tmp_path: Path) -> None:
    jobs = [Job(str(n), "model", CellFolder(tmp_path, "test"), (), 10.0, {}) for n in range(4)]
    clock = Clock(jobs, parallel=2)
    assert clock.left_s() == pytest.approx(20.0)
    clock.started -= 100.0
    clock.ended(jobs[0])
    clock.running = {"1": (10.0, 1.0)}
    assert clock.share() == pytest.approx(0.5)
    assert clock.left_s() == pytest.approx(100.0, rel=0.01)
