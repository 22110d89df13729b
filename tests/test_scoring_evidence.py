"""Thin evidence: published rounds that gained raise nothing, those that did not are warned of, none is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tao.recipe import Recipe, make_recipe
from tao.scoring.evidence import Finding, thin_evidence
from tao.scoring.stats import RoundStats

RESULTS = Path(__file__).parents[1] / "results"
THICK = RoundStats(
    prompts=100,
    samples=800,
    answer_rate=1.0,
    run_rate=0.5,
    empty_rate=0.02,
    unscored=0,
    mean_clusters=1.4,
    mean_share=0.9,
    abstained=0.6,
    trusted=0.6,
    mean_reward=0.5,
    top_answer="7",
    top_answer_share=0.05,
    mean_answer_char=12.0,
)


def names(found: list[Finding], level: str) -> list[str]:
    return [finding.name for finding in found if finding.level == level]


def first_rounds(experiment: str) -> list[RoundStats]:
    """Statistics of the published first rounds, those of the untuned model."""
    rows = [json.loads(line) for line in (RESULTS / experiment / "rounds.jsonl").read_text().splitlines()]
    known = RoundStats.__dataclass_fields__
    return [RoundStats(**{k: v for k, v in r.get("stats", r).items() if k in known}) for r in rows if r["round"] == 0]


@pytest.mark.parametrize("experiment", ["scaling", "scaling_filings", "quickstart", "trials_objectives"])
def test_published_rounds_that_could_be_trained_on_raise_nothing(experiment: str) -> None:
    rounds = first_rounds(experiment)
    assert rounds and not any(thin_evidence(stats) for stats in rounds)


@pytest.mark.parametrize("experiment", ["geoquery", "geoquery_cv"])
def test_published_rounds_that_gave_nothing_are_warned_of_and_not_refused(experiment: str) -> None:
    rounds = first_rounds(experiment)
    assert rounds
    for stats in rounds:
        found = thin_evidence(stats)
        assert names(found, "warn") == ["run_rate", "trusted"] and not names(found, "refuse")


@pytest.mark.parametrize(
    ("change", "warned", "refused"),
    [
        ({"answer_rate": 0.4}, ["answer_rate"], []),
        ({"answer_rate": 0.0, "run_rate": 0.0, "trusted": 0.0}, [], ["answer_rate", "run_rate", "trusted"]),
        ({"run_rate": 0.29}, ["run_rate"], []),
        ({"run_rate": 0.02}, [], ["run_rate"]),
        ({"trusted": 0.24}, ["trusted"], []),
        ({"trusted": 0.02}, [], ["trusted"]),
        ({"mean_clusters": 1.0, "abstained": 1.0}, ["one_meaning"], []),
        ({"mean_clusters": 1.0, "abstained": 0.5}, [], []),
    ],
)
def test_limits(change: dict[str, float], warned: list[str], refused: list[str]) -> None:
    assert not thin_evidence(THICK)
    found = thin_evidence(replace(THICK, **change))  # type: ignore[arg-type]
    assert (names(found, "warn"), names(found, "refuse")) == (warned, refused)


def test_support_and_shortfalls_are_told_with_their_figures() -> None:
    found = thin_evidence(THICK, support=0.3, shortfalls=["3 of 4 replies could not be read"])
    assert [f.name for f in found] == ["support", "signal"] and {f.level for f in found} == {"warn"}
    assert found[0].message.startswith("only 30.0% of the samples stand behind a winner (limit 37.5%)")
    assert "3 of 4 replies" in found[1].message


@pytest.mark.parametrize(
    ("source", "names_"),
    [("execution", ["run_rate"]), ("random", []), ("format", []), ("self_certainty", [])],
)
def test_a_source_is_held_against_what_it_rests_on(source: str, names_: list[str]) -> None:
    nothing = replace(THICK, run_rate=0.0, trusted=0.0)
    assert [f.name for f in thin_evidence(nothing, source=source)] == names_  # type: ignore[arg-type]


def test_the_rule_is_part_of_the_record_only_where_it_is_not_the_default() -> None:
    assert "thin_evidence" not in Recipe().model_dump()
    assert make_recipe({"thin_evidence": "warn"}).model_dump()["thin_evidence"] == "warn"
