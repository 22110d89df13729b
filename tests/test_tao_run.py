"""What a run hands over: a model that transformers loads, a card, a spec that repeats it; how runs are asked for."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy import tree

from tao.cli import build_parser, main
from tao.commands.shared import build_recipe
from tao.commands.tune import _spec
from tao.errors import InputError
from tao.recipe import make_recipe
from tao.spec import guided, parse_signal
from tao.stage import folder_digest


def test_the_model_loads_and_takes_no_room_of_its_own(toy_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    round_0 = toy_run / "round-0" / "checkpoint"
    model = AutoModelForCausalLM.from_pretrained(toy_run / "model")
    tokenizer = AutoTokenizer.from_pretrained(toy_run / "model")
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "a|1"}], add_generation_prompt=True)
    assert model.num_parameters() > 0 and chat
    assert folder_digest(toy_run / "model") == folder_digest(round_0)
    weights = "model.safetensors"
    assert (toy_run / "model" / weights).stat().st_ino == (round_0 / weights).stat().st_ino


def test_the_card_is_read_by_the_hub_and_quotes_no_prompt(toy_run: Path, toy_pool_file: Path) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(toy_run / "model" / "README.md")
    assert card.data.base_model and "label-free" in card.data.tags and card.data.library_name == "transformers"
    text = card.text
    assert "# Toy" in text and "quality of this model was not measured here" in text and "12 prompts" in text
    assert "all rounds done" in text and "Alarms: none" in text and "learning_rate: 0.002" in text
    entries = [json.loads(line) for line in (toy_run / "ledger.jsonl").read_text().splitlines()]
    assert all(f"| 0 {entry['stage']} |" in text and f"{entry['model_flop']:.3g}" in text for entry in entries)
    assert "transformers 5" in text and "seconds: explore" in text
    for line in toy_pool_file.read_text().splitlines():
        assert json.loads(line)["messages"][-1]["content"] not in text


def test_the_runs_own_spec_repeats_it(toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    shutil.copytree(toy_run, out)
    spec = yaml.safe_load((out / "spec.yaml").read_text())
    (tmp_path / "again.yaml").write_text(yaml.safe_dump({**spec, "out": str(out)}))
    assert main(["tune", "--spec", str(tmp_path / "again.yaml")]) == 0
    assert f"model: {out / 'model'}" in capsys.readouterr().out
    late = ("timing.jsonl", "README.md", "spec.yaml")
    assert tree(out, late) == tree(toy_run, late)
    assert main(["tune", "--spec", str(tmp_path / "again.yaml"), "--seed", "9"]) == 2  # options win over the file
    assert "what differs: seed (0 before, 9 now)" in capsys.readouterr().err
    assert main(["report", str(out)]) == 0
    assert f"model: {out / 'model'}" in capsys.readouterr().out


def test_a_model_that_is_not_to_be_served_is_withdrawn(
    toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tao import loop
    from tao.rounds import TuneResult

    out, whole = tmp_path / "run", loop.tune
    shutil.copytree(toy_run, out)
    assert (out / "model").is_dir()

    def alarmed(model: Path, *args: Any, **kwargs: Any) -> TuneResult:
        """The same run, but an alarm went off at its end."""
        return dataclasses.replace(whole(model, *args, **kwargs), checkpoint=model, stopped="alarm")

    monkeypatch.setattr(loop, "tune", alarmed)
    assert main(["tune", "--spec", str(out / "spec.yaml"), "--out", str(out)]) == 0
    assert not (out / "model").exists() and (out / "round-0" / "checkpoint").is_dir()


def test_new_logs_are_tuned_on_and_what_is_served_is_handed_over(
    toy_run: Path, toy_pool_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a pool of 4 on: 8 prompts are new. Either decision is right; the folder must follow it."""
    rows = toy_pool_file.read_text().splitlines(keepends=True)
    old, out = tmp_path / "old", tmp_path / "next"
    shutil.copytree(toy_run, old)
    (old / "pool.jsonl").write_text("".join(rows[:4]))
    command = ["tune", "--continue", str(old), "--prompts", str(toy_pool_file), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "8 new prompts, 4 known already, 3 replayed" in said.err
    promotion = json.loads((out / "promotion.json").read_text())
    serve = out / "model" if promotion["promote"] else old / "round-0" / "checkpoint"
    assert f"serve: {serve}\n" in said.out and (out / "model").is_dir() == promotion["promote"]
    if promotion["promote"]:
        assert "no alarm went off" in (out / "model" / "README.md").read_text()
    before = tree(out, ("timing.jsonl", "README.md"))
    assert main(command) == 0
    assert tree(out, ("timing.jsonl", "README.md")) == before


SIGNALS = {
    "grounded:weight=0.2": {"signal": "grounded", "weight": 0.2},
    "rules.py:short:veto=0.1": {"signal": "rules.py:short", "veto": 0.1},
    "my.pack:rule:weight=1,veto=0.5": {"signal": "my.pack:rule", "weight": 1, "veto": 0.5},
    "reward_model:model=runs/a,b:c,weight=0.5": {"signal": "reward_model", "model": "runs/a,b:c", "weight": 0.5},
    "judge:endpoint.url=http://x:1/v1,endpoint.model=m,mode=pairwise,weight=1": {
        "signal": "judge",
        "endpoint": {"url": "http://x:1/v1", "model": "m"},
        "mode": "pairwise",
        "weight": 1,
    },
}


@pytest.mark.parametrize("line", SIGNALS)
def test_a_signal_in_one_line(line: str) -> None:
    assert parse_signal(line) == SIGNALS[line]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("weight=1", "begins with its name"),
        ("grounded:weight=", "'weight' has no value"),
        ("grounded:weight=1,weight=2", "given twice"),
        ("grounded:weight=1,weight.x=2", "a value already"),
        ("grounded:weight=0", "changes nothing"),
    ],
)
def test_a_signal_that_is_none_is_refused(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_signal(line)


def test_signals_of_the_command_replace_the_recipes(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("rounds: 2\nsignals: [{signal: recomputes, weight: 1}]\n")
    kept = build_recipe(recipe, {"rounds": None})
    changed = build_recipe(recipe, {"rounds": 5}, ["grounded:weight=0.2", "rules.py:short:veto=0.1"])
    assert [s.signal for s in kept.signals] == ["recomputes"] and kept.rounds == 2
    assert [(s.signal, s.weight, s.veto) for s in changed.signals] == [
        ("grounded", 0.2, None),
        ("rules.py:short", 0.0, 0.1),
    ]
    assert changed.rounds == 5
    assert changed == make_recipe({"rounds": 5, "signals": [parse_signal(s) for s in SIGNALS][:2]})


def test_guidelines_go_to_the_judge_and_to_nobody_else() -> None:
    signals = [{"signal": "grounded", "weight": 1}, {"signal": "judge", "weight": 1}]
    assert guided(signals, ["be brief", "cite"]) == [
        {"signal": "grounded", "weight": 1},
        {"signal": "judge", "weight": 1, "guidelines": ["be brief", "cite"]},
    ]
    with pytest.raises(InputError, match="no signal judges"):
        guided(signals[:1], ["be brief"])


def test_options_win_over_the_spec_and_both_spellings_of_the_budget_are_read(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "name: from file\nbudget: 2e15\nseed: 3\nguidelines: [a]\ncontinue: runs/old\nrecipe: {rounds: 4}\n"
    )
    words = [
        "tune",
        "--spec",
        str(file),
        "--seed",
        "0",
        "--budget-flop",
        "1e12",
        "--guidelines",
        "b",
        "--guidelines",
        "c",
    ]
    spec = _spec(build_parser().parse_args(words))
    assert (spec.name, spec.budget, spec.seed, spec.guidelines) == ("from file", 1e12, 0, ("b", "c"))
    assert spec.previous == Path("runs/old") and spec.recipe == {"rounds": 4}
    assert _spec(build_parser().parse_args(["tune", "--spec", str(file)])).budget == 2e15
