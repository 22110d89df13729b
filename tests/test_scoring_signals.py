"""Signals beside the vote: weight, veto, no evidence; controls leave the vote aside; a rule that breaks is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao.recipe import Recipe, make_recipe
from tao.scoring.combine import Rewards, combine
from tao.scoring.signals import RuleSignal, SignalSpec, Weighed, consult, load_rule, load_signals, signals_digest, veto

PROMPT = Prompt("p", (Message("user", "Revenue was 800. What was the margin?"),))
RULES = """\
def short(prompt, answers):
    return [1.0 if len(a) < 3 else None if a == "pass" else 0.0 for a in answers]

def broken(prompt, answers):
    return 1 / 0

def loud(prompt, answers):
    return [7.0 for _ in answers]

def few(prompt, answers):
    return [0.5]
"""


def sample(index: int, answer: str | None) -> Sample:
    return Sample("p", "direct", index, answer or "?", answer, (1, 2), 5, "stop")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.py"
    path.write_text(RULES)
    return path


def test_a_five_line_rule_changes_the_ranking_as_documented(rules: Path) -> None:
    answers = ["long", "long", "ab"]
    samples = [sample(n, a) for n, a in enumerate(answers)]
    readings = [Reading(Outcome.OK, a) for a in answers]
    plain = combine(samples, readings, Rewards())
    assert [s.reward for s in plain] == [1.0, 1.0, pytest.approx(0.1 + 0.4 / 3)]
    signals = load_signals([SignalSpec(signal=f"{rules}:short", weight=2.0)])
    _, values = consult(PROMPT, ["long", "ab"], signals)
    mixed = combine(samples, readings, Rewards(), [values[a] for a in answers])
    assert [s.reward for s in mixed] == [pytest.approx(1 / 3)] * 2 + [pytest.approx((0.1 + 0.4 / 3 + 2) / 3)]
    assert mixed[2].advantage is not None and mixed[2].advantage > 0 > mixed[0].advantage  # type: ignore[operator]


def test_a_veto_takes_the_vote_and_no_evidence_takes_nothing(rules: Path) -> None:
    signals = load_signals([SignalSpec(signal=f"{rules}:short", weight=1.0, veto=0.5)])
    vetoed, values = consult(PROMPT, ["long", "ab", "pass"], signals)
    assert vetoed == {"long": f"{rules}:short"}
    assert values == {"long": [(1.0, 0.0)], "ab": [(1.0, 1.0)], "pass": []}
    after = [veto(Reading(Outcome.OK, a), a, vetoed) for a in ("long", "ab")]
    assert [r.outcome for r in after] == [Outcome.INVALID, Outcome.OK] and "vetoed by" in after[0].detail
    assert veto(Reading(Outcome.UNSCORED), "long", vetoed).outcome is Outcome.UNSCORED


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("broken", "the rule failed .ZeroDivisionError"),
        ("loud", "the rule gave 7.0"),
        ("few", "the rule gave 1 values for 2 answers"),
    ],
)
def test_a_rule_that_breaks_its_contract_is_named(rules: Path, rule: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        consult(PROMPT, ["a", "b"], load_signals([SignalSpec(signal=f"{rules}:{rule}")]))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nonsense", "no signal is called 'nonsense'"),
        ("tao.answers.grounding:nothing", "no function 'nothing'"),
        ("no.such.module:rule", "cannot be imported"),
        ("missing.py:rule", "no file missing.py"),
    ],
)
def test_a_signal_that_is_not_there_is_named(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_rule(path)


def test_the_version_follows_the_file(rules: Path) -> None:
    before = load_rule(f"{rules}:short").version
    rules.write_text(RULES + "\n")
    assert load_rule(f"{rules}:short").version != before
    same = RuleSignal("a", "1", lambda prompt, answers: [None for _ in answers])
    assert signals_digest([Weighed(same, 1.0, None)]) != signals_digest([Weighed(same, 2.0, None)])


def test_built_in_rules_have_short_names() -> None:
    signals = load_signals([SignalSpec(signal="grounded", weight=1.0), SignalSpec(signal="recomputes", weight=1.0)])
    _, values = consult(PROMPT, ["800 / 2 = 400", "It was 3."], signals)
    assert values == {"800 / 2 = 400": [(1.0, 2 / 3), (1.0, 1.0)], "It was 3.": [(1.0, 0.0)]}


def test_controls_leave_the_vote_aside() -> None:
    answers: Sequence[str | None] = ["a", "a", "b", "broken", None]
    samples = [sample(n, a) for n, a in enumerate(answers)]
    ok = [Reading(Outcome.OK, a) for a in "aab"]
    readings = [*ok, Reading(Outcome.FAILED), Reading(Outcome.INVALID)]
    execution = combine(samples, readings, Rewards(source="execution"))
    assert [s.reward for s in execution] == [1, 1, 1, 0, 0]
    assert [s.pseudo_label for s in execution] == [True, True, True, False, False]
    formed = combine(samples, readings, Rewards(source="format"))
    assert [s.reward for s in formed] == [1, 1, 1, 1, 0] and all(s.advantage is None for s in formed)
    chance = combine(samples, readings, Rewards(source="random"))
    assert chance == combine(samples, readings, Rewards(source="random"))
    assert len({s.reward for s in chance}) == 5 and sum(s.pseudo_label for s in chance) == 1
    assert chance[4].advantage is None and not chance[4].pseudo_label
    with pytest.raises(InputError, match="unknown source 'luck'"):
        Rewards(source="luck")  # type: ignore[arg-type]


def test_records_from_before_signals_stay_valid() -> None:
    assert not {"source", "signals"} & set(Recipe().model_dump(mode="json"))
    named = make_recipe({"source": "random", "signals": [{"signal": "grounded", "weight": 0.5}]})
    assert make_recipe(named.model_dump(mode="json")) == named
    assert "source" not in Rewards().as_record() and Rewards(source="random").as_record()["source"] == "random"
