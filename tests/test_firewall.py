from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from tao_bench.firewall import GUARD, VARIABLE, is_sealed
from tao_bench.firewall_check import PARTS, Proof, Subject, Traces, Trial, outcome, prove
from tao_bench.firewall_data import blank, canaries, mark_of, permute, plant
from tao_bench.firewall_watch import can_watch, watching
from tao_bench.models import resolve_model
from tao_bench.registry import Task, load_task

RECIPE = {"learning_rate": 0.001, "batch_size": 4}
TAO = {"samples": 4, "rounds": 1, "recipe": RECIPE}
GOLD = {"samples": 4, "rounds": 1, "recipe": RECIPE}
SFT = {"labels": 8, "min_steps": 2}


@pytest.fixture(scope="module")
def toy_task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAO_BENCH_CACHE", str(tmp_path_factory.mktemp("firewall") / "cache"))
        return load_task("toy_task", [toy.TASK])


@pytest.fixture(scope="module")
def proof(taught_model: Path, toy_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return prove(
        toy_task,
        resolve_model(str(taught_model)),
        tmp_path_factory.mktemp("cells"),
        [Trial("ours", "tao", TAO), Trial("sft", "sft", SFT), Trial("gold", "gold_reward", GOLD)],
    )


def test_tuning_is_the_same_to_the_bit_whatever_the_labels_say(proof: Proof) -> None:
    assert proof.faults() == []
    every = proof.of(proof.trials[0])
    assert set(every) == {"as they are", "permuted", "blanked", "taken away"}
    assert all(len({traces.hashes[part] for traces in every.values()}) == 1 for part in ("samples", "rewards"))
    assert all(every["permuted"].hashes.values())  # samples, rewards, weights, answers and ledger were all made
    assert min(traces.opened for traces in every.values()) > 50


@pytest.mark.parametrize("control", [1, 2])
def test_arms_that_use_labels_change_with_them_and_are_seen_to_open_them(proof: Proof, control: int) -> None:
    first, second = proof.of(proof.trials[control]).values()
    assert first.hashes["weights"] != second.hashes["weights"]
    if can_watch():
        assert any(path.startswith("labels/") for path in first.seen)


CHEATS = """
import pathlib, subprocess

def _label(prompt):
    return pathlib.Path(prompt.handles["document"]).parent.parent / "labels" / "pool.jsonl"

def opens(prompt, answers):
    return [float(answer in _label(prompt).read_text()) for answer in answers]

def another_process_reads(prompt, answers):  # which no audit hook of this one sees
    said = subprocess.run(["cat", _label(prompt)], capture_output=True, text=True).stdout
    line = next((line for line in said.splitlines() if f'"{prompt.id}"' in line), "")
    return [float(f'"value": {answer}' in line) for answer in answers]

def prints(prompt, answers):  # and lets nothing depend on it
    subprocess.run(["cat", _label(prompt)])
    return [1.0 for _ in answers]
"""


@pytest.mark.parametrize(
    ("cheat", "variants", "said"),
    [
        ("opens", ["as they are"], {"asked Python for": True, "a canary": False, "differ": False}),
        ("another_process_reads", ["as they are", "permuted"], {"rewards differ": True, "a canary": False}),
        ("prints", ["permuted"], {"a canary stands in log.txt": True, "differ": False, "asked Python": False}),
    ],
)
def test_a_recipe_that_cheats_is_caught_by_each_means_alone(  # noqa: PLR0917 - fixtures and cases
    taught_model: Path, toy_task: Task, tmp_path: Path, cheat: str, variants: list[str], said: dict[str, bool]
) -> None:
    """A rule of the recipe is the user's own code in the tuning process; it finds the labels and reads them."""
    rules = tmp_path / "rules.py"
    rules.write_text(CHEATS)
    recipe = {**RECIPE, "signals": [{"signal": f"{rules}:{cheat}", "weight": 1.0}]}
    trial = Trial("cheat", "tao", {"samples": 4, "rounds": 1, "recipe": recipe})
    model = resolve_model(str(taught_model))
    faults = "\n".join(prove(toy_task, model, tmp_path / "cells", [trial], variants=variants).faults())
    assert {words: words in faults for words in said} == said
    assert ("the kernel saw labels/pool.jsonl opened" in faults) is (can_watch() and cheat != "opens")


@pytest.fixture(scope="module")
def two_tasks(toy_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = toy.copy_tree(toy.TASK, tmp_path_factory.mktemp("two") / "toy_two")
    spec = folder / "task.yaml"
    spec.write_text(spec.read_text().replace("name: toy_task", "name: toy_two"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAO_BENCH_CACHE", str(tmp_path_factory.mktemp("firewall-two") / "cache"))
        return Subject({"toy_task": toy_task, "toy_two": load_task("toy_two", [folder])}, {"toy_task": 1, "toy_two": 1})


JOINT_CHEAT = """
import pathlib, subprocess

def reads_the_second_task(prompt, answers):  # by another process, which no audit hook of this one sees
    if prompt.id.startswith("toy_two/"):
        label = pathlib.Path(prompt.handles["document"]).parent.parent / "labels" / "pool.jsonl"
        said = subprocess.run(["cat", label], capture_output=True, text=True).stdout
        line = next((line for line in said.splitlines() if f'"{prompt.id.partition("/")[2]}"' in line), "")
        return [float(f'"value": {answer}' in line) for answer in answers]
    return [None for _ in answers]
"""


def test_a_model_tuned_on_two_tasks_is_proved_on_the_labels_of_both(
    taught_model: Path, two_tasks: Subject, tmp_path: Path
) -> None:
    """The honest arm holds; one that reads the labels of the second task alone is caught; SFT is seen at both."""
    rules = tmp_path / "rules.py"
    rules.write_text(JOINT_CHEAT)
    signals = {"signals": [{"signal": f"{rules}:reads_the_second_task", "weight": 1.0}]}
    trials = [
        Trial("ours", "tao", TAO),
        Trial("cheat", "tao", {**TAO, "recipe": {**RECIPE, **signals}}),
        Trial("sft", "sft", SFT),
    ]
    model = resolve_model(str(taught_model))
    proof = prove(two_tasks, model, tmp_path / "cells", trials, variants=["as they are", "permuted"])
    ours, cheat, sft = (list(proof.of(trial).values()) for trial in trials)
    assert all(ours[0].hashes.values()) and ours[0].hashes == ours[1].hashes
    assert not any((one.asked, one.seen, one.canaries, one.failed) != ((), (), (), "") for one in ours)
    assert cheat[0].hashes["rewards"] != cheat[1].hashes["rewards"]
    assert sft[0].hashes["weights"] != sft[1].hashes["weights"]
    faults = proof.faults()
    assert faults and all(f"1 {two_tasks.tasks['toy_two'].version_name}, cheat" in fault for fault in faults)
    if can_watch():
        assert {path.split("/")[0] for one in sft for path in one.seen} == {"0-toy_task", "1-toy_two"}
        assert {path for one in cheat for path in one.seen} == {"1-toy_two/labels/pool.jsonl"}
        first = {
            key: replace(found, seen=tuple(path for path in found.seen if path.startswith("0-")))
            for key, found in proof.cells.items()
        }
        (fault,) = Proof("x", first, (trials[2],), proof.parts).faults()
        assert "was not seen to open labels of 1-toy_two" in fault


def traces(text: str = "x", failed: str = "", seen: tuple[str, ...] = ()) -> Traces:
    """What a cell left, every part with one hash."""
    return Traces(dict.fromkeys(PARTS, text), failed, 60, (), seen, ())


SEEN = ("labels/train.jsonl",)
SOUND = {
    ("ours", "as they are"): traces(),
    ("ours", "permuted"): traces(),
    ("sft", "as they are"): traces(seen=SEEN),
    ("sft", "permuted"): traces("y", seen=SEEN),
}
FAULTY: list[tuple[tuple[str, str], Traces, str]] = [
    (("ours", "permuted"), traces("y"), "toy, ours: samples differ between labels as they are and permuted"),
    (("ours", "permuted"), traces(failed="no such gold"), "toy, ours with labels permuted: failed: no such gold"),
    (("ours", "permuted"), traces(seen=SEEN), "the kernel saw labels/train.jsonl opened"),
    (("ours", "as they are"), traces(""), "ours: made no samples and no rewards and no weights, so it proves nothing"),
    (("sft", "permuted"), traces(seen=SEEN), "sft: weights did not change with its labels"),
    (
        ("sft", "permuted"),
        traces("", "out of labels", SEEN),
        "sft with labels permuted: made no weights: out of labels",
    ),
]


@pytest.mark.parametrize(("cell", "found", "words"), FAULTY)
def test_every_fault_is_named(cell: tuple[str, str], found: Traces, words: str) -> None:
    trials = (Trial("ours", "tao", TAO), Trial("sft", "sft", SFT))
    assert Proof("toy", SOUND, trials).holds
    proof = Proof("toy", {**SOUND, cell: found}, trials)
    assert not proof.holds and words in "\n".join(proof.faults())


@pytest.mark.skipif(not can_watch(), reason="this system does not tell who opens files (Linux does)")
def test_a_watch_that_saw_no_label_opened_by_sft_is_blind() -> None:
    cells = {**SOUND, ("sft", "as they are"): traces(), ("sft", "permuted"): traces("y")}
    (fault,) = Proof("toy", cells, (Trial("ours", "tao", TAO), Trial("sft", "sft", SFT))).faults()
    assert "the watch is blind" in fault


@pytest.mark.skipif(not can_watch(), reason="this system does not tell who opens files (Linux does)")
def test_the_kernel_tells_what_any_process_opened(tmp_path: Path) -> None:
    secret = tmp_path / "labels" / "deep" / "gold.json"
    secret.parent.mkdir(parents=True)
    for path in (secret, tmp_path / "innocent"):
        path.write_text("x")
    with watching([tmp_path / "labels", tmp_path / "missing"]) as opened:
        assert opened() == []
        subprocess.run(["cat", tmp_path / "innocent"], check=True, capture_output=True)
        assert opened() == []
        subprocess.run(["cat", secret], check=True, capture_output=True)
        assert opened() == [str(secret)]
        assert opened() == []


def test_canaries_keep_labels_valid_and_are_found_wherever_they_come_out(tmp_path: Path) -> None:
    labels, run = tmp_path / "labels", tmp_path / "run"
    labels.mkdir()
    run.mkdir()
    rows = [{"id": str(n), "gold": gold, "target": "t"} for n, gold in enumerate([{"value": 1}, "SELECT 1", 3.5])]
    (labels / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (labels / "instance.json").write_text("{}")
    mark = mark_of("hash", 0)
    assert plant(labels, mark) == 4
    planted = [json.loads(line) for line in (labels / "pool.jsonl").read_text().splitlines()]
    assert [row["gold"] for row in planted][2] == 3.5 and planted[0]["gold"]["value"] == 1
    assert all(row["target"].startswith(f"t {mark}") for row in planted)
    assert canaries(labels, mark) == ["instance.json", "pool.jsonl"]
    (run / "deep").mkdir()
    (run / "deep" / "model.safetensors").write_bytes(b"x" * ((1 << 22) - 5) + f"{mark}-0".encode())  # over two blocks
    (run / "log.txt").write_text("nothing")
    assert canaries(run, mark) == ["deep/model.safetensors"]
    assert mark_of("hash", 1) != mark != mark_of("other", 0)


OPENERS = {
    "open": "open(label)",
    "pathlib": "pathlib.Path(label).read_text()",
    "os.open": "os.open(label, os.O_RDONLY)",
    "a link": "os.symlink(label, label + '.link')",
    "through a link": "open(os.path.join(data, 'innocent'))",
    "the list": "os.listdir(os.path.join(data, 'labels'))",
    "dots": "open(os.path.join(data, 'documents', '..', 'labels', 'pool.jsonl'))",
    "copy": "shutil.copyfile(label, os.path.join(data, 'copy'))",
    "the reader": "read_labels(pathlib.Path(data), 'pool')",
}


@pytest.mark.parametrize("way", OPENERS)
def test_a_sealed_process_cannot_open_labels(tmp_path: Path, way: str) -> None:
    data = tmp_path / "data"
    (data / "labels").mkdir(parents=True)
    (data / "documents").mkdir()
    (data / "pool.jsonl").write_text("prompts")
    (data / "labels" / "pool.jsonl").write_text('{"id": "a", "gold": 1, "target": "1"}\n')
    (data / "innocent").symlink_to(data / "labels" / "pool.jsonl")
    program = f"""
import os, pathlib, shutil
from tao_bench.firewall import SealedLabels, seal
from tao_bench.task import read_labels
data = {str(data)!r}
label = os.path.join(data, "labels", "pool.jsonl")
seal(pathlib.Path(data))
assert open(os.path.join(data, "pool.jsonl")).read() == "prompts"
try:
    {OPENERS[way]}
except SealedLabels:
    print("refused")
except Exception as error:
    print("refused" if "label firewall" in str(error) + repr(error.__cause__) else repr(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_the_rows_a_task_was_made_of_are_sealed_like_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tao_bench.new import new_task
    from tao_bench.registry import load_task

    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    folder = new_task("mine", "extract", tmp_path)
    task = load_task("mine", [folder])
    assert folder / "rows.jsonl" in task.label_sources()
    program = f"""
import pathlib
from tao_bench.firewall import SealedLabels, seal
from tao_bench.registry import open_task
task = open_task(pathlib.Path({str(folder)!r}), pathlib.Path({str(task.data)!r}), {task.hash!r})
seal(task.data, None, task.label_sources())
task.pool(), task.interpreter().read(task.pool()[0], ["{{}}"])
for path in (task.folder / "rows.jsonl", task.folder / "x" / ".." / "rows.jsonl", task.data / "labels" / "dev.jsonl"):
    try:
        path.open()
    except SealedLabels:
        print("refused")
"""
    (folder / "x").mkdir()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n" * 3


CHILDREN = {
    "a child": "subprocess.run([sys.executable, '-c', TRY], check=False, cwd='/')",
    "a grandchild": "subprocess.run([sys.executable, '-c', "
    "f'import subprocess, sys; subprocess.run([sys.executable, \"-c\", {TRY!r}])'], check=False)",
    "a spawned process": "start('spawn')",
    "a forked process": "start('fork')",
    "a child with more on its path": "subprocess.run([sys.executable, '-c', TRY], check=False, "
    "env={**os.environ, 'PYTHONPATH': '/nowhere' + os.pathsep + os.environ['PYTHONPATH']})",
}
CHILD = """
import multiprocessing, os, pathlib, subprocess, sys
label = {label!r}
TRY = f"print(open({label!r}).read())"

def attempt():
    exec(TRY)

def start(method):
    child = multiprocessing.get_context(method).Process(target=attempt)
    child.start()
    child.join()

if __name__ == "__main__":
    from tao_bench.firewall import seal
    seal(pathlib.Path(label).parent.parent, pathlib.Path({record!r}))
    {way}
"""


@pytest.fixture
def label(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "labels" / "pool.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("SECRET")
    return path


@pytest.mark.parametrize("way", CHILDREN)
def test_python_children_of_a_sealed_process_cannot_open_labels_either(tmp_path: Path, label: Path, way: str) -> None:
    record, script = tmp_path / "opened", tmp_path / "script.py"
    script.write_text(CHILD.format(label=str(label), record=str(record), way=CHILDREN[way]))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "SECRET" not in done.stdout and "label firewall" in done.stderr, done.stderr
    assert f"open\t{label}\n" in record.read_text()  # the proof hears of it


def test_the_guard_runs_the_sitecustomize_it_stands_before_and_without_a_seal_does_nothing(
    tmp_path: Path, label: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("print('theirs')")
    path = {"PYTHONPATH": os.pathsep.join([GUARD, str(tmp_path / "site")])}
    command = [sys.executable, "-c", f"print(open({str(label)!r}).read())"]
    free = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    assert free.stdout == "theirs\nSECRET\n"
    broken = subprocess.run(command, env={**path, VARIABLE: "[{"}, capture_output=True, text=True, check=False)
    assert broken.returncode == 1 and not broken.stdout and "JSONDecodeError" in broken.stderr  # it does not start


def test_the_processes_that_accelerate_starts_cannot_open_labels(tmp_path: Path, label: Path) -> None:
    """The job of a training stage, opened in its workers, tries to copy a label."""
    program = f"""
import pathlib, shutil
from tao.errors import InputError
from tao.training import launch
from tao.training.settings import Optim, Processes
from tao_bench.firewall import seal

class Steal:
    def __init__(self, target):
        self.target = target
    def __reduce__(self):
        return shutil.copyfile, ({str(label)!r}, str(self.target))

optim, here = Optim(batch_size=2, processes=Processes(2)), pathlib.Path({str(tmp_path)!r})
for target in ("before", "after"):
    if target == "after":
        seal(pathlib.Path({str(label)!r}).parent.parent, here / "opened")
    try:
        launch.run("sft", optim, here / "out", None, examples=Steal(here / target))
    except InputError as error:
        print("failed")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=500
    )
    assert done.stdout == "failed\nfailed\n", done.stderr
    assert (tmp_path / "before").read_text() == "SECRET" and not (tmp_path / "after").exists()
    assert f"shutil.copyfile\t{label}\n" in (tmp_path / "opened").read_text()


def test_a_folder_of_a_similar_name_is_not_sealed() -> None:
    assert is_sealed("/data/labels/pool.jsonl", "/data")
    assert is_sealed("/data/labels", "/data")
    assert not is_sealed("/data/labels_of_tables.json", "/data")
    assert not is_sealed("/data/pool.jsonl", "/data")


def test_other_folds_and_versions_beside_the_data_are_sealed_too() -> None:
    assert is_sealed("/cache/geo@1-ab-fold2/labels/test.jsonl", "/cache/geo@1-ab-fold1")
    assert not is_sealed("/cache/geo@1-ab-fold2/test.jsonl", "/cache/geo@1-ab-fold1")
    assert not is_sealed("/elsewhere/labels/x", "/cache/geo@1-ab-fold1")


def test_permuting_moves_every_label_and_loses_none(tmp_path: Path) -> None:
    rows = [{"id": str(n), "gold": n, "target": f"t{n}"} for n in range(4)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(name)
    permute(tmp_path)
    moved = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    assert all(row["gold"] != int(row["id"]) and row["target"] == f"t{row['gold']}" for row in moved)
    assert sorted(row["gold"] for row in moved) == [0, 1, 2, 3]
    assert ((tmp_path / "one.json").read_text(), (tmp_path / "two.json").read_text()) == ("two", "one")


def test_blanking_leaves_ids_alone(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text('{"id": "a", "gold": 1, "target": "x"}\n')
    (tmp_path / "instance.json").write_text("{}")
    blank(tmp_path)
    assert json.loads((tmp_path / "pool.jsonl").read_text()) == {"id": "a", "gold": None, "target": "-"}
    assert (tmp_path / "instance.json").read_bytes() == b""


def test_the_compared_outcome_depends_on_every_watched_file(tmp_path: Path) -> None:
    names = {
        "samples": "tune/round-0/samples.jsonl",
        "rewards": "tune/round-0/scores.jsonl",
        "weights": "tune/round-0/checkpoint/model.safetensors",
        "answers": "eval/dev/answers.jsonl",
        "ledger": "ledger.jsonl",
    }
    for name in names.values():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "timing.jsonl").write_text("now")
    before = outcome(tmp_path)
    assert set(before) == set(names) and all(before.values())
    for part, name in names.items():
        (tmp_path / name).write_text("changed")
        after = outcome(tmp_path)
        assert [one for one in before if before[one] != after[one]] == [part]
        (tmp_path / name).write_text(name)
