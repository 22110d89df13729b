"""The published counts of stored predictions, reproduced by policy (needs the folder of third-party data)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import sql_agreement as agreement

DATA = Path(os.environ.get(agreement.VARIABLE, ""))
pytestmark = pytest.mark.skipif(
    not (DATA / "sql_result_comparison").is_dir() or not os.environ.get(agreement.VARIABLE),
    reason=f"set {agreement.VARIABLE} to the folder of third-party data",
)


def test_spider_and_bird_counts_are_those_of_the_data() -> None:
    for section, systems in ((agreement.spider, 5), (agreement.bird, 2)):
        text, verdicts = section(DATA)
        assert len(verdicts) == systems
        assert sum(line.endswith("| yes |") for line in text) == systems
        strict = [verdict["strict"] for system in verdicts.values() for verdict in system]
        assert "gold does not run" not in strict and strict.count("undecided") / len(strict) < 0.005


def test_acceptable_answers_equal_themselves() -> None:
    text = "\n".join(agreement.spider2(DATA))
    assert "itself, rows and columns shuffled: equal |" in text
    assert "itself, rows and columns shuffled: values" not in text
    assert "itself, rows and columns shuffled: undecided" not in text


def test_execution_accuracy_of_another_toolkit_on_its_own_frames() -> None:
    text = agreement.ibm(DATA)
    assert any(line.startswith("| execution_accuracy | 102 | 0 |") for line in text)
