"""`tao-bench grade`: stored answers in, verdicts out, for any task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stalls_task import GOLDS, write_stalls
from tiny_task import write_jsonl, write_task

from tao_bench.cli import main
from tao_bench.grade import read_answers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def stalls(tmp_path: Path) -> Path:
    return write_stalls(tmp_path / "stalls")


def grade(task: Path, answers: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    out = answers.with_suffix(".out")
    code = main(["grade", task.name, str(answers), "-o", str(out), "--tasks", str(task), *options])
    return code, [json.loads(line) for line in out.read_text().splitlines()]


def test_sql_answers_come_with_prose_and_keep_their_fields(stalls: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    write_jsonl(
        answers,
        [
            {"id": "active", "answer": f"Sure!\n```sql\n{GOLDS['active']}\n```\nIt lists them.", "model": "m"},
            {"id": "early", "answer": "SELECT 40"},
            {"id": "names", "answer": "I cannot answer this."},
        ],
    )
    code, rows = grade(stalls, answers)
    assert code == 0
    assert [(row["status"], row["reason"], row["score"]) for row in rows] == [
        ("correct", "equal", 1.0),
        ("wrong", "values", 0.0),
        ("wrong", "refusal", 0.0),
    ]
    assert rows[0]["model"] == "m"
    assert rows[0]["extracted"] == GOLDS["active"]


def test_answers_of_another_dialect_are_ported(stalls: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    write_jsonl(answers, [{"id": "names", "answer": 'SELECT name FROM "stall" GROUP BY name ORDER BY name'}])
    assert grade(stalls, answers)[1][0]["status"] != "correct"
    assert grade(stalls, answers, "--answers-dialect", "sqlite")[1][0]["status"] == "correct"


def test_a_rule_of_porting_that_breaks_is_no_evidence(
    stalls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(root: object, context: object) -> bool:
        raise KeyError("x")

    monkeypatch.setattr("tao_bench.sql.port.RULES", (breaks,))
    answers = tmp_path / "answers.jsonl"
    write_jsonl(answers, [{"id": "names", "answer": "SELECT name FROM stall"}])
    [row] = grade(stalls, answers, "--answers-dialect", "sqlite")[1]
    assert (row["status"], row["reason"]) == ("verifier_error", "port_failed")


def test_bad_rows_are_counted_and_named_and_the_rest_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_task(tmp_path / "tiny")
    target = json.loads((task / "labels" / "test.jsonl").read_text().splitlines()[0])
    answers = tmp_path / "answers.jsonl"
    good = json.dumps({"tiny_id": target["id"], "answer": target["target"]})
    lines = [
        b"{oops",
        b"[1, 2]",
        b'{"answer": "1"}',
        b'{"id": "tiny-99", "answer": "1"}',
        json.dumps({"id": target["id"]}).encode(),
        json.dumps({"id": target["id"], "answer": [[5]]}).encode(),
        b'{"id": "\xff"}',
        b"",
        good.encode(),
    ]
    answers.write_bytes(b"\n".join(lines))
    code, rows = grade(task, answers)
    assert code == 1
    assert [row["status"] for row in rows] == ["correct"]
    said = capsys.readouterr().out
    assert "1 answers judged, on 1 of 20 items" in said
    assert "7 rows were not judged" in said
    assert f"{answers}:1: not JSON" in said
    assert f"{answers}:5: no answer" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--answers-dialect", "sqlit"], "did you mean 'sqlite'"),
        (["--answers-dialect", "sqlite", "-o", "answers.jsonl"], "would overwrite"),
        (["-o", "no/such/folder/x.jsonl"], "cannot be written"),
    ],
)
def test_bad_options_are_one_clear_error(
    options: list[str],
    message: str,
    stalls: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(stalls.parent)
    write_jsonl(Path("answers.jsonl"), [{"id": "names", "answer": "SELECT 1"}])
    assert main(["grade", "stalls", "answers.jsonl", "--tasks", str(stalls), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_dialect_is_for_sql_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(tmp_path / "tiny")
    write_jsonl(tmp_path / "a.jsonl", [{"id": "tiny-1", "answer": "1"}])
    assert main(["grade", "tiny", str(tmp_path / "a.jsonl"), "--tasks", str(task), "--answers-dialect", "sqlite"]) == 2
    assert "only SQL answers" in capsys.readouterr().err
    assert main(["grade", "tiny", str(tmp_path / "a.jsonl"), "--tasks", str(task), "--policy", "strict"]) == 2
    assert "has one rule of comparison" in capsys.readouterr().err


def test_the_first_answer_counts_and_later_ones_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(tmp_path / "tiny")
    label = json.loads((task / "labels" / "test.jsonl").read_text().splitlines()[0])
    answers = tmp_path / "answers.jsonl"
    write_jsonl(
        answers,
        [
            {"id": label["id"], "answer": label["target"]},
            {"tiny_id": label["id"], "answer": "0"},
            {"id": "tiny-99", "answer": "0"},
        ],
    )
    code, rows = grade(task, answers)
    said = capsys.readouterr().out
    assert code == 1
    assert [row["status"] for row in rows] == ["correct"]
    assert f"{answers}:2: {label['id']} was answered before, at {answers}:1; the first counts" in said
    assert f"{answers}:3: no item" in said


def test_numbers_are_read_as_text_and_null_and_ten_megabytes_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_task(tmp_path / "tiny")
    ids = [json.loads(line)["id"] for line in (task / "test.jsonl").read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    write_jsonl(
        answers,
        [
            {"id": ids[0], "model_answer": 0},
            {"id": ids[1], "answer": None},
            {"id": ids[2], "answer": "7 " * 5_000_000},
            {"id": ids[3], "answer": True},
        ],
    )
    code, rows = grade(task, answers)
    said = capsys.readouterr().out
    assert code == 1
    assert [row["id"] for row in rows] == [ids[0]]
    assert f"{answers}:2: the answer is not text but null" in said
    assert f"{answers}:3: the answer has 10,000,000 characters, more than 1,000,000" in said
    assert f"{answers}:4: the answer is not text but true or false" in said


def test_every_row_left_out_is_named_by_its_line_and_the_pool_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_task(tmp_path / "tiny")
    pool = [json.loads(line)["id"] for line in (task / "pool.jsonl").read_text().splitlines()]
    unlabelled = pool[0]
    sealed = task / "labels" / "pool.jsonl"
    sealed.write_text("".join(sealed.read_text().splitlines(keepends=True)[1:]))  # the others keep theirs
    answers = tmp_path / "answers.jsonl"
    write_jsonl(answers, [{"id": unlabelled, "answer": "1"}, *({"id": f"x{n}", "answer": "1"} for n in range(14))])
    code, _ = grade(task, answers)
    said = capsys.readouterr().out
    assert code == 1
    assert f"{answers}:1: {unlabelled} belongs to the pool and has no label here" in said
    assert f"{answers}:10: no item of" in said and f"{answers}:11: " not in said
    assert f"also {answers}: lines 11-15" in said


def test_a_list_of_spans_is_an_answer_and_a_list_of_lists_is_none(tmp_path: Path) -> None:
    answers, dropped = tmp_path / "answers.jsonl", list[str]()
    write_jsonl(
        answers, [{"id": "a", "answer": ["wages", 3]}, {"id": "b", "answer": [["wages"]]}, {"id": "c", "answer": []}]
    )
    assert [(row.id, row.text) for row in read_answers(answers, dropped)] == [("a", '["wages", 3]')]
    assert [line.rpartition(": ")[2] for line in dropped] == ["the answer is not text but a list"] * 2
