"""Run a task inside EleutherAI's lm-eval without handing it a label.

The task becomes an in-memory config: documents hold an id and the prompt, scoring calls our verifier
by id, so labels reach neither lm-eval's documents nor its logs. The same frozen outputs get the same
verdicts on both roads (a test says so). Never used: lm-eval's answer cache (its key leaves the weights out)
and its global seeding (it would rewind a caller's random numbers).

lm-eval tells no finish reason. An answer is taken as truncated when its own text fills the token limit.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao_bench.task import Split, read_labels
from tao_bench.verify.verdict import Status, Verdict, Verifier

if TYPE_CHECKING:
    from tao_bench.registry import Task

METRIC = "correct"
CountTokens = Callable[[str], int]


def task_name(task: Task, split: Split) -> str:
    """The task as lm-eval lists it, e.g. ``tao_bench_warehouse_sql_1_test``."""
    variant = f"_{task.variant}" if task.variant else ""
    return f"tao_bench_{task.spec.name}{variant}_{task.spec.version}_{split}"


def export_task(
    task: Task,
    split: Split,
    verifier: Verifier,
    *,
    limit: int | None = None,
    count_tok: CountTokens | None = None,
    record: MutableMapping[str, Verdict] | None = None,
) -> dict[str, Any]:
    """A task as a config that `lm_eval.simple_evaluate(tasks=[config])` takes.

    Args:
        task: The task.
        split: The labelled split to evaluate.
        verifier: Judges the responses; stays the caller's to close.
        limit: Only the first items.
        count_tok: Tokens of a response by the model's tokenizer; without it no response counts as truncated.
        record: Filled with item id to verdict.

    Returns:
        The config. Its metric ``correct`` is accuracy; a `verifier_error` is missing data and left out.

    Raises:
        InputError: A prompt is not one user message, which is all lm-eval's chat path can send.
    """
    items = task.items(split)[:limit]
    prompts = {item.prompt.id: item.prompt for item in items}
    labels = read_labels(task.data, split)
    for prompt in prompts.values():
        if len(prompt.messages) != 1:
            raise InputError(
                "lm-eval sends one user message and this prompt has more",
                f"{task.version_name} item {prompt.id}",
                "evaluate it with `tao-bench run`",
            )
    documents = [{"id": item.prompt.id, "prompt": item.prompt.messages[-1].content} for item in items]
    most_tok = task.spec.limits.max_new_tok

    def dataset(**_: Any) -> dict[str, Any]:
        from datasets import Dataset

        return {split: Dataset.from_list(documents)}

    def score(document: dict[str, Any], responses: list[str]) -> dict[str, float]:
        response = responses[0]
        full = count_tok is not None and count_tok(response) >= most_tok
        name = document["id"]
        verdict = verifier.grade(prompts[name], labels[name].gold, response, "length" if full else "stop")
        if record is not None:
            record[name] = verdict
        return {} if verdict.status is Status.VERIFIER_ERROR else {METRIC: verdict.score}

    return {
        "task": task_name(task, split),
        "custom_dataset": dataset,
        "test_split": split,
        "output_type": "generate_until",
        "doc_to_text": lambda document: document["prompt"],
        "doc_to_target": lambda document: document["id"],
        "process_results": score,
        "generation_kwargs": {"until": [], "max_gen_toks": most_tok, "do_sample": False},
        "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": task.spec.version, "data": task.hash},
    }


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """Leave Python's, NumPy's and torch's global random states as they were found."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)


def run_lm_eval(model: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Call lm-eval on one exported task: no caches, no index of its own tasks, random states left as found.

    Passing no seeds is not enough for the last: its imports and data sets draw from Python's generator.

    Args:
        model: An `lm_eval.api.model.LM` that has a chat template.
        config: From `export_task`.

    Returns:
        What `simple_evaluate` returns.
    """
    with random_states_kept():
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        results: dict[str, Any] = simple_evaluate(
            model=model,
            tasks=[config],
            task_manager=TaskManager(include_defaults=False),
            apply_chat_template=True,
            log_samples=True,
            bootstrap_iters=0,
            random_seed=None,
            numpy_random_seed=None,
            torch_random_seed=None,
            fewshot_random_seed=None,
        )
    return results


def evaluate_folder(
    task: Task, model: Path, split: Split = "test", *, limit: int | None = None, batch_size: int = 16
) -> tuple[dict[str, Any], dict[str, Verdict]]:
    """Evaluate a model folder (weights and tokenizer) on a task with lm-eval's own HF model class.

    Args:
        task: The task.
        model: Folder that `transformers` can load.
        split: Labelled split.
        limit: Only the first items.
        batch_size: Prompts generated together.

    Returns:
        lm-eval's results and our verdict of each item.

    Raises:
        InputError: The tokenizer has no chat template.
    """
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    if not tokenizer.chat_template:
        raise InputError("its tokenizer has no chat template", str(model), "save the tokenizer with one")
    language_model = HFLM(
        pretrained=AutoModelForCausalLM.from_pretrained(model), tokenizer=tokenizer, batch_size=batch_size
    )
    verdicts: dict[str, Verdict] = {}
    verifier = task.verifier()
    try:
        config = export_task(
            task,
            split,
            verifier,
            limit=limit,
            count_tok=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
            record=verdicts,
        )
        return run_lm_eval(language_model, config), verdicts
    finally:
        verifier.close()


def export_lm_eval(
    name: str,
    model: str,
    *,
    split: Split = "test",
    limit: int | None = None,
    batch_size: int = 16,
    out: str = "",
) -> int:
    """The command ``tao-bench export-lm-eval``: print accuracy as lm-eval reports it and store the verdicts.

    Args:
        name: Task name.
        model: Model folder, or ``reference``.
        split: Labelled split.
        limit: Only the first items.
        batch_size: Prompts generated together.
        out: JSONL file for one verdict a line; '' writes none.

    Returns:
        Exit status.
    """
    from tao_bench.models import resolve_model
    from tao_bench.registry import load_task

    task, folder = load_task(name), resolve_model(model).path
    results, verdicts = evaluate_folder(task, folder, split, limit=limit, batch_size=batch_size)
    title = task_name(task, split)
    figure = results["results"][title].get(f"{METRIC},none")
    shown = "no item could be judged" if figure is None else f"{METRIC} {figure:.4f}"
    print(f"{title}: {shown} over {len(verdicts)} items (lm-eval, greedy, chat template)")
    if out:
        rows = ({"item": item, **asdict(verdict)} for item, verdict in verdicts.items())
        Path(out).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return 0
