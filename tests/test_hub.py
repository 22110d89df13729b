"""Data from the hub: a local folder plays the data set, a silent socket plays a network that swallows packets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tao_bench.cli import main
from tao_bench.firewall import is_sealed
from tao_bench.hub import PROBE_S, HubError, fetch
from tao_bench.registry import MissingData, external_data, load_task, task_folder
from tao_bench.task import HubSource, read_spec

FIXTURES = Path(__file__).parent / "fixtures" / "published_qa"


def test_every_split_becomes_a_file_and_is_not_fetched_twice(tmp_path: Path) -> None:
    source = tmp_path / "set"
    source.mkdir()
    rows = [
        json.loads(x) for x in (FIXTURES / "financebench" / "financebench_open_source.jsonl").read_text().splitlines()
    ]
    (source / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = fetch(HubSource(id=str(source)), tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == ["train.jsonl"]
    got = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [row["evidence"] for row in got] == [row["evidence"] for row in rows]
    (source / "train.jsonl").write_text("{}")
    assert fetch(HubSource(id=str(source)), tmp_path / "cache") == folder
    assert len((folder / "train.jsonl").read_text().splitlines()) == len(rows)


def test_files_whose_rows_fit_no_table_are_taken_as_they_are(tmp_path: Path) -> None:
    source = HubSource(id=str(FIXTURES / "tatqa"), files=("tatqa_dataset_train.json", "tatqa_dataset_dev.json"))
    folder = fetch(source, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["tatqa_dataset_dev.json"]
    name = "tatqa_dataset_dev.json"
    assert json.loads((folder / name).read_text()) == json.loads((FIXTURES / "tatqa" / name).read_text())


def test_what_the_hub_delivers_is_sealed_from_tuning(tmp_path: Path) -> None:
    folder = fetch(HubSource(id=str(FIXTURES / "tatqa"), files=("tatqa_dataset_dev.json",)), tmp_path)
    assert is_sealed(str(folder / "tatqa_dataset_dev.json"), str(tmp_path / "tatqa@1-abc"))


def test_missing_files_and_offline_mode_end_in_one_error_and_leave_nothing(tmp_path: Path) -> None:
    for source in (
        HubSource(id=str(FIXTURES / "tatqa"), files=("nothing.json",)),
        HubSource(id="nobody/no-such-set-here"),
        HubSource(id="nobody/no-such-set-here", files=("a.json",)),
    ):
        with pytest.raises(HubError, match="could not be loaded"):
            fetch(source, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_offline_a_task_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path))
    for name in ("financebench", "tatqa", "finqa"):
        monkeypatch.delenv(f"TAO_BENCH_{name.upper()}", raising=False)
        with pytest.raises(MissingData, match=f"set TAO_BENCH_{name.upper()} to the folder.*unset HF_HUB_OFFLINE"):
            load_task(name)


def test_a_copy_without_databases_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("spider", "bird"):
        monkeypatch.delenv(f"TAO_BENCH_{name.upper()}", raising=False)
        with pytest.raises(MissingData, match=r"the hub's copy, [\w/]+, lacks the databases"):
            external_data(read_spec(task_folder(name)))


def test_a_task_is_made_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAO_BENCH_TATQA", raising=False)
    task = tmp_path / "tasks" / "tatqa"
    task.mkdir(parents=True)
    for path in task_folder("tatqa").iterdir():
        if path.is_file():
            text = path.read_text().replace("id: next-tat/TAT-QA", f"id: {FIXTURES / 'tatqa'}")
            (task / path.name).write_text(text.replace("name: tatqa", "name: tatqa_copy"))
    copy = task.rename(task.parent / "tatqa_copy")
    assert len(load_task("tatqa_copy", [copy]).items("test")) > 0
    assert main(["tasks", "show", "tatqa_copy", "--tasks", str(copy)]) == 0


def test_a_network_that_never_answers_holds_nobody_up(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        code = (
            "from pathlib import Path; import sys; from tao_bench.hub import *; from tao_bench.task import HubSource\n"
            "try: fetch(HubSource(id='some/set'), Path(sys.argv[1]))\n"
            "except HubError as error: print(error)"
        )
        root = str(Path(__file__).parent.parent)
        where = {
            "HF_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": root,
        }
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, **where},
            capture_output=True,
            text=True,
            timeout=PROBE_S * 12,  # ends a test that hangs; how fast it is, is not asserted
            check=True,
        )
    assert "could not be loaded" in done.stdout and "go online" in done.stdout
    assert time.monotonic() - began >= PROBE_S / 2  # it did wait for an answer
