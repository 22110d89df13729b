"""README's figures: what stands there is what the commands that write it would write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao.errors import InputError
from tao_bench.readme import (
    BEGIN,
    END,
    TABLE,
    TABLE_END,
    experiments_table,
    headline_gains,
    main,
    published,
    results_block,
)

ROOT = Path(__file__).parent.parent
ARMS = """task,label,vs_base,vs_base_low,vs_base_high
sql@2,base,,,
sql@2,TAO,0.021,-0.004,0.046
qa@1,TAO,-0.03,-0.05,-0.01
"""


def experiment(root: Path, split: str) -> None:
    for kind in ("results", "reports"):
        (root / kind / "mine").mkdir(parents=True)
    (root / "results/mine/cells.jsonl").write_text(json.dumps({"eval": {"split": split}}) + "\n")
    (root / "reports/mine/report.md").write_text("# mine\n")
    (root / "reports/mine/arms.csv").write_text(ARMS)
    (root / "reports/mine/headline.csv").write_text("task,headline\nsql@2,TAO\nqa@1,TAO\nnever@1,\n")


def test_headline_gains_are_shown_for_test_alone(tmp_path: Path) -> None:
    experiment(tmp_path / "a", "test")
    assert published("mine", tmp_path / "a") == (
        "[report](reports/mine/report.md): sql +2.1 [−0.4, +4.6], qa −3.0 [−5.0, −1.0]"
    )
    experiment(tmp_path / "b", "dev")
    assert published("mine", tmp_path / "b") == "[report](reports/mine/report.md)"
    assert published("another", tmp_path / "a") == "not yet"


def test_the_last_column_is_written_and_all_else_stays(tmp_path: Path) -> None:
    experiment(tmp_path, "dev")
    (tmp_path / "reports/trace/mine").mkdir(parents=True)
    (tmp_path / "reports/trace/mine/trace.md").write_text("")
    table = "| experiment | what | published |\n|---|---|---|\n| `mine` | a and `b` | old |\n| `other` | c | |\n"
    assert experiments_table(table, tmp_path).splitlines()[2:] == [
        "| `mine` | a and `b` | [report](reports/mine/report.md), [trace](reports/trace/mine/trace.md) |",
        "| `other` | c | not yet |",
    ]
    with pytest.raises(InputError, match="no row of three cells"):
        experiments_table("| `mine` | a |", tmp_path)


def test_a_model_for_several_tasks_stands_for_all_of_them(tmp_path: Path) -> None:
    experiment(tmp_path, "test")
    arms = "task,arm,label,vs_base,vs_base_low,vs_base_high\n" + "".join(
        f"{task},{arm},{label},0.0{n},-0.01,0.1\n"
        for n, (task, arm, label) in enumerate(
            (t, a, w) for w, a in (("both", "tao"), ("alone", "tao"), ("SFT both", "sft")) for t in ("sql@2", "qa@1")
        )
    )
    (tmp_path / "reports/mine/arms.csv").write_text(arms)
    (tmp_path / "reports/mine/matrix.csv").write_text(
        "label,task,tuned_on_it\nSFT both,sql@2,1\nSFT both,qa@1,1\nalone,sql@2,1\nalone,qa@1,0\n"
        "both,sql@2,1\nboth,qa@1,1\nboth,other@1,0\n"
    )
    assert headline_gains("mine", tmp_path) == ["sql 0.0 [−1.0, +10.0]", "qa +1.0 [−1.0, +10.0]"]


def test_a_report_without_its_rows_is_named(tmp_path: Path) -> None:
    experiment(tmp_path, "test")
    (tmp_path / "results/mine/cells.jsonl").unlink()
    with pytest.raises(InputError, match="tao-bench report mine"):
        published("mine", tmp_path)


def test_the_command_writes_between_its_marks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment(tmp_path, "test")
    (tmp_path / "reports/mine/report.md").write_text(
        "# mine\n\n## sql@2\n\n| Arm | a |\n|---|---|\n| TAO | 1 |\n\nmore\n"
    )
    head = (
        f"# Title\n\n{BEGIN} -->\nold\n{END}\n\nbetween\n\n{TABLE} -->\n| `mine` | what | old |\n{TABLE_END}\n\nafter\n"
    )
    (tmp_path / "README.md").write_text(head)
    monkeypatch.chdir(tmp_path)
    assert main(["mine"]) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"# Title\n\n{BEGIN} -->\n![Accuracy") and text.endswith(f"{TABLE_END}\n\nafter\n")
    assert "\n\nbetween\n\n" in text and "old" not in text and "| TAO | 1 |" in text
    assert main([]) == 2


def test_the_readme_is_as_it_would_be_written() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index(TABLE) : text.index(TABLE_END)]
    assert experiments_table(table, ROOT) == table.rstrip("\n")
    shown = text[text.index(BEGIN) : text.index(END)]
    for place, name in enumerate(("scaling", "scaling_filings")):
        report = (ROOT / "reports" / name / "report.md").read_text(encoding="utf-8")
        assert results_block(report, name, table=not place) in shown
