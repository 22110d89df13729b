"""Our tasks in lm-eval: same outputs, same verdicts; no label in its documents; no random state touched."""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy
import pytest
import torch
import yaml
from lm_eval.api.model import LM
from tiny_task import write_task

from tao.errors import InputError
from tao.prompts import Message
from tao_bench.cli import main
from tao_bench.lm_eval.config import export_task, task_name
from tao_bench.lm_eval.evaluate import evaluate_folder, run_lm_eval
from tao_bench.lm_eval.folder import write_export
from tao_bench.registry import load_task
from tao_bench.task import read_labels
from tao_bench.verify.verdict import Status

ROOT = Path(__file__).resolve().parent.parent


class Replay(LM):
    """Answers from a store of frozen outputs, keyed by the chat text it is sent."""

    tokenizer_name = "replay"

    def __init__(self, answers):
        super().__init__()
        self.answers = answers
        self.seen = []

    def chat_template(self, chat_template=False):
        return "<|user|>CONTENT<|end|><|assistant|>"

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        turns = "".join(f"<|{turn['role']}|>{turn['content']}<|end|>" for turn in chat_history)
        return turns + "<|assistant|>" if add_generation_prompt else turns

    def generate_until(self, requests, disable_tqdm=False):
        self.seen = [request.args for request in requests]
        return [self.answers[text] for text, _ in self.seen]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError


def chat(prompt):
    return f"<|user|>{prompt.messages[-1].content}<|end|><|assistant|>"


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    return load_task("tiny", [write_task(tmp_path / "tiny")])


@pytest.fixture
def frozen(task):
    """One output an item: right, wrong, unreadable, a refusal, too long, empty."""
    labels = read_labels(task.data, "test")
    outputs = [next(iter(labels.values())).target, "17", "perhaps", "I cannot answer.", "1 + " * 60 + "1", ""]
    return {item.prompt.id: text for item, text in zip(task.items("test"), outputs, strict=True)}


def test_frozen_outputs_get_the_same_verdicts_on_both_roads(task, frozen):
    items, labels, verifier = task.items("test"), read_labels(task.data, "test"), task.verifier()
    limit = task.spec.limits.max_new_tok

    def count(text):
        return len(text.split())

    ours = {
        item.prompt.id: verifier.grade(
            item.prompt,
            labels[item.prompt.id].gold,
            frozen[item.prompt.id],
            "length" if count(frozen[item.prompt.id]) >= limit else "stop",
        )
        for item in items
    }
    theirs = {}
    model = Replay({chat(item.prompt): frozen[item.prompt.id] for item in items})
    results = run_lm_eval(model, export_task(task, "test", verifier, count_tok=count, record=theirs))
    verifier.close()

    assert theirs == ours
    assert {verdict.status for verdict in ours.values()} == {
        Status.CORRECT,
        Status.WRONG,
        Status.UNPARSABLE,
        Status.TRUNCATED,
    }
    name = task_name(task, "test")
    assert results["results"][name]["correct,none"] == pytest.approx(1 / 6)
    samples = {sample["doc"]["id"]: sample["correct"] for sample in results["samples"][name]}
    assert samples == {item: verdict.score for item, verdict in ours.items()}


def test_no_label_is_in_what_lm_eval_holds(task, frozen):
    verifier = task.verifier()
    model = Replay({chat(item.prompt): frozen[item.prompt.id] for item in task.items("test")})
    config = export_task(task, "test", verifier)
    dataset = config["custom_dataset"](version=1, config_source="")["test"]
    assert dataset.column_names == ["id", "prompt"] and len(dataset) == 6
    results = run_lm_eval(model, config)
    for sample in results["samples"][task_name(task, "test")]:
        kept = json.dumps({key: sample[key] for key in ("doc", "target", "arguments")}, default=str)
        label = read_labels(task.data, "test")[sample["doc"]["id"]]
        assert label.target not in kept and sample["target"] == sample["doc"]["id"]
    verifier.close()


def test_the_chat_text_and_limits_are_the_tasks_own(task, frozen):
    verifier = task.verifier()
    model = Replay({chat(item.prompt): frozen[item.prompt.id] for item in task.items("test")})
    run_lm_eval(model, export_task(task, "test", verifier, limit=2))
    verifier.close()
    assert [text for text, _ in model.seen] == [chat(item.prompt) for item in task.items("test")[:2]]
    assert all(settings["max_gen_toks"] == 40 and not settings["do_sample"] for _, settings in model.seen)


def test_random_states_are_left_as_found(task, frozen):
    verifier = task.verifier()
    model = Replay({chat(item.prompt): frozen[item.prompt.id] for item in task.items("test")})
    random.seed(3), numpy.random.seed(3), torch.manual_seed(3)
    before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    run_lm_eval(model, export_task(task, "test", verifier))
    verifier.close()
    assert (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_an_item_that_the_verifier_cannot_judge_is_missing_not_wrong(task, frozen):
    class Broken:
        name, version = "broken", "1"

        def __init__(self, inner):
            self.inner = inner

        def grade(self, prompt, gold, response, finish_reason):
            verdict = self.inner.grade(prompt, gold, response, finish_reason)
            return replace(verdict, status=Status.VERIFIER_ERROR) if response == "17" else verdict

    inner = task.verifier()
    model = Replay({chat(item.prompt): frozen[item.prompt.id] for item in task.items("test")})
    results = run_lm_eval(model, export_task(task, "test", Broken(inner)))
    inner.close()
    assert results["results"][task_name(task, "test")]["correct,none"] == pytest.approx(1 / 5)


def test_a_conversation_is_refused_before_anything_runs(task, monkeypatch):
    items = task.items("test")
    turns = (Message("user", "Hello."), Message("assistant", "Hello."), *items[0].prompt.messages)
    longer = replace(items[0].prompt, messages=turns)
    monkeypatch.setattr(type(task), "items", lambda self, split: [replace(items[0], prompt=longer)])
    with pytest.raises(InputError, match=r"one system and one user message, and this prompt has user, assistant, user"):
        export_task(task, "test", task.verifier())


def test_a_system_message_reaches_the_model_as_one(task, monkeypatch):
    items = task.items("test")[:2]
    told = [replace(i, prompt=replace(i.prompt, messages=(Message("system", "Be {{brief}}."), *i.prompt.messages)))
            for i in items]  # fmt: skip
    monkeypatch.setattr(type(task), "items", lambda self, split: told)
    wanted = [f"<|system|>Be {{{{brief}}}}.<|end|>{chat(item.prompt)}" for item in items]
    model, verifier = Replay(dict.fromkeys(wanted, "")), task.verifier()
    run_lm_eval(model, export_task(task, "test", verifier))
    verifier.close()
    assert [text for text, _ in model.seen] == wanted


def test_a_model_folder_is_evaluated_on_the_very_prompt_it_is_deployed_with(task, tiny_model, monkeypatch):
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    fed = []
    generate = HFLM._model_generate

    def spy(self, context, *args, **kwargs):
        fed.extend(row.tolist() for row in context)
        return generate(self, context, *args, **kwargs)

    monkeypatch.setattr(HFLM, "_model_generate", spy)
    results, verdicts = evaluate_folder(task, tiny_model, limit=2, batch_size=1)
    items = task.items("test")[:2]
    assert set(verdicts) == {item.prompt.id for item in items}
    assert 0 <= results["results"][task_name(task, "test")]["correct,none"] <= 1
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    expected = [tokenizer.encode(chat(item.prompt), add_special_tokens=False) for item in items]
    assert sorted(fed) == sorted(expected)


def test_the_command_prints_accuracy_and_stores_verdicts(task, tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TAO_BENCH_TASKS", str(task.folder))
    out = tmp_path / "verdicts.jsonl"
    command = ["export", "lm-eval", "tiny", "--evaluate", str(tiny_model), "--limit", "1", "--verdicts", str(out)]
    assert main(command) == 0
    assert "tao_bench_tiny_1_test: correct " in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["item"] for row in rows] == [task.items("test")[0].prompt.id]
    assert rows[0]["status"] in {status.value for status in Status}


def test_a_tokenizer_without_chat_template_is_refused(task, tiny_model, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        evaluate_folder(task, bare)


def run_folder(folder, name, model, **metadata):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)
    return simple_evaluate(
        model=model, tasks=[name], task_manager=manager, apply_chat_template=True, log_samples=True, bootstrap_iters=0
    )


def test_the_exported_folder_judges_as_we_do_and_shows_lm_eval_no_label(task, frozen, tiny_model, tmp_path):
    """The tokenizer named in the model arguments tells which answers fill the limit."""
    out = tmp_path / "tasks" / "tiny"
    name = write_export(task, out)
    answers = {chat(item.prompt): frozen[item.prompt.id] for item in task.items("test")}
    results = run_folder(out, name, Replay(answers), pretrained=str(tiny_model))
    samples = {sample["doc"]["id"]: sample for sample in results["samples"][name]}
    labels, verifier = read_labels(task.data, "test"), task.verifier()
    for item in task.items("test"):
        text = frozen[item.prompt.id]
        finish = "length" if len(text.encode()) >= task.spec.limits.max_new_tok else "stop"  # a token a byte
        verdict = verifier.grade(item.prompt, labels[item.prompt.id].gold, text, finish)
        sample = samples[item.prompt.id]
        assert sample["correct"] == verdict.score
        kept = json.dumps({key: sample[key] for key in ("doc", "target", "arguments")}, default=str)
        assert labels[item.prompt.id].target not in kept
    verifier.close()
    assert not (out / "data" / "pool.jsonl").exists() and not (out / "data" / "labels" / "train.jsonl").exists()


def test_a_folder_exported_with_another_verifier_is_refused(task, tmp_path):
    name = write_export(task, tmp_path / "out")
    note = tmp_path / "out" / "export.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "verifier": "0" * 12}))
    with pytest.raises(InputError, match="another verifier than is installed here"):
        run_folder(tmp_path / "out", name, Replay({}))


def test_a_folder_that_holds_other_files_is_not_replaced(task, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds files that are no export"):
        write_export(task, tmp_path)
    out = tmp_path / "out"
    assert write_export(task, out, limit=2) == write_export(task, out, limit=3)


def test_stock_lm_eval_runs_an_exported_folder_of_a_users_task(tiny_model, tmp_path):
    """A task that `new` wrote and that grades by its own function, run by lm-eval's own command in another folder."""
    from tao_bench.new import new_task

    new_task("mine", "classify", tmp_path / "tasks")
    folder = tmp_path / "tasks" / "mine"
    spec = (folder / "task.yaml").read_text()
    (folder / "own.py").write_text("def grade(prompt, gold, response):\n    return bool(gold)\n")
    kept = [line for line in spec.splitlines() if not line.startswith("verifier:")]
    (folder / "task.yaml").write_text("\n".join([*kept, "verifier: own.py:grade", ""]))
    environment = {**os.environ, "TAO_BENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    run = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    made = run([sys.executable, "-m", "tao_bench.cli", "export", "lm-eval", str(folder), "--out", "exported"])
    assert made.returncode == 0, made.stderr
    shutil.rmtree(tmp_path / "tasks"), shutil.rmtree(tmp_path / "cache")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tiny_model}"]
    command += ["--device", "cpu", "--include_path", "exported", "--tasks", "tao_bench_mine_1_test", "--limit", "2"]
    done = run([*command, "--apply_chat_template", "--log_samples", "--output_path", "out"])
    assert done.returncode == 0, done.stderr[-2000:]
    samples = [json.loads(line) for line in next((tmp_path / "out").rglob("samples_*.jsonl")).open()]
    most = yaml.safe_load(spec)["limits"]["max_new_tok"]
    cut = [len(sample["resps"][0][0].encode()) >= most for sample in samples]  # a token a byte
    assert [sample["correct"] for sample in samples] == [0.0 if one else 1.0 for one in cut] and len(samples) == 2
    results = json.loads(next((tmp_path / "out").rglob("results_*.json")).read_text())
    assert results["results"]["tao_bench_mine_1_test"]["correct,none"] == 1 - sum(cut) / 2
