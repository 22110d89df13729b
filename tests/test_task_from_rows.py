"""A task from rows and templates: every kind of table gives the same task, splits are seeded, labels stay sealed."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tao.errors import InputError
from tao_bench.find import ENTRY_POINTS, named_folders, read_heading, task_dirs
from tao_bench.new import new_task
from tao_bench.registry import MissingData, Task, load_task
from tao_bench.source import Shares
from tao_bench.tables import Row
from tao_bench.task import LABELLED_SPLITS, read_labels, read_spec

SPEC = """\
name: towns
version: 1
description: Which river a town lies at
licence: CC0-1.0
data: {data}
columns: {{id: town, cluster: river}}
cluster: river
prompt:
  - {{role: system, content: "Answer with one name & nothing else."}}
  - {{role: user, content: "Question: at which river lies {{{{ town }}}} <{{{{ people }}}}>?"}}
answer: text
verifier: text
gold: {gold}
chance_floor: 0.5
limits: {{max_prompt_tok: 64, max_new_tok: 8}}
"""
ROWS = [{"town": f"Town {n}", "people": n * 1000, "river": f"River {n // 2}"} for n in range(1, 21)]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAO_BENCH_TASKS", raising=False)


def towns(folder: Path, data: str, gold: str = "river") -> Task:
    (folder / "task.yaml").write_text(SPEC.format(data=data, gold=gold))
    return load_task("towns", [folder])


def _jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def _csv(path: Path) -> None:
    with path.open("w", newline="") as handle:
        table = csv.DictWriter(handle, list(ROWS[0]))
        table.writeheader()
        table.writerows(ROWS)


def _parquet(path: Path) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(pyarrow.Table.from_pylist(ROWS), path)


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "all towns" (town TEXT, people INT, river TEXT)')
        connection.executemany('INSERT INTO "all towns" VALUES (:town, :people, :river)', ROWS)


def _duckdb(path: Path) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE TABLE "all towns" (town TEXT, people INT, river TEXT)')
        connection.executemany('INSERT INTO "all towns" VALUES (?, ?, ?)', [list(row.values()) for row in ROWS])


@pytest.mark.parametrize(
    ("make", "file", "table"),
    [
        (_csv, "towns.csv", "towns.csv"),
        (_parquet, "towns.parquet", "{file: towns.parquet}"),
        (_sqlite, "towns.sqlite", "{file: towns.sqlite, table: all towns}"),
        (_duckdb, "towns.duckdb", '{file: towns.duckdb, query: "SELECT * FROM \\"all towns\\" ORDER BY people"}'),
    ],
)
def test_every_kind_of_table_gives_the_same_task(
    tmp_path: Path, make: Callable[[Path], None], file: str, table: str
) -> None:
    folders = [tmp_path / "one" / "towns", tmp_path / "two" / "towns"]
    for folder in folders:
        folder.mkdir(parents=True)
    _jsonl(folders[0] / "towns.jsonl")
    make(folders[1] / file)
    plain, other = towns(folders[0], "{rows: towns.jsonl}"), towns(folders[1], f"{{rows: {table}}}")
    assert plain.files() == other.files()


def test_no_label_is_in_the_pool_and_no_cluster_in_two_splits(tmp_path: Path) -> None:
    (tmp_path / "towns").mkdir()
    _jsonl(tmp_path / "towns" / "towns.jsonl")
    task = towns(tmp_path / "towns", "{rows: towns.jsonl}")
    assert "River" not in (task.data / "pool.jsonl").read_text()
    homes = [{item.cluster for item in task.items(split)} for split in LABELLED_SPLITS]
    assert all(homes) and sum(map(len, homes)) == len(set.union(*homes))
    everyone = [prompt.id for prompt in task.pool()] + [i.prompt.id for s in LABELLED_SPLITS for i in task.items(s)]
    assert sorted(everyone) == sorted(row["town"] for row in ROWS)
    item = task.items("dev")[0]
    assert read_labels(task.data, "dev")[item.prompt.id].gold == item.cluster
    assert [m.role for m in item.prompt.messages] == ["system", "user"]
    assert f"{item.prompt.id} <" in item.prompt.messages[1].content  # nothing is escaped as HTML


def test_a_split_depends_on_its_seed_alone() -> None:
    from tao_bench.assemble import split_rows

    rows = [Row(f"r{n}", {"c": n // 3}) for n in range(100)]

    def drawn(found: list[Row], seed: int) -> dict[str, set[str]]:
        return {s: {r.where for r in part} for s, part in split_rows(found, Shares(), "c", seed, "x").items()}

    assert drawn(rows, 1) == drawn(rows[::-1], 1) != drawn(rows, 2)
    sizes = {split: len(part) for split, part in drawn(rows, 1).items()}
    assert all(abs(sizes[s] - 100 * getattr(Shares(), s)) <= 3 for s in sizes)


def test_a_pool_may_lack_what_labels_are_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "towns"
    folder.mkdir()
    for place, split in enumerate(("pool", "train", "dev", "test")):
        rows = [dict(row) for row in ROWS[5 * place : 5 * place + 5]]
        if split == "pool":
            rows = [{"town": row["town"], "people": row["people"]} for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # pool.jsonl is also the name of ready data: the rows lie elsewhere in the folder
    (folder / "rows").mkdir()
    for split in ("pool", "train", "dev", "test"):
        (folder / f"{split}.jsonl").rename(folder / "rows" / f"{split}.jsonl")
    task = towns(folder, "{pool: rows/pool.jsonl, train: rows/train.jsonl, dev: rows/dev.jsonl, test: rows/test.jsonl}")
    assert len(task.pool()) == 5 and read_labels(task.data, "pool") == {}
    assert len(read_labels(task.data, "test")) == 5


def test_a_gold_by_fields_keeps_its_types(tmp_path: Path) -> None:
    folder = tmp_path / "towns"
    folder.mkdir()
    _jsonl(folder / "towns.jsonl")
    gold = '{value: "{{ river | length }}", tolerance: 0.5, unit: amount, note: "{{ river }} (river)"}\ntarget: river'
    task = towns(folder, "{rows: towns.jsonl}", gold=gold)
    name, label = next(iter(read_labels(task.data, "test").items()))
    row = next(row for row in ROWS if row["town"] == name)
    wanted = {"value": len(row["river"]), "tolerance": 0.5, "unit": "amount", "note": f"{row['river']} (river)"}
    assert label.gold == wanted and label.target == row["river"]


def test_the_hub_offline_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "towns"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(MissingData, match=r"cannot be loaded from the hub.*\n.*save the split as Parquet"):
        towns(folder, "{rows: {hub: nobody/no-such-rows, split: train}}")


def test_columns_with_spaces_are_named_with_underscores(tmp_path: Path) -> None:
    folder = tmp_path / "towns"
    folder.mkdir()
    rows: list[dict[str, Any]] = [{"town": r["town"], "river": r["river"], "people": 1, "Head count": 7} for r in ROWS]
    (folder / "towns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.yaml").write_text(
        SPEC.format(data="{rows: towns.jsonl}", gold="river").replace("{{ people }}", "{{ Head_count }}")
    )
    assert "<7>" in load_task("towns", [folder]).pool()[0].messages[1].content


def test_other_rows_or_another_split_are_other_data(tmp_path: Path) -> None:
    folder = new_task("mine", "qa", tmp_path)
    first = load_task("mine", [folder]).hash
    (folder / "experiment.yaml").write_text("name: x\n")
    assert load_task("mine", [folder]).hash == first
    (folder / "task.yaml").write_text((folder / "task.yaml").read_text().replace("seed: 0", "seed: 1"))
    assert load_task("mine", [folder]).hash != first


def test_folders_are_named_like_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_task("mine", "qa", tmp_path)
    assert named_folders([str(folder), "geoquery"]) == (["mine", "geoquery"], [folder.resolve()])
    monkeypatch.chdir(folder)
    assert named_folders(["."])[0] == ["mine"]
    for nowhere in (str(tmp_path / "nowhere"), "nowhere/", "..", "/"):
        with pytest.raises(InputError, match="no task in this folder"):
            named_folders([nowhere])


def test_a_list_shows_faulty_tasks_too(tmp_path: Path) -> None:
    folder = new_task("mine", "qa", tmp_path)
    assert read_heading(folder) == read_heading(folder.resolve())
    heading = read_heading(folder)
    spec = read_spec(folder)
    assert (heading.name, heading.version, heading.description) == (spec.name, str(spec.version), spec.description)
    (folder / "task.yaml").write_text("name: mine\nanswer: [")
    assert task_dirs([tmp_path])["mine"] == folder.resolve() and read_heading(folder).version == "?"


@pytest.mark.parametrize("text", ["", "- a\n", "3\n"])
def test_a_file_without_keys_says_how_to_begin(text: str, tmp_path: Path) -> None:
    folder = new_task("mine", "qa", tmp_path)
    (folder / "task.yaml").write_text(text)
    with pytest.raises(InputError, match=r"holds no keys\n.*tao-bench new"):
        read_spec(folder)


def test_installed_packages_bring_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "acme_tasks"
    new_task("acme_tickets", "classify", package)
    (package / "__init__.py").write_text("")
    about = tmp_path / "acme_tasks-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tasks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nacme = acme_tasks\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert task_dirs()["acme_tickets"] == package / "acme_tickets"
