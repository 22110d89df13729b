"""`tao-bench agreement`: figures against hand counts, the command end to end, and a judge by the same command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_judge_server import fake_judge_server
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_task import write_jsonl

from tao_bench.agreement import (
    CLASSES,
    Judged,
    cohen_kappa,
    disputed_ids,
    figures,
    file_errors,
    read_label,
    spearman,
)
from tao_bench.cli import main
from tao_bench.grade import Answer
from tao_bench.verify.verdict import Status, Verdict

SPEC = """\
name: pumps
version: 1
description: Questions on one invented maker of pumps
licence: Apache-2.0
answer: number
verifier: finance
cluster: company
chance_floor: 0.05
limits: {max_prompt_tok: 100, max_new_tok: 40}
"""
GOLDS = {
    "sales": ("What were Acme's FY2021 sales (in USD millions)?", "$412.00"),
    "margin": ("What is Acme's FY2021 margin in percent?", "12.3%"),
    "best": ("Which segment of Acme grew most?", "Retail"),
    "debt": ("Has Acme increased its debt in FY2021?", "No, it decreased."),
}
ROWS = [
    ("sales", "Sales were $412 million.", "Correct Answer"),
    ("margin", "12.4%", "Correct Answer"),
    ("best", "The Retail segment grew most.", "Correct Answer"),
    ("debt", "Acme's debt increased in FY2021.", "Incorrect Answer"),
]
MORE = [
    ("sales", "I'm sorry, the filing is not provided.", "Refusal"),
    ("margin", "14%", "true"),
    ("best", "The Wholesale segment grew most.", "false"),
    ("debt", "No.", "incorrect"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pumps(tmp_path: Path) -> Path:
    folder = tmp_path / "pumps"
    folder.mkdir()
    (folder / "task.yaml").write_text(SPEC)
    (folder / "disputed.txt").write_text("# why\nmargin  # two labels\n\n")
    write_jsonl(folder / "pool.jsonl", [{"id": "pool", "messages": [{"role": "user", "content": "What?"}]}])
    for split in ("train", "dev"):
        write_jsonl(folder / f"{split}.jsonl", [])
        write_jsonl(folder / "labels" / f"{split}.jsonl", [])
    items = [
        {"id": name, "messages": [{"role": "user", "content": asked}], "cluster": "acme", "level": "1"}
        for name, (asked, _) in GOLDS.items()
    ]
    labels = [
        {"id": name, "gold": {"question": asked, "answer": gold}, "target": gold}
        for name, (asked, gold) in GOLDS.items()
    ]
    write_jsonl(folder / "test.jsonl", items)
    write_jsonl(folder / "labels" / "test.jsonl", labels)
    return folder


def labelled(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    write_jsonl(path, [{"pumps_id": i, "model_answer": answer, "label": label} for i, answer, label in rows])
    return path


def judged(item: str, said: str, human: str, file: str = "f", kind: str = "text") -> Judged:
    status = Status.CORRECT if said == "correct" else Status.WRONG
    return Judged(Answer(item, "", {}), file, kind, human, Verdict(status, 0.0, "", said))


def test_kappa_of_known_tables() -> None:
    # Cohen 1960's formula by hand: po = 0.7, pe = 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    assert cohen_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])) == pytest.approx(0.4)
    assert cohen_kappa(np.array([[5.0, 0.0], [0.0, 5.0]])) == pytest.approx(1.0)
    assert cohen_kappa(np.array([[0.0, 5.0], [5.0, 0.0]])) == pytest.approx(-1.0)
    assert math.isnan(cohen_kappa(np.array([[5.0, 0.0], [0.0, 0.0]])))


def test_figures_by_hand() -> None:
    rows = (
        [judged(f"a{n}", "correct", "correct") for n in range(20)]
        + [judged(f"b{n}", "correct", "incorrect") for n in range(5)]
        + [judged(f"c{n}", "value", "correct") for n in range(10)]
        + [judged(f"d{n}", "refusal", "refusal") for n in range(15)]
    )
    found = figures(rows, resamples=500)
    assert (found.answers, found.items) == (50, 50)
    assert (found.accuracy, found.precision) == (pytest.approx(0.7), pytest.approx(0.8))
    assert found.recall == pytest.approx(20 / 30)
    assert found.kappa == pytest.approx(0.4)
    assert found.kappa_low < 0.4 < found.kappa_high
    # three classes: po = 35 / 50, pe = (25 * 30 + 10 * 5 + 15 * 15) / 2500
    assert found.kappa_three == pytest.approx((0.7 - 0.41) / (1 - 0.41))


def test_the_interval_is_over_questions_not_answers() -> None:
    spread = [judged(f"q{n}", "correct" if n % 4 else "value", "correct" if n % 3 else "incorrect") for n in range(60)]
    assert figures(spread) == figures(spread)
    tripled = figures(spread * 3, resamples=800)
    once = figures(spread, resamples=800)
    assert tripled.kappa_low == pytest.approx(once.kappa_low)  # copies of an answer to one question add nothing


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1))
def test_figures_stay_in_their_ranges(rows: list[tuple[str, str, str]]) -> None:
    found = figures([judged(item, said, human) for item, said, human in rows], resamples=50)
    for value in (found.accuracy, found.precision, found.recall):
        assert math.isnan(value) or 0 <= value <= 1
    assert math.isnan(found.kappa) or -1 <= found.kappa <= 1 + 1e-12
    assert math.isnan(found.kappa_low) or found.kappa_low <= found.kappa_high


def test_errors_of_files_and_their_ranks() -> None:
    rows = [
        judged("a", "correct", "incorrect", "x"),
        judged("b", "correct", "correct", "x"),
        judged("a", "value", "refusal", "y"),
    ]
    found = [(each.file, each.answers, each.human, each.verifier) for each in file_errors(rows)]
    assert found == [("x", 2, 0.5, 1.0), ("y", 1, 0.0, 0.0)]
    assert spearman([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)
    assert math.isnan(spearman([1, 1], [1, 2]))


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Correct Answer", "correct"), ("Incorrect Answer", "incorrect"), ("Refusal", "refusal"), (True, "correct"),
        (False, "incorrect"), (1, "correct"), (" CORRECT ", "correct"), ("maybe", None), (None, None),
    ],
)  # fmt: skip
def test_labels(raw: Any, label: str | None) -> None:
    assert read_label(raw) == label


def test_the_command_reports_and_lists_what_to_read(
    pumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = labelled(tmp_path / "one.jsonl", ROWS), labelled(tmp_path / "two.jsonl", MORE)
    out, read = tmp_path / "report.md", tmp_path / "read.jsonl"
    code = main(
        ["agreement", "pumps", str(one), str(two), "--tasks", str(pumps), "-o", str(out), "--disagreements", str(read)]
    )
    assert code == 0
    text = out.read_text()
    assert "8 labelled answers; 0 verifier errors left out; 2 disagreements" in text
    assert "| all | all | 8 | 4 | 75.0 % | 0.750 | 0.750 | 0.500 " in text
    assert "| numeric | all | 4 | 2 |" in text
    assert "| text | refusals left out | 4 | 2 |" in text
    assert "| numeric | disputed left out | 2 | 1 | 100.0 % |" in text
    assert "| one | 4 | 75.0 % | 75.0 % | +0.0 |" in text
    misses = [json.loads(line) for line in read.read_text().splitlines()]
    assert [(row["pumps_id"], row["file"], row["label"], row["status"]) for row in misses] == [
        ("debt", "two", "incorrect", "correct"),
        ("margin", "two", "true", "wrong"),
    ]
    assert misses[0]["gold"]["answer"] == GOLDS["debt"][1]
    assert "report:" in capsys.readouterr().out


def test_rows_that_cannot_be_used_are_named(pumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(
        path,
        [
            {"id": "sales", "answer": "412", "label": "Correct Answer"},
            {"id": "margin", "answer": "12.3%"},
            {"id": "best", "answer": "Retail", "label": "perhaps"},
            {"id": "sales", "answer": "413", "label": "Correct Answer"},
            {"id": "nobody", "answer": "1", "label": "Correct Answer"},
        ],
    )
    assert main(["agreement", "pumps", str(path), "--tasks", str(pumps)]) == 1
    said = capsys.readouterr().out
    assert "1 labelled answers" in said
    for line, what in ((2, "no label"), (3, "label 'perhaps' is unknown"), (4, "was answered before"), (5, "no item")):
        assert any(f"rows.jsonl:{line}:" in row and what in row for row in said.splitlines())


def test_a_judge_is_measured_by_the_same_command(
    pumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = labelled(tmp_path / "rows.jsonl", [("best", "Retail", "correct"), ("debt", "Yes, a lot.", "incorrect")])
    words = ["agreement", "pumps", str(rows), "--tasks", str(pumps), "--verifier", "judge", "--model", "fake"]
    with fake_judge_server() as server:
        assert main([*words, "--endpoint", server.url, "--cache", str(tmp_path / "replies")]) == 0
        assert len(server.requests) == 4
    assert "Agreement of judge with people on pumps@1" in capsys.readouterr().out
    assert main([*words, "--endpoint", server.url, "--cache", str(tmp_path / "replies")]) == 0  # all from the cache


def test_a_judge_that_fails_is_no_disagreement(pumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = labelled(tmp_path / "rows.jsonl", [("best", "Retail", "correct")])
    words = ["agreement", "pumps", str(rows), "--tasks", str(pumps), "--verifier", "judge", "--model", "fake"]
    with fake_judge_server() as server:
        server.failures = [400] * 9
        assert main([*words, "--endpoint", server.url, "--cache", str(tmp_path / "replies")]) == 1
    said = capsys.readouterr().out
    assert "0 labelled answers; 1 verifier errors left out" in said
    assert "judge_failed (HTTP 400)" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--verifier", "judge"], "needs an endpoint and a model"),
        (["--verifier", "jugde"], "did you mean 'judge'"),
        (["--endpoint", "http://x"], "add --verifier judge"),
        (["--verifier", "finance", "--model", "m"], "only a judge"),
        (["-o", "no/such/folder/x.md"], "no such folder"),
        (["-o", "rows.jsonl"], "would overwrite"),
    ],
)
def test_bad_options_are_one_clear_error(
    options: list[str], message: str, pumps: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pumps.parent)
    labelled(Path("rows.jsonl"), ROWS)
    assert main(["agreement", "pumps", "rows.jsonl", "--tasks", str(pumps), *options]) == 2
    assert message in capsys.readouterr().err


def test_disputed_ids_need_no_file(tmp_path: Path, pumps: Path) -> None:
    assert disputed_ids(pumps) == {"margin"}
    assert disputed_ids(tmp_path / "nowhere") == frozenset()
