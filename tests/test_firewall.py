from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import toy

from tao_bench.firewall import is_sealed
from tao_bench.firewall_check import Proof, blank, outcome, permute, prove
from tao_bench.models import resolve_model
from tao_bench.registry import load_task


@pytest.fixture(scope="module")
def proof(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("firewall")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAO_BENCH_CACHE", str(folder / "cache"))
        task = load_task("toy_task", [toy.TASK])
    recipe = {"learning_rate": 0.001, "batch_size": 4}
    return prove(
        task,
        resolve_model(str(taught_model)),
        folder / "cells",
        tao={"samples": 4, "rounds": 1, "recipe": recipe},
        sft={"labels": 8, "min_steps": 2},
    )


def test_tuning_is_the_same_to_the_bit_whatever_the_labels_say(proof: Proof) -> None:
    assert set(proof.tuned) == {"as they are", "permuted", "blanked", "taken away"}
    assert len(set(proof.tuned.values())) == 1
    assert proof.files == 4  # tuning's samples, scores and weights; evaluation's samples


def test_supervised_tuning_changes_with_its_labels(proof: Proof) -> None:
    assert len(set(proof.control.values())) == 2
    assert proof.holds


def test_a_tuning_process_opens_files_and_no_label(proof: Proof) -> None:
    assert proof.opened > 50
    assert proof.leaks == ()


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
    names = ("round-0/samples.jsonl", "round-0/scores.jsonl", "round-0/checkpoint/model.safetensors")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    before, count = outcome(tmp_path)
    assert count == len(names)
    for name in names:
        (tmp_path / name).write_text("changed")
        assert outcome(tmp_path)[0] != before
        (tmp_path / name).write_text(name)
