from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tao.errors import InputError
from tao_bench.registry import MissingData, cache_root, load_task, task_dirs, write_manifest

SPEC = """\
name: {name}
version: 1
description: adds numbers
licence: CC0
answer: number
verifier: number
cluster: first addend
chance_floor: 0.1
limits: {{max_prompt_tok: 64, max_new_tok: 16}}
"""
GENERATE = """\
import json
from .words import ask

def generate(out, seed):
    (out / "labels").mkdir()
    (out / "made").write_text("x")
    for split, start in (("pool", 0), ("train", 10), ("dev", 20), ("test", 30)):
        rows, labels = [], []
        for number in range(start, start + 3):
            row = {"id": f"{split}-{number}", "messages": [{"role": "user", "content": ask(number + seed)}]}
            rows.append(row if split == "pool" else {**row, "cluster": str(number % 2), "level": "1"})
            gold = {"value": number, "tolerance": 0, "unit": "amount"}
            labels.append({"id": row["id"], "gold": gold, "target": str(number)})
        for path, lines in ((f"{split}.jsonl", rows), (f"labels/{split}.jsonl", labels)):
            (out / path).write_text("".join(json.dumps(line) + "\\n" for line in lines))
"""
WORDS = "def ask(number):\n    return f'say {number}'\n"


def write_task(root: Path, name: str = "sums", extra: str = "", generate: str = GENERATE) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(SPEC.format(name=name) + extra)
    (folder / "generate.py").write_text(generate)
    (folder / "words.py").write_text(WORDS)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_task_is_generated_once_and_read_back(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks")
    task = load_task("sums", [tmp_path / "tasks"])
    assert task.version_name == "sums@1"
    assert [p.id for p in task.pool()] == ["pool-0", "pool-1", "pool-2"]
    assert [i.cluster for i in task.items("test")] == ["0", "1", "0"]
    made = (task.data / "made").stat().st_mtime_ns
    assert load_task("sums", [tmp_path / "tasks"]) == task
    assert (task.data / "made").stat().st_mtime_ns == made


def test_the_manifest_names_every_data_file(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks")
    task = load_task("sums", [tmp_path / "tasks"])
    files = {p.relative_to(task.data).as_posix() for p in task.data.rglob("*") if p.is_file()}
    assert set(task.files()) == files - {"manifest.json"}
    before = task.files()
    (task.data / "pool.jsonl").write_text("{}")
    write_manifest(task.data)
    assert {name for name, value in task.files().items() if value != before[name]} == {"pool.jsonl"}


@pytest.mark.parametrize(("file", "changes"), [("words.py", True), ("task.yaml", True), ("README.md", False)])
def test_what_shapes_the_data_changes_its_hash(tmp_path: Path, file: str, changes: bool) -> None:
    folder = write_task(tmp_path / "tasks")
    before = load_task("sums", [tmp_path / "tasks"])
    path = folder / file
    text = path.read_text() if path.exists() else ""
    path.write_text(text + ("seed: 7\n" if file == "task.yaml" else "\nOTHER = 1\n"))
    after = load_task("sums", [tmp_path / "tasks"])
    assert (after.hash != before.hash) is changes
    assert (after.data != before.data) is changes


def test_two_tasks_may_have_modules_of_one_name(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks", "sums")
    other = write_task(tmp_path / "tasks", "greetings")
    (other / "words.py").write_text("def ask(number):\n    return f'greet {number}'\n")
    texts = [load_task(n, [tmp_path / "tasks"]).pool()[0].messages[0].content for n in ("sums", "greetings")]
    assert texts == ["say 0", "greet 0"]


def test_a_failing_generator_leaves_no_trace(tmp_path: Path, cache: Path) -> None:
    broken = GENERATE + "    raise RuntimeError('half way')\n"
    write_task(tmp_path / "tasks", generate=broken)
    with pytest.raises(RuntimeError, match="half way"):
        load_task("sums", [tmp_path / "tasks"])
    assert [p.name for p in cache.iterdir() if p.is_dir()] == []


def test_splits_that_share_an_item_are_refused(tmp_path: Path) -> None:
    leaky = GENERATE.replace('f"{split}-{number}"', 'f"{number % 10}"')
    write_task(tmp_path / "tasks", generate=leaky)
    with pytest.raises(InputError, match="is also in pool"):
        load_task("sums", [tmp_path / "tasks"])


def test_a_pool_with_a_label_column_is_refused_by_line(tmp_path: Path) -> None:
    leaky = GENERATE.replace('rows.append(row if split == "pool"', 'rows.append({**row, "gold": 1} if split == "pool"')
    write_task(tmp_path / "tasks", generate=leaky)
    with pytest.raises(InputError, match=r"pool\.jsonl:1: unknown column 'gold'"):
        load_task("sums", [tmp_path / "tasks"])


def test_ready_data_needs_no_generator(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks")
    data = load_task("sums", [tmp_path / "tasks"]).data
    folder = tmp_path / "more" / "given"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(SPEC.format(name="given"))
    for path in data.rglob("*.jsonl"):
        (folder / path.relative_to(data)).parent.mkdir(exist_ok=True)
        (folder / path.relative_to(data)).write_text(path.read_text())
    assert [p.id for p in load_task("given", [tmp_path / "more"]).pool()] == ["pool-0", "pool-1", "pool-2"]


def test_an_unknown_task_is_answered_with_the_closest_name(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks")
    with pytest.raises(InputError, match="did you mean 'sums'"):
        load_task("sum", [tmp_path / "tasks"])


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    write_task(tmp_path / "one")
    write_task(tmp_path / "two")
    with pytest.raises(InputError, match="two tasks are called 'sums'"):
        task_dirs([tmp_path / "one", tmp_path / "two"])


def test_a_later_version_stands_beside_the_published_one(tmp_path: Path) -> None:
    published = write_task(tmp_path / "tasks")
    later = write_task(tmp_path / "tasks", "sums_v3")
    (later / "task.yaml").write_text(SPEC.format(name="sums").replace("version: 1", "version: 3"))
    extra = [tmp_path / "tasks"]
    assert {name: task_dirs(extra)[name] for name in ("sums", "sums@3")} == {"sums": published, "sums@3": later}
    names = {name: (load_task(name, extra).version_name, load_task(name, extra).name) for name in ("sums", "sums@3")}
    assert names == {"sums": ("sums@1", "sums"), "sums@3": ("sums@3", "sums@3")}
    assert load_task("sums@1", extra) == load_task("sums", extra)
    with pytest.raises(InputError, match="there are sums@1, sums@3"):
        load_task("sums@2", extra)
    write_task(tmp_path / "tasks", "own_v2")  # a task whose own name ends like that keeps it
    assert load_task("own_v2", extra).version_name == "own_v2@1"


def test_a_folder_whose_version_is_not_its_task_s_is_refused(tmp_path: Path) -> None:
    folder = write_task(tmp_path / "tasks", "sums_v3")
    (folder / "task.yaml").write_text(SPEC.format(name="sums"))
    with pytest.raises(InputError, match="in a folder called 'sums_v3'"):
        load_task("sums@3", [tmp_path / "tasks"])


def test_missing_external_data_is_told_apart_and_its_content_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tmp_path / "tasks", extra="needs: SUMS_DATA\n")
    monkeypatch.delenv("SUMS_DATA", raising=False)
    with pytest.raises(MissingData, match="SUMS_DATA is not set"):
        load_task("sums", [tmp_path / "tasks"])
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("SUMS_DATA", str(outside))
    with pytest.raises(MissingData, match="no folder with files"):
        load_task("sums", [tmp_path / "tasks"])
    (outside / "facts.json").write_text("1")
    first = load_task("sums", [tmp_path / "tasks"])
    (outside / "facts.json").write_text("2")
    assert load_task("sums", [tmp_path / "tasks"]).hash != first.hash


def _load(root: str) -> str:
    return str(load_task("sums", [Path(root)]).data)


def test_processes_that_want_one_task_do_not_make_it_twice(tmp_path: Path) -> None:
    slow = GENERATE + (
        "    import os, pathlib, time\n"
        f"    with pathlib.Path({str(tmp_path / 'calls')!r}).open('a') as handle:\n"
        "        handle.write(f'{os.getpid()}\\n')\n"
        "    time.sleep(0.3)\n"
    )
    write_task(tmp_path / "tasks", generate=slow)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        folders = pool.map(_load, [str(tmp_path / "tasks")] * 3)
    assert len(set(folders)) == 1
    assert len((tmp_path / "calls").read_text().split()) == 1


def test_the_cache_is_where_the_variable_says(cache: Path) -> None:
    assert cache_root() == cache


def test_every_built_in_task_has_a_valid_spec() -> None:
    from tao_bench.task import read_spec

    found = task_dirs()
    assert found
    for name, folder in found.items():
        spec = read_spec(folder)
        assert name in (spec.name, f"{spec.name}@{spec.version}")
