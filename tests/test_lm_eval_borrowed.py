"""Tasks of lm-eval inside a run: the prompts and verdicts are lm-eval's own, and nothing is ever tuned on them.

`tests/lm_eval_tasks` holds tasks as a user of lm-eval writes them, one YAML file each.
"""

import json
import random
from pathlib import Path

import pytest
import toy
from lm_eval.api.model import LM

from tao.compute import Ledger, forward_flop
from tao.errors import InputError
from tao_bench.cli import main
from tao_bench.lm_eval.borrowed import FEWSHOT_SEED, REQUESTS, borrowed_requests
from tao_bench.lm_eval.likelihood import answer_choices, fit_limits
from tao_bench.registry import MissingData, cache_root, load_task
from tao_bench.task import read_labels
from tao_bench.verify.verdict import Status

ROOT = Path(__file__).resolve().parent.parent
TASKS = ROOT / "tests" / "lm_eval_tasks"
OWN = """\
task: {name}
dataset_path: {path}
dataset_kwargs: {{data_files: {{test: tests/lm_eval_tasks/things.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: question
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["x"]}}
{more}
"""


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)  # lm-eval takes paths of data files from the working folder
    monkeypatch.setenv("TAO_BENCH_LM_EVAL", str(TASKS))
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))


def own_task(tmp_path, monkeypatch, more, path="json", name="mine"):
    folder = tmp_path / "own"
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(OWN.format(name=name, more=more, path=path))
    monkeypatch.setenv("TAO_BENCH_LM_EVAL", str(folder))


class Replay(LM):
    """Gives stored answers by document, and keeps what it was asked."""

    tokenizer_name = "replay"

    def __init__(self, tokenizer, answers):
        super().__init__()
        self.tokenizer, self.answers, self.asked = tokenizer, answers, {}

    def chat_template(self, chat_template=False):
        return "replay"

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def generate_until(self, requests, disable_tqdm=False):
        self.asked = {request.doc_id: request.args[0] for request in requests}
        return [self.answers[request.doc_id] for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError


def in_lm_eval(model, name):
    """What lm-eval itself says, run as its command runs with --apply_chat_template."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    return simple_evaluate(
        model=model, tasks=[name], task_manager=manager, apply_chat_template=True, fewshot_as_multiturn=True,
        log_samples=True, bootstrap_iters=0, fewshot_random_seed=FEWSHOT_SEED,
    )  # fmt: skip


def answers_of(labels):
    """Right in form, right only by the lenient filter, wrong, none, cut by a stop string."""
    found = {}
    for number, label in enumerate(labels.values()):
        value = label.target.rpartition(" ")[2]
        kinds = [label.target, f"It is {value}", f"#### {value}0", "no idea", f"#### {value}\nQuestion: 99", ""]
        found[label.gold["number"]] = kinds[number % len(kinds)]
    return found


@pytest.fixture
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_model))


@pytest.mark.parametrize("chosen", ["strict-match", "flexible-extract"])
def test_prompts_and_verdicts_of_a_generating_task_are_lm_evals_own(tokenizer, chosen):
    task = load_task(f"lm_eval:local_sums:{chosen}")
    labels, items = read_labels(task.data, "test"), task.items("test")
    answers = answers_of(labels)
    model = Replay(tokenizer, answers)
    results = in_lm_eval(model, "local_sums")
    theirs = {s["doc_id"]: s["exact_match"] for s in results["samples"]["local_sums"] if s["filter"] == chosen}
    verifier = task.verifier()
    for item in items:
        gold = labels[item.prompt.id].gold
        turns = [{"role": turn.role, "content": turn.content} for turn in item.prompt.messages]
        asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert asked == model.asked[gold["number"]]
        text = answers[gold["number"]]
        stopped = text.split("Question:")[0]  # lm-eval's model classes cut at stop strings before anything is judged
        verdict = verifier.grade(item.prompt, gold, text, "stop")
        if text == stopped:
            assert verdict.score == theirs[gold["number"]]
        else:
            assert verdict == verifier.grade(item.prompt, gold, stopped, "stop")
    assert 0 < sum(theirs.values()) < len(items) == 24


def test_reasons_tell_form_from_content():
    task = load_task("lm_eval:local_sums")
    item, label = task.items("test")[0], next(iter(read_labels(task.data, "test").values()))
    value = label.target.rpartition(" ")[2]
    verifier = task.verifier()

    def grade(text, finish="stop", gold=label.gold):
        verdict = verifier.grade(item.prompt, gold, text, finish)
        return verdict.status, verdict.reason

    assert grade(label.target) == (Status.CORRECT, "exact_match")
    assert grade(f"It is {value}") == (Status.UNPARSABLE, "format")
    assert grade("no idea") == (Status.UNPARSABLE, "no_match")
    assert grade(f"#### {value}0") == (Status.WRONG, "exact_match")
    assert grade("and so on", "length") == (Status.TRUNCATED, "length")
    assert grade(label.target, "length")[0] is Status.CORRECT  # said in time
    assert grade("x", gold={"doc": None, "number": 0})[0] is Status.VERIFIER_ERROR


def pair_lengths(folder, choices):
    """Tokens of prompt and choice; the tiny model's tokenizer has one a byte."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    chats = [tokenizer.apply_chat_template(m, add_generation_prompt=True, return_dict=False) for m, _ in choices]
    return [(len(ids), len(text.encode())) for ids, (_, text) in zip(chats, choices, strict=True)]


def test_choices_are_weighed_as_lm_eval_weighs_them(tiny_model, tmp_path):
    from lm_eval.models.huggingface import HFLM

    from tao.sampling.samplers import local_sampler

    task = load_task("lm_eval:local_things")
    items, labels = task.items("test"), read_labels(task.data, "test")
    sampler, ledger = local_sampler(tiny_model), Ledger(tmp_path / "ledger.jsonl")
    prompts = [item.prompt for item in items]
    requests = borrowed_requests(prompts)
    random.seed(4)
    before = random.getstate()
    answer_choices(sampler, prompts, requests, folder=tmp_path, ledger=ledger, progress=lambda *_: None)
    assert random.getstate() == before
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]

    results = in_lm_eval(HFLM(pretrained=str(tiny_model), device="cpu", batch_size=4), "local_things")
    samples = {sample["doc_id"]: sample for sample in results["samples"]["local_things"]}
    verifier, scores = task.verifier(), []
    for item, row in zip(items, rows, strict=True):
        gold = labels[item.prompt.id].gold
        sample = samples[gold["number"]]
        ours = [score for score, _ in json.loads(row["answer"])]
        assert ours == pytest.approx([float(pair[0][0]) for pair in sample["resps"]], abs=1e-3)
        verdict = verifier.grade(item.prompt, gold, row["answer"], row["finish_reason"])
        assert verdict.score == sample["acc"]
        scores.append(verdict.score)
    assert 0 < sum(scores) < len(scores)

    first = rows[0]
    assert first["prompt_tok"] == sum(map(sum, pair_lengths(tiny_model, requests[first["item"]]["choices"])))
    lengths = pair_lengths(tiny_model, requests[first["item"]]["choices"])
    assert first["flop"] == sum(forward_flop(sampler.shape, c + k, k) for c, k in lengths)
    entry = ledger.entries()[0]
    assert (entry.stage, entry.model_flop) == ("evaluate", sum(row["flop"] for row in rows))


def test_weighing_goes_on_where_it_stopped(tiny_model, tmp_path):
    from tao.sampling.samplers import local_sampler
    from tao_bench.lm_eval import likelihood

    task = load_task("lm_eval:local_things")
    prompts = [item.prompt for item in task.items("test")]
    whole, torn = tmp_path / "whole" / "test", tmp_path / "torn" / "test"
    for folder in (whole, torn):
        folder.mkdir(parents=True)

    def weigh(folder, stop_after=None):
        def tell(stage, done, everything):
            if done == stop_after:
                raise KeyboardInterrupt

        sampler = local_sampler(tiny_model)
        requests = borrowed_requests(prompts)
        answer_choices(sampler, prompts, requests, folder=folder, ledger=Ledger(folder / "l.jsonl"), progress=tell)

    before, likelihood.CHUNK = likelihood.CHUNK, 3
    try:
        weigh(whole)
        with pytest.raises(KeyboardInterrupt):
            weigh(torn, stop_after=3)
        weigh(torn)
    finally:
        likelihood.CHUNK = before
    assert (torn / "answers.jsonl").read_bytes() == (whole / "answers.jsonl").read_bytes()
    assert (torn / "l.jsonl").read_bytes() == (whole / "l.jsonl").read_bytes()


def test_no_label_lies_outside_the_sealed_folder():
    task = load_task("lm_eval:local_sums")
    labels = read_labels(task.data, "test")
    open_files = "".join(path.read_text() for path in task.data.glob("*.jsonl"))
    solved = [label for label in labels.values() if label.target in open_files]
    assert not solved  # worked examples in prompts come from the train split
    assert "answer" not in (task.data / REQUESTS).read_text()


def test_limits_fit_the_model_that_answers(tiny_model):
    from tao.sampling.samplers import local_sampler

    task = load_task("lm_eval:local_sums")
    prompts, sampler = [item.prompt for item in task.items("test")], local_sampler(tiny_model)
    limits = fit_limits(task.spec.limits, prompts, sampler)
    assert limits.max_new_tok == 24 and limits.max_prompt_tok + 24 <= 512
    with pytest.raises(InputError, match=r"may take 500; the model has 512 positions"):
        fit_limits(task.spec.limits.model_copy(update={"max_new_tok": 500}), prompts, sampler)


def experiment(tmp_path, model, arms):
    path = tmp_path / "ours.yaml"
    path.write_text(
        f"name: ours\nmodel: {model}\ntasks: ['lm_eval:local_things', 'lm_eval:local_sums']\narms: {arms}\n"
    )
    folders = [f"--{name}={tmp_path / name}" for name in ("out", "results", "reports")]
    return ["run", str(path), "--limit", "3", "--jobs", "1", *folders]


def test_an_experiment_answers_judges_and_reports_them_like_any_task(tiny_model, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TAO_BENCH_LM_EVAL")
    command = [*experiment(tmp_path, tiny_model, "[{arm: base}]"), "--data", str(TASKS)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "lm_eval:local_things@1" in shown and "lm_eval:local_sums@1" in shown
    rows = [json.loads(line) for path in (tmp_path / "results").rglob("rows/*.jsonl") for line in path.open()]
    assert len(rows) == 6 and {row["status"] for row in rows} <= {status.value for status in Status} - {
        "verifier_error"
    }


def test_tuning_on_one_is_refused_before_anything_is_spent(tiny_model, tmp_path, capsys):
    assert main(experiment(tmp_path, tiny_model, "[{arm: tao, samples: 4, rounds: 1}]")) == 2
    assert "which is for evaluation only" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["gate"], ["signals"], ["check"]])
def test_commands_about_tuning_say_that_there_is_no_pool(command, capsys, tmp_path):
    arguments = {"gate": ["--task"], "signals": ["--task"], "check": []}[command[0]]
    assert main([*command, *arguments, "lm_eval:local_things"]) != 0
    said = "".join(capsys.readouterr())
    assert "for evaluation only" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lm_eval:", "which task of lm-eval?"),
        ("lm_eval:local_sums:lenient", r"(?s)has no filter 'lenient'.*strict-match, flexible-extract"),
        ("lm_eval:mmlu", r"(?s)is a group of 57 tasks of lm-eval.*all of them lm_eval:mmlu_abstract_algebra, lm_eval:"),
        ("lm_eval:local_all", r"(?s)is a group of 2 tasks.*all of them lm_eval:local_sums, lm_eval:local_things$"),
        ("lm_eval:lambada_openai", "cannot be loaded|asks for loglikelihood"),
    ],
)
def test_what_cannot_be_taken_over_is_named(name, said, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=said):
        load_task(name)


def test_data_that_is_not_here_is_one_clear_error():
    with pytest.raises(MissingData, match=r"its data.*cannot be loaded") as caught:
        load_task("lm_eval:gsm8k")
    assert "TAO_BENCH_LM_EVAL" in str(caught.value) or "online" in str(caught.value)
    assert not list(cache_root().glob("*gsm8k*"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "metric_list: [{metric: bleu, aggregation: bleu, higher_is_better: true}]",
            "no metric that is right or wrong",
        ),
        ("repeats: 4", "asks for 4 responses an item"),
        ('gen_prefix: "So"', "begins the model's answer"),
        ("output_type: loglikelihood", "asks for loglikelihood"),
        ("process_results: !function own.half", "is 0.5, not right or wrong"),
    ],
)
def test_a_task_that_has_no_right_or_wrong_answer_is_refused(tmp_path, monkeypatch, more, said):
    own_task(tmp_path, monkeypatch, more)
    (tmp_path / "own" / "own.py").write_text("def half(doc, results):\n    return {'exact_match': 0.5}\n")
    with pytest.raises(InputError, match=said):
        load_task("lm_eval:mine")


def test_a_changed_yaml_is_another_task(tmp_path, monkeypatch):
    own_task(tmp_path, monkeypatch, "description: One.")
    first = load_task("lm_eval:mine")
    assert load_task("lm_eval:mine@1").data == first.data
    own_task(tmp_path, monkeypatch, "description: Two.")
    assert load_task("lm_eval:mine").hash != first.hash


TRANSFER = """\
name: damage
model: {model}
tasks: {tasks}
transfer: {transfer}
arms:
  - arm: base
  - {{arm: tao, samples: 4, rounds: 1, {tuned}recipe: {{learning_rate: 0.001, batch_size: 4}}}}
"""
JOINT = "tune_on: {toy_task: 1}, "
THINGS, SUMS = "lm_eval:local_things", "lm_eval:local_sums"


def damage(tmp_path, model, tasks, transfer, tuned=JOINT):
    """The command of an experiment that asks what tuning did to tasks of lm-eval."""
    path = tmp_path / "damage.yaml"
    path.write_text(TRANSFER.format(model=model, tasks=tasks, transfer=transfer, tuned=tuned))
    folders = [f"--{name}={tmp_path / name}" for name in ("out", "results", "reports")]
    return ["run", str(path), "--tasks", str(toy.TASK), "--limit", "3", "--jobs", "1", *folders]


def test_a_model_tuned_on_a_task_of_ours_is_asked_what_that_did_to_lm_evals(taught_model, tmp_path, capsys):
    code = main(damage(tmp_path, taught_model, ["toy_task"], [THINGS, SUMS]))
    assert code == 0, capsys.readouterr().err
    folder = tmp_path / "reports" / "damage-first3"
    report, matrix = (folder / "report.md").read_text(), (folder / "matrix.csv").read_text()
    assert all(name in report and name in matrix for name in (THINGS, SUMS))
    rows = [json.loads(line) for path in (tmp_path / "results").rglob("rows/*.jsonl") for line in path.open()]
    borrowed = [row for row in rows if row["task"].startswith("lm_eval:")]
    assert {row["arm"] for row in borrowed} == {"base", "tao"} and len(borrowed) == 12
    assert "verifier_error" not in {row["status"] for row in borrowed}


@pytest.mark.parametrize(
    "parts",
    [
        (["toy_task", THINGS], [SUMS], "tune_on: {toy_task: 1, 'lm_eval:local_things': 1}, ", THINGS),
        (["toy_task", SUMS], [THINGS], "", SUMS),  # each task would get a model of its own
        (["toy_task"], [THINGS], "tune_on: {'lm_eval:local_things': 1}, ", THINGS),
    ],
)
def test_no_mixture_holds_a_task_of_lm_eval(tiny_model, tmp_path, capsys, parts):
    tasks, transfer, tuned, name = parts
    assert main(damage(tmp_path, tiny_model, tasks, transfer, tuned)) == 2
    said = capsys.readouterr().err
    assert (f"would tune on {name}, a task of lm-eval" in said) if name in tasks else ("is not among" in said)
    assert not (tmp_path / "out").exists()
