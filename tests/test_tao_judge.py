"""A judge with guidelines by the commands, over real HTTP: told what it is told, paid for once, its gaps reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_endpoint import Body, FakeEndpoint, completion
from toy import tree

from tao.cli import main
from tao.prompts import read_jsonl, read_prompts
from tao.recipe import make_recipe
from tao.report import render_plan

pytest.importorskip("aiohttp", reason="needs the endpoint extra")
LATE = ("timing.jsonl", "README.md", "spec.yaml")
TWO_PASSES = {"samples": 8, "max_prompt_tok": 200, "mix": {"direct": 2, "repair": 1, "few_shot": 1}, "adaptive": {}}


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)]


def marks(body: Body, choice: int) -> str:
    """Likes even digits, and says nothing about an answer that is no number."""
    answer = json.loads(body["messages"][-1]["content"])["answer"]
    return json.dumps({"score": 8 if int(answer[-1]) % 2 == 0 else 0}) if answer.isdigit() else "hm"


def told(server: FakeEndpoint, *guidelines: str) -> list[str]:
    """The words of a command for this judge."""
    said = f"judge:endpoint.url={server.url},endpoint.model=m,endpoint.usd_per_m_in=1,endpoint.usd_per_m_out=2,weight=1"
    return ["--signals", said, *(word for line in guidelines for word in ("--guidelines", line))]


def asked_tok(server: FakeEndpoint) -> int:
    return sum(len(message["content"].split()) for body in server.asked for message in body["messages"])


def test_scoring_pays_a_judge_once_and_tells_what_it_could_not_judge(
    toy_pool_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = rows(toy_pool_file)[0]
    samples, out = tmp_path / "rows.jsonl", tmp_path / "scores.jsonl"
    answers = ["4", "4", "5", "no idea"]
    samples.write_text("".join(json.dumps({"prompt_id": prompt["id"], "answer": a}) + "\n" for a in answers))
    command = ["score", "--prompts", str(toy_pool_file), "--samples", str(samples), "--answers", "text"]
    with FakeEndpoint(lambda body, before: completion(body, marks)) as server:
        command += ["--out", str(out), *told(server, "Give the number alone.", "No units.")]
        assert main(command) == 0
        first, ledger = capsys.readouterr().out, out.with_suffix(".ledger.jsonl")
        assert len(server.asked) == 5  # three different answers, the mute one asked about three times
        for body in server.asked:
            assert "keeps to this:\n- Give the number alone.\n- No units.\n" in body["messages"][0]["content"]
        assert "thin evidence: the judge abstained: 3 of 5 replies could not be read" in first
        (entry,) = rows(ledger)
        assert (entry["note"], entry["prompt_tok"]) == ("judge 0", asked_tok(server))
        assert f"paid to endpoints: ${entry['usd']:.4f}" in first
        # The vote alone gives 1 to the winner, 0.1 + 0.4 / 4 to the others; silence on the last is no low mark.
        assert [row["reward"] for row in rows(out)] == pytest.approx([0.9, 0.9, 0.1, 0.2])
        paid = ledger.read_bytes()
        for lost in (False, True):  # repeated; and after a kill between the last score and the ledger
            if lost:
                ledger.unlink()
            assert main(command) == 0
            assert capsys.readouterr().out == first
            assert ledger.read_bytes() == paid and len(server.asked) == 5


def test_a_run_with_a_judge_in_two_passes_is_its_single_stages(
    taught_model: Path, toy_pool_file: Path, toy_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, run, alone = tmp_path / "recipe.yaml", tmp_path / "run", tmp_path / "alone"
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(toy_recipe.read_text()), **TWO_PASSES}))
    shared = ["--prompts", str(toy_pool_file), "--recipe", str(recipe), "--answers", "number"]
    samples, scores = alone / "samples.jsonl", alone / "scores.jsonl"
    with FakeEndpoint(lambda body, before: completion(body, marks)) as server:
        tuning = ["tune", "--model", str(taught_model), *shared, "--out", str(run)]
        assert main([*tuning, *told(server, "Be even.")]) == 0
        assert server.asked and all("\n- Be even.\n" in body["messages"][0]["content"] for body in server.asked)
        paid = asked_tok(server)
        capsys.readouterr()
        before = tree(run, LATE)
        # Guidelines are part of the run: it repeats itself from its own spec for nothing, and with others is another.
        asked = len(server.asked)
        assert main(["tune", "--spec", str(run / "spec.yaml")]) == 0
        assert tree(run, LATE) == before and len(server.asked) == asked
        assert main([*tuning, *told(server, "Be odd.")]) == 2
        assert 'recipe.signals[0].guidelines[0] ("Be even." before, "Be odd." now), signals' in capsys.readouterr().err
        assert main(["report", str(run)]) == 0
        report = capsys.readouterr().out
        assert main(["explore", "--model", str(taught_model), *shared, "--out", str(samples)]) == 0
        drawn = len(rows(samples))
        assert f"12 prompts, {drawn} samples: {samples}" in capsys.readouterr().out
        command = ["score", "--samples", str(samples), *shared, "--out", str(scores), *told(server, "Be even.")]
        assert main(command) == 0
    for name in ("first.jsonl", "readings.jsonl", "second.jsonl", "samples.jsonl", "scores.jsonl"):
        assert (alone / name).read_bytes() == (run / "round-0" / name).read_bytes(), name
    ledger = rows(run / "ledger.jsonl")
    assert [*rows(alone / "samples.ledger.jsonl"), *rows(alone / "scores.ledger.jsonl")] == ledger[:3]
    assert [entry["note"] for entry in ledger[:3]] == ["first.jsonl", "second.jsonl", "judge 0"]
    assert ledger[2]["prompt_tok"] == paid
    assert "0 explore (first)" in report and "0 explore (second)" in report and "paid to endpoints: $" in report
    assert all(f"0 {strategy} " in report for strategy in TWO_PASSES["mix"])
    assert "thin evidence in round 0: the judge abstained" in report
    card = (run / "model" / "README.md").read_text()
    assert "Be even." in card and server.url not in card and "Paid to endpoints: $" in card
    assert "Thin evidence: signal (round 0)." in card


@pytest.mark.parametrize(("mode", "questions"), [("pointwise", 2 * 6 * 12), ("pairwise", 2 * (2 * 15) * 12)])
def test_a_plan_counts_what_a_judge_is_asked(tiny_model: Path, toy_pool_file: Path, mode: str, questions: int) -> None:
    judge = {"signal": "judge", "endpoint": {"url": "http://x/v1", "model": "m"}, "mode": mode, "weight": 1}
    recipe = make_recipe({"rounds": 2, "samples": 6, "signals": [judge]})
    plan = render_plan(tiny_model, read_prompts(toy_pool_file), recipe, None)
    assert f"judged by m at http://x/v1: about {questions:,} questions" in plan


def test_two_passes_alone_have_to_be_read(
    tiny_model: Path, toy_pool_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(TWO_PASSES))
    command = ["explore", "--model", str(tiny_model), "--prompts", str(toy_pool_file), "--recipe", str(recipe)]
    assert main([*command, "--out", str(tmp_path / "s.jsonl")]) == 2
    assert "--answers {" in capsys.readouterr().err and not (tmp_path / "s.jsonl").exists()
