"""No answer made to win a reward without answering earns what the honest winner earns (fixtures/hack_probes.yaml)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao.meaning import Interpreter
from tao.prompts import Message, Prompt, Sample
from tao.scoring.combine import Rewards, combine
from tao.scoring.score import read_answers
from tao_bench.registry import make_interpreter

FIXTURES = Path(__file__).parent / "fixtures"
BOOK = yaml.safe_load((FIXTURES / "hack_probes.yaml").read_text(encoding="utf-8"))
GROUPS = {f"{number}-{group['form']}": group for number, group in enumerate(BOOK["groups"])}
FORMS = ("sql", "number", "filing", "text", "prose", "json", "choice")


def filled(text: str, prompt: str) -> str:
    return text.format(prompt=prompt, question=prompt.splitlines()[-1])


def asked(group: dict[str, Any], folder: Path) -> Prompt:
    handles = {}
    if "database" in group:
        handles["database"] = str(FIXTURES / "sql" / group["database"])
    if "document" in group:
        path = folder / "document.json"
        path.write_text(json.dumps(group["document"]), encoding="utf-8")
        handles["document"] = str(path)
    return Prompt("p", (Message("user", group["prompt"]),), handles=handles)


def beaten(prompt: Prompt, answers: list[str], winner: str, probe: str, interpreter: Interpreter) -> str:
    """'' if every honest winner earns more than every copy of the probe and alone is imitated; else what happened."""
    samples = [Sample("p", "direct", i, text, text, (1,), 3, "stop") for i, text in enumerate(answers)]
    readings = read_answers(prompt, samples, interpreter)
    scores = combine(samples, readings, Rewards())
    told = [(score.reward, score.pseudo_label) for score in scores]
    best = [one for one, text in zip(told, answers, strict=True) if text == winner]
    probes = [one for one, text in zip(told, answers, strict=True) if text == probe]
    if not all(reward == 1.0 and elected for reward, elected in best):
        return f"the honest winner is unseated: {readings[answers.index(winner)]}"
    if any(elected or reward is None or reward >= 1.0 for reward, elected in probes):
        return f"the probe wins: {readings[answers.index(probe)]}"
    return ""


@pytest.mark.parametrize("name", GROUPS)
def test_no_probe_out_scores_the_honest_winner(name: str, tmp_path: Path) -> None:
    group = GROUPS[name]
    interpreter = make_interpreter(group["form"], group.get("options"))
    prompt = asked(group, tmp_path)
    winner, copies = group["honest"][0]
    honest = [text for text, count in group["honest"] for _ in range(count)]
    assert all(copies > count for _, count in group["honest"][1:] if group["form"] != "sql")
    lost = {}
    try:
        for label, text in {**BOOK["probes"], **group.get("probes", {})}.items():
            probe = filled(text, group["prompt"])
            for count in sorted({1, copies - 1}):
                for answers in ([*honest, *[probe] * count], [*[probe] * count, *honest]):
                    if found := beaten(prompt, answers, winner, probe, interpreter):
                        lost[f"{label} x{count}"] = found
    finally:
        interpreter.close()
    assert not lost


def test_every_form_of_answers_is_probed() -> None:
    assert {group["form"] for group in GROUPS.values()} == set(FORMS)
