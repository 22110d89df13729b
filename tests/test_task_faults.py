"""`tao-bench new` writes folders that are green, and `tao-bench check` names every seeded fault and what mends it.

The faults are a flat file, `fixtures/task_faults/faults.yaml`: a new one needs no Python.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao.errors import InputError
from tao_bench.check import check_task, run_check
from tao_bench.new import KINDS, new_task
from tao_bench.registry import load_task

FAULTS = yaml.safe_load((Path(__file__).parent / "fixtures" / "task_faults" / "faults.yaml").read_text())


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAO_BENCH_TASKS", raising=False)
    monkeypatch.chdir(tmp_path)


def apply(folder: Path, edit: dict[str, dict[str, Any]]) -> None:
    """Change a folder's files as a fault says; a step that changes nothing is a mistake in the fault."""
    for name, steps in edit.items():
        path = folder / name
        for step, value in steps.items():
            if step == "delete":
                path.unlink()
                continue
            before = path.read_text() if path.exists() else ""
            if step == "write":
                after = value
            elif step == "append":
                after = before + "\n".join(line.strip() for line in value.split("\n")).lstrip()
            elif step == "replace":
                after = before.replace(*value, 1)
            else:
                after = "\n".join(re.sub(*value, line) for line in before.split("\n"))
            assert step == "write" or after != before, f"{step} changes nothing in {name}"
            path.write_text(after)


def red(folder: Path) -> list[tuple[str, str, str, str]]:
    """What is red: check, place, what is said, remedy; ``task`` where it is refused."""
    try:
        found = check_task(load_task(folder.name, [folder]))
    except InputError as error:
        return [("task", error.where, error.what, error.fix)]
    return [(finding.check, "", finding.detail, finding.fix) for finding in found if not finding.ok]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_task_is_green_untouched(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new_task("fresh", kind, tmp_path)
    assert red(folder) == []
    assert run_check([str(folder)]) == 0
    assert "RED" not in capsys.readouterr().out
    assert {"task.yaml", "fixtures.jsonl", "README.md", "experiment.yaml", "test_task.py"} <= {
        path.name for path in folder.iterdir()
    }
    assert "my_task" not in (folder / "README.md").read_text() + (folder / "task.yaml").read_text()


def test_there_are_twenty_faults_and_more_each_once() -> None:
    names = [fault["fault"] for fault in FAULTS]
    assert len(names) == len(set(names)) >= 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["fault"])
def test_a_seeded_fault_is_named_with_its_remedy(fault: dict[str, Any], tmp_path: Path) -> None:
    folder = new_task("broken", fault["kind"], tmp_path)
    apply(folder, fault["edit"])
    found = red(folder)
    assert any(
        check.startswith(fault["red"])
        and fault.get("where", "") in where
        and fault.get("says", "") in says
        and fault.get("mend", "") in mend
        for check, where, says, mend in found
    ), found


def test_the_command_says_red_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = new_task("bad", "classify", tmp_path), new_task("good", "classify", tmp_path)
    apply(bad, {"task.yaml": {"replace": ["verifier: choice", "verifier: choices"]}})
    assert run_check([str(bad), str(good)]) == 1
    out = capsys.readouterr().out
    assert "bad: RED" in out and "fix: use calls, choice" in out and "good@1" in out


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = new_task("mine", "qa", tmp_path)
    (folder / "rows.jsonl").write_text("precious")
    with pytest.raises(InputError, match="not overwritten"):
        new_task("mine", "qa", tmp_path)
    assert (folder / "rows.jsonl").read_text() == "precious"


@pytest.mark.parametrize("name", ["My Tickets", "2nd", "", "../up"])
def test_a_bad_name_is_refused_with_a_better_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="small letters, digits and underscores, such as"):
        new_task(name, "qa", tmp_path)


def test_a_built_in_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already"):
        new_task("sec_filings", "qa", tmp_path)
