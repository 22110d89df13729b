"""Evaluate a model on a task of ours with lm-eval's own model class, in this process.

Never used: lm-eval's answer cache (its key leaves the weights out), its index of thousands of tasks, and its global
seeding (it would rewind a caller's random numbers).
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao_bench.lm_eval.config import METRIC, export_task, task_name
from tao_bench.task import Split
from tao_bench.verify.verdict import Verdict

if TYPE_CHECKING:
    from tao_bench.registry import Task


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


def evaluate_lm_eval(
    task: Task, model: str, split: Split = "test", *, limit: int | None = None, batch_size: int = 16, out: str = ""
) -> int:
    """The command ``tao-bench export lm-eval TASK --evaluate MODEL``: lm-eval's accuracy, and our verdicts as a file.

    Args:
        task: The task.
        model: Model folder, or ``reference``.
        split: Labelled split.
        limit: Only the first items.
        batch_size: Prompts generated together.
        out: JSONL file for one verdict a line; '' writes none.

    Returns:
        Exit status.
    """
    from tao_bench.models import resolve_model

    results, verdicts = evaluate_folder(task, resolve_model(model).path, split, limit=limit, batch_size=batch_size)
    title = task_name(task, split)
    figure = results["results"][title].get(f"{METRIC},none")
    shown = "no item could be judged" if figure is None else f"{METRIC} {figure:.4f}"
    print(f"{title}: {shown} over {len(verdicts)} items (lm-eval, greedy, chat template)")
    if out:
        rows = ({"item": item, **asdict(verdict)} for item, verdict in verdicts.items())
        Path(out).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return 0
