"""README's figures: what stands there is what the commands that write it would write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao.errors import InputError
from tao_bench.readme import BEGIN, END, TABLE, TABLE_END, experiments_table, published, results_block

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


def test_the_readme_is_as_it_would_be_written() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index(TABLE) : text.index(TABLE_END)]
    assert experiments_table(table, ROOT) == table.rstrip("\n")
    shown = text[text.index(BEGIN) : text.index(END)]
    for place, name in enumerate(("scaling", "scaling_filings")):
        report = (ROOT / "reports" / name / "report.md").read_text(encoding="utf-8")
        assert results_block(report, name, table=not place) in shown
