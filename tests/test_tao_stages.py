"""`tao explore | score | train` on files: the loop's own bytes, other people's samples, what other trainers read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy import tree

from tao.cli import main
from tao.exchange.export import export
from tao.exchange.samples import given_scores, match, read_given, read_scores, write_samples
from tao.meaning import Outcome
from tao.prompts import Message, Prompt, read_jsonl
from tao.sampling.samples import read_samples
from tao.scoring.score import ScoredRound

CONTENT = ("samples.jsonl", "samples.meta.json", "samples.done", "samples.chunks.jsonl", "scores.jsonl", "scores.done")


def rows(path: Path) -> list[dict[str, object]]:
    return [row for _, row in read_jsonl(path)]


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def work(taught_model: Path, toy_pool_file: Path, toy_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the three stages were run one by one, with every export."""
    out = tmp_path_factory.mktemp("work")
    pool, recipe = ["--prompts", str(toy_pool_file)], ["--recipe", str(toy_recipe)]
    samples, scores = ["--samples", str(out / "samples.jsonl")], ["--scores", str(out / "scores.jsonl")]
    exports = [word for kind in ("sft", "pairs", "groups") for word in ("--export", kind, str(out / f"{kind}.jsonl"))]
    for command in (
        ["explore", "--model", str(taught_model), *pool, *recipe, "--out", str(out / "samples.jsonl")],
        ["score", *pool, *samples, *recipe, "--answers", "number", "--out", str(out / "scores.jsonl"), *exports],
        ["train", "--model", str(taught_model), *pool, *samples, *scores, *recipe, "--out", str(out / "trained")],
    ):
        assert main(command) == 0
        before = tree(out)
        assert main(command) == 0  # finished work is found, not done again
        assert tree(out) == before
    return out


def test_single_stages_give_the_bytes_of_the_loops_first_round(work: Path, toy_run: Path) -> None:
    for name in CONTENT:
        assert (work / name).read_bytes() == (toy_run / "round-0" / name).read_bytes(), name
    one, other = tree(work / "trained" / "checkpoint"), tree(toy_run / "round-0" / "checkpoint")
    assert one.pop("README.md") and one == other and "model.safetensors" in one
    stages = [rows(path)[0] for path in (work / "samples.ledger.jsonl", work / "trained" / "ledger.jsonl")]
    assert stages == rows(toy_run / "ledger.jsonl")


def test_a_folder_that_holds_another_stage_is_refused(
    work: Path, taught_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ["--samples", str(work / "groups.jsonl"), "--out", str(work / "trained")]
    assert main(["train", "--model", str(taught_model), *groups]) == 2
    assert "this folder holds another run" in capsys.readouterr().err


def test_how_samples_were_drawn_and_scored_is_no_part_of_a_training_stage(
    work: Path, taught_model: Path, toy_pool_file: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    recipe, before = tmp_path / "recipe.yaml", tree(work / "trained" / "checkpoint", ("README.md",))
    drawn = "mix: {direct: 1, repair: 1}\nadaptive: {held: 0.3}\nwording: plain\nthin_evidence: warn\n"
    drawn += "support: 0.1\nsignals: [{signal: judge, weight: 1, endpoint: {url: 'http://x/v1', model: m}}]\n"
    recipe.write_text(toy_recipe.read_text() + drawn)
    scored = ["--samples", str(work / "samples.jsonl"), "--scores", str(work / "scores.jsonl")]
    command = ["train", "--model", str(taught_model), "--prompts", str(toy_pool_file), "--recipe", str(recipe), *scored]
    assert main([*command, "--out", str(work / "trained")]) == 0
    assert tree(work / "trained" / "checkpoint", ("README.md",)) == before
    recipe.write_text(toy_recipe.read_text() + "epochs: 2\n")
    assert main([*command, "--out", str(work / "trained")]) == 2


def test_exports_hold_what_training_would_use(work: Path, toy_pool_file: Path) -> None:
    samples = read_samples(work / "samples.jsonl")
    scores = read_scores(work / "scores.jsonl", samples)
    trusted = {i for i, group in scores.items() if any(s.pseudo_label for s in group)}
    tells = {i for i, group in scores.items() if any(s.advantage is not None for s in group)}
    asked = {row["id"]: row["messages"] for row in rows(toy_pool_file)}
    examples, pairs, groups = (rows(work / f"{kind}.jsonl") for kind in ("sft", "pairs", "groups"))
    assert trusted and tells
    assert [e["messages"][:-1] for e in examples] == [asked[i] for i in asked if i in trusted]
    assert all(e["messages"][-1]["role"] == "assistant" for e in examples)
    assert [g["prompt_id"] for g in groups] == [i for i in asked if i in tells]
    for group in groups:
        both = zip(samples[group["prompt_id"]], scores[group["prompt_id"]], strict=True)
        wanted = [(s.answer, c.reward) for s, c in both if c.advantage is not None]
        assert list(zip(group["responses"], group["rewards"], strict=True)) == wanted
    assert pairs and all(pair["chosen_reward"] > pair["rejected_reward"] for pair in pairs)
    assert {json.dumps(p["prompt"]) for p in pairs} == {json.dumps(g["prompt"]) for g in groups}


def test_trl_renders_the_exports_as_the_deployment_prompt_and_its_answer(work: Path, taught_model: Path) -> None:
    from transformers import AutoTokenizer
    from trl import apply_chat_template, is_conversational

    tokenizer = AutoTokenizer.from_pretrained(taught_model)
    for kind in ("sft", "pairs", "groups"):
        assert all(is_conversational(row) for row in rows(work / f"{kind}.jsonl"))
    for row in rows(work / "pairs.jsonl"):
        asked, answer = row["prompt"][-1]["content"], row["chosen"][0]["content"]
        text = apply_chat_template(dict(row), tokenizer)
        assert text["prompt"] + text["chosen"] == f"<|user|>{asked}<|end|><|assistant|>{answer}<|end|>"
        assert text["rejected"] != text["chosen"]


def test_groups_of_anybody_are_trained_on_without_a_pool(
    work: Path, taught_model: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    """Exported groups are the stage's own rewards and prompts, so both training sets weigh the answers alike."""
    command = ["train", "--model", str(taught_model), "--recipe", str(toy_recipe), "--out", str(tmp_path / "t")]
    assert main([*command, "--samples", str(work / "groups.jsonl"), "--name", "From groups"]) == 0
    record = json.loads((tmp_path / "t" / "train.json").read_text())
    assert (
        record["training"]["samples"]
        == json.loads((work / "trained" / "train.json").read_text())["training"]["samples"]
    )
    assert (tmp_path / "t" / "checkpoint" / "README.md").read_text().count("# From groups") == 1


def test_answers_of_anybody_are_scored(toy_pool_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two answers that agree win over one that does not; what is no number has no vote."""
    prompt = rows(toy_pool_file)[0]
    document = json.loads(Path(prompt["handles"]["document"]).read_text())
    first, second = (str(value) for _, value in document["rows"])
    answers = [first, first, second, "no idea"]
    as_rows = write(tmp_path / "rows.jsonl", *({"prompt_id": prompt["id"], "answer": answer} for answer in answers))
    asked = prompt["messages"][-1]["content"]
    as_group = write(tmp_path / "group.jsonl", {"prompt": asked, "responses": answers, "rewards": [0, 0, 1, 0]})
    made = []
    for file in (as_rows, as_group):
        out = tmp_path / f"{file.stem}.scores.jsonl"
        command = ["score", "--prompts", str(toy_pool_file), "--samples", str(file), "--answers", "number"]
        assert main([*command, "--out", str(out)]) == 0
        said = capsys.readouterr()
        assert "11 prompts of the pool have no samples" in said.err
        assert ("rewards in the samples are not read here" in said.err) == (file == as_group)
        made.append(rows(out))
    assert made[0] == made[1]
    assert [row["pseudo_label"] for row in made[0]] == [True, True, False, False]
    assert [row["outcome"] for row in made[0]] == ["ok", "ok", "ok", "invalid"]


def test_given_rewards_are_centred_in_their_group_and_null_is_no_evidence(tmp_path: Path) -> None:
    file = write(
        tmp_path / "g.jsonl",
        {"prompt": "x", "responses": ["a", "b", "c"], "rewards": [1.0, 0.0, None], "id": "q"},
        {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "y"}], "responses": ["d", "e"]},
    )
    given = read_given(file)
    prompts = match(given, None, str(file))
    assert [p.messages[-1].content for p in prompts] == ["x", "y"] and prompts[0].id == "q"
    scores = given_scores(given.samples, given.rewards)
    assert [s.advantage for s in scores["q"]] == [0.5, -0.5, None]
    assert [s.pseudo_label for s in scores["q"]] == [True, False, False]
    assert [s.outcome for s in scores["q"]] == [Outcome.OK, Outcome.OK, Outcome.UNSCORED]
    assert all(s.advantage is None and not s.pseudo_label for s in scores[prompts[1].id])


def test_scores_of_anybody_stand_for_samples_by_index_or_in_order(tmp_path: Path) -> None:
    samples = read_given(write(tmp_path / "s.jsonl", *({"prompt_id": "q", "text": t} for t in "ab"))).samples
    by_index = write(
        tmp_path / "i.jsonl", *({"prompt_id": "q", "index": i, "reward": r} for i, r in ((1, 0.2), (0, 0.8)))
    )
    in_order = write(tmp_path / "o.jsonl", *({"prompt_id": "q", "reward": r} for r in (0.8, 0.2)))
    read = [[s.advantage for s in read_scores(file, samples)["q"]] for file in (by_index, in_order)]
    assert read[0] == read[1] == pytest.approx([0.3, -0.3])


def test_an_abstaining_prompt_is_exported_nowhere(tmp_path: Path) -> None:
    prompt = Prompt("q", (Message("user", "x"),))
    given = read_given(
        write(tmp_path / "g.jsonl", {"prompt": "x", "responses": ["a", "b"], "rewards": [1, 1], "id": "q"})
    )
    scored = ScoredRound([prompt], given.samples, given_scores(given.samples, given.rewards))
    for kind in ("sft", "pairs", "groups"):
        assert export(scored, kind, tmp_path / f"{kind}.jsonl") == 0
    write_samples(tmp_path / "own.jsonl", [prompt], given.samples)
    assert read_samples(tmp_path / "own.jsonl") == given.samples == read_given(tmp_path / "own.jsonl").samples


@pytest.mark.parametrize(("working", "refused"), [(1, True), (8, False)])
def test_thin_evidence_is_told_and_refused_as_by_the_loop(
    taught_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], working: int, refused: bool
) -> None:
    """40 prompts, of which so many have a vote to trust: 2.5 % are too few, 20 % are few."""
    names = [f"q{n}" for n in range(40)]
    pool = write(tmp_path / "pool.jsonl", *({"id": n, "messages": [{"role": "user", "content": n}]} for n in names))
    answers = {name: ["1", "1", "2"] if at < working else ["x", "y", "z"] for at, name in enumerate(names)}
    rows_of = [{"prompt_id": name, "answer": answer} for name, given in answers.items() for answer in given]
    samples, scores, recipe = (
        write(tmp_path / "samples.jsonl", *rows_of),
        tmp_path / "scores.jsonl",
        tmp_path / "r.yaml",
    )
    shared = ["--prompts", str(pool), "--samples", str(samples)]
    assert main(["score", *shared, "--answers", "text", "--out", str(scores)]) == 0
    train = ["train", "--model", str(taught_model), *shared, "--scores", str(scores), "--out", str(tmp_path / "t")]
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("thin evidence: ")]
    assert told and any(line.endswith("'tao tune' would not train on it") for line in told) == refused
    if refused:
        assert main(train) == 2
        said = capsys.readouterr().err
        assert "too little label-free evidence to train on: only 2.5% of the" in said and "thin_evidence: warn" in said
        assert not (tmp_path / "t" / "checkpoint").exists()
        recipe.write_text("thin_evidence: warn\n")
        train += ["--recipe", str(recipe)]
    assert main(train) == 0
    assert "thin evidence: only" in capsys.readouterr().out
    assert "- Thin evidence: trusted." in (tmp_path / "t" / "checkpoint" / "README.md").read_text()
    if refused:  # what is finished stays finished
        recipe.write_text("thin_evidence: refuse\n")
        assert main(train) == 0


def test_rewards_of_anybody_are_not_measured_by_votes(
    taught_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewards = [[1, 0], *([[0, 0]] * 39)]  # one prompt of 40 tells its answers apart
    groups = [{"prompt": f"q{n}", "responses": ["1", "2"], "rewards": given} for n, given in enumerate(rewards)]
    samples = write(tmp_path / "groups.jsonl", *groups)
    assert main(["train", "--model", str(taught_model), "--samples", str(samples), "--out", str(tmp_path / "t")]) == 0
    assert "thin evidence" not in capsys.readouterr().out
