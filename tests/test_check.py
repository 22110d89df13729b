"""`tao-bench check`: green on a sound task, and red with a remedy for each way a task can be unsound."""

import json
from pathlib import Path

import pytest
from tiny_task import write_jsonl, write_task

from tao.errors import InputError
from tao_bench.check import check_answer_in_prompt, check_task, policies, run_check, thin
from tao_bench.fixtures import read_fixtures
from tao_bench.registry import load_task, task_dirs
from tao_bench.task import Label, read_spec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAO_BENCH_TASKS", raising=False)
    return write_task(tmp_path / "tiny")


def edit(path: Path, change) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    write_jsonl(path, rows)


def red(folder: Path, sample: int | None = None) -> dict[str, str]:
    """Check to what it found, for the red ones."""
    return {f.check: f"{f.detail} | {f.fix}" for f in check_task(load_task("tiny", [folder]), sample) if not f.ok}


def test_a_sound_task_is_green(folder, capsys):
    assert red(folder) == {}
    assert run_check(["tiny"], extra=[folder]) == 0
    assert "RED" not in capsys.readouterr().out


def test_a_wrong_gold_is_named(folder):
    edit(folder / "labels" / "dev.jsonl", lambda row: row["gold"].update(value=row["gold"]["value"] + 5))
    found = red(folder)
    assert list(found) == ["golds pass (dev)"]
    assert "4 of 4 items: tiny-11 wrong (value)" in found["golds pass (dev)"] and "1 more" in found["golds pass (dev)"]


def test_a_policy_that_knows_nothing_is_caught(folder):
    for split in ("train", "dev", "test"):
        edit(folder / "labels" / f"{split}.jsonl", lambda row: row.update(target="0", gold={**row["gold"], "value": 0}))
    found = red(folder)
    assert "policy: 0" in found and "policy: commonest target" in found
    assert "100.0% of 10, floor 35.0%" in found["policy: 0"] and "chance_floor in task.yaml" in found["policy: 0"]


def test_a_broken_gold_is_no_excuse_for_a_policy(folder):
    edit(folder / "labels" / "test.jsonl", lambda row: row["gold"].pop("unit"))
    found = red(folder)
    assert "golds pass (test)" in found and "verifier errors" in found["policy: empty"]


def test_lengths_are_held_to_the_limits(folder):
    spec = (folder / "task.yaml").read_text()
    (folder / "task.yaml").write_text(spec.replace("160", "30").replace("max_new_tok: 40", "max_new_tok: 3"))
    found = red(folder)
    assert set(found) == {"prompts fit", "targets fit"} and "20 of 20 prompts" in found["prompts fit"]


def test_a_repeated_prompt_is_caught_whatever_its_id_case_and_spaces(folder):
    first = json.loads((folder / "pool.jsonl").read_text().splitlines()[0])
    shout = first["messages"][0]["content"].upper().replace(" ", "  ")
    edit(
        folder / "test.jsonl",
        lambda row: (
            row.update(context=[], messages=[{"role": "user", "content": shout}]) if row["id"] == "tiny-15" else None
        ),
    )
    assert "test tiny-15 is pool tiny-1" in red(folder)["splits do not overlap"]


def test_an_answer_in_its_prompt_is_caught(folder):
    def leak(row):
        row["messages"][0]["content"] += " Hint: [Revenue 2023] - [Revenue 2022]"

    edit(folder / "train.jsonl", leak)
    assert "prompts do not hold answers" in red(folder)
    task = load_task("tiny", [folder])
    assert check_answer_in_prompt([(task.pool()[0], Label(None, "   "))]).ok


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"data": "mill", "gold": {}, "candidate": "1", "status": "right", "why": ""}, "unknown status 'right'"),
        ({"data": "mil", "gold": {}, "candidate": "1", "status": "wrong", "why": ""}, "'mil' is not declared"),
        ({"data": "mill", "gold": {}, "candidate": "1", "status": "wrong"}, "no field 'why'"),
        (
            {"data": "mill", "gold": {}, "candidate": "1", "status": "wrong", "why": "", "note": 1},
            "unknown field 'note'",
        ),
        ({"name": "empty"}, "neither tables nor a document"),
        ([], "must be a JSON object"),
    ],
)
def test_malformed_fixtures_are_named_by_line(folder, tmp_path, row, message):
    with (folder / "fixtures.jsonl").open("a") as handle:
        handle.write(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=r"fixtures.jsonl:5: .*" + message):
        read_fixtures(folder / "fixtures.jsonl", tmp_path / "scratch")
    assert message in red(folder)["fixtures hold"]


def test_a_fixture_that_does_not_hold_says_why_it_should(folder):
    edit(folder / "fixtures.jsonl", lambda row: row.update(status="correct") if "reason" in row else None)
    assert "fixtures.jsonl:3: wrong (sign), not correct sign; turned round" in red(folder)["fixtures hold"]


@pytest.mark.parametrize("text", ["", '{"name": "mill", "document": {"columns": [], "rows": []}}\n'])
def test_a_task_without_fixtures_is_red(folder, text):
    (folder / "fixtures.jsonl").write_text(text)
    assert "holds no case" in red(folder)["fixtures hold"]


def test_the_command_fails_on_red_and_prints_the_remedy(folder, capsys):
    edit(folder / "labels" / "dev.jsonl", lambda row: row["gold"].update(value=-1))
    assert run_check(["tiny"], extra=[folder]) == 1
    output = capsys.readouterr().out
    assert "RED" in output and "mend labels/dev.jsonl in the generator" in output


def test_a_task_whose_data_is_elsewhere_is_skipped_unless_asked_for(folder, capsys, monkeypatch):
    monkeypatch.delenv("TINY_DATA", raising=False)
    (folder / "task.yaml").write_text((folder / "task.yaml").read_text() + "needs: TINY_DATA\n")
    assert run_check(["tiny"], extra=[folder]) == 1
    assert "skipped" in capsys.readouterr().out


def test_sampling_is_even():
    assert thin(list(range(10)), 3) == [0, 3, 6] and thin([1, 2], 5) == [1, 2] and thin([1, 2], None) == [1, 2]


def test_policies_use_the_training_split_only(folder):
    task = load_task("tiny", [folder])
    known = policies({})
    assert (
        "commonest target" not in known and known["prompt echo"](task.pool()[0]) == task.pool()[0].messages[-1].content
    )


@pytest.mark.parametrize("name", sorted(name for name, path in task_dirs().items() if not read_spec(path).needs))
def test_tasks_that_make_their_own_data_are_green(name, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    assert [finding for finding in check_task(load_task(name), sample=30) if not finding.ok] == []
