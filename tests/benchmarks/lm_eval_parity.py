"""The same frozen outputs through our own path and through lm-eval: is every verdict the same?

Outputs are what models answered where results hold answers to a task, seeded changes of golds otherwise. Every verdict
of the config in memory is compared whole, every score of the exported folder as a third party would run it.

lm-eval does not know why an answer ended. On both roads an answer counts as cut where its text fills the token limit;
how often that differs from what the run itself noted, and whether a score changed by it, is counted apart.

    python tests/benchmarks/lm_eval_parity.py --out results/lm_eval_parity.md --data TAO_BENCH_GEOQUERY=DIR ...
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_bench.cli import set_data
from tao_bench.lm_eval.borrowed import quiet
from tao_bench.lm_eval.config import METRIC, export_task, task_name
from tao_bench.lm_eval.evaluate import random_states_kept, run_lm_eval
from tao_bench.lm_eval.folder import write_export
from tao_bench.models import reference_path
from tao_bench.registry import MissingData, Task, load_task, task_dirs
from tao_bench.store import read_rows
from tao_bench.task import Label, read_labels
from tao_bench.verify.verdict import Verdict

LEAST = 500
Outputs = Mapping[str, tuple[str, str]]
"""Item to its output and finish reason."""


@dataclass(frozen=True)
class Line:
    """Parity of one task."""

    task: str
    outputs: int
    source: str
    statuses: Counter[str]
    differing: list[str]
    ends: int
    """Answers whose end the text tells otherwise than the run noted it."""
    ends_scored: int
    """Those of them whose score that changes."""


def make_replay(answers: Mapping[str, str]) -> Any:
    """A model of lm-eval that gives stored answers by item."""
    from lm_eval.api.model import LM

    class Replay(LM):  # type: ignore[misc]
        tokenizer_name = "replay"

        def chat_template(self, chat_template: Any = False) -> str:
            return "replay"

        def apply_chat_template(self, chat_history: Any, add_generation_prompt: bool = True) -> str:
            return "\n".join(turn["content"] for turn in chat_history)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [answers[request.doc["id"]] for request in requests]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

    return Replay()


def stored(task: Task, results: Path) -> Iterator[Outputs]:
    """Answers of the reference model and what was tuned from it, cell by cell, that cover the whole test split."""
    wanted = {item.prompt.id for item in task.items("test")}
    for folder in sorted(results.glob("*/cells.jsonl")):
        for cell in read_rows(folder):
            if cell["task"] != task.version_name or cell["eval"]["split"] != "test" or cell["model"] != "reference":
                continue
            rows = read_rows(folder.parent / "rows" / f"{cell['cell']}.jsonl")
            found = {row["item"]: (row["answer"], row["finish_reason"]) for row in rows if row["item"] in wanted}
            if set(found) == wanted and cell["inference_samples"] == 1:
                yield found


def changed(task: Task, labels: Mapping[str, Label], count: Callable[[str], int]) -> Iterator[Outputs]:
    """Golds as answers, right, dressed up, cut, altered and mixed up, one an item, again and again."""
    names = sorted(labels)
    limit = task.spec.limits.max_new_tok
    draw = random.Random(f"parity/{task.version_name}")
    while True:
        found = {}
        for name in names:
            gold = labels[name].target
            kinds = (
                gold,
                f"The answer is:\n```\n{gold}\n```",
                f"{gold}\n",
                gold[: len(gold) // 2],
                re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), gold),
                labels[draw.choice(names)].target,
                "",
                "I cannot answer that from what is given.",
            )
            text = draw.choice(kinds)
            found[name] = (text, "length" if count(text) >= limit else "stop")
        yield found


def through_us(task: Task, labels: Mapping[str, Label], outputs: Outputs, verifier: Any) -> dict[str, Verdict]:
    """Verdicts as `tao-bench run` gives them, with these finish reasons."""
    return {
        item.prompt.id: verifier.grade(item.prompt, labels[item.prompt.id].gold, *outputs[item.prompt.id])
        for item in task.items("test")
        if item.prompt.id in outputs
    }


def through_folder(task: Task, folder: Path, answers: Mapping[str, str]) -> dict[str, float | None]:
    """Scores of the exported folder in lm-eval's hands; None where an item was not judged."""
    with random_states_kept(), quiet():
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        told = {"pretrained": str(reference_path())}
        name = task_name(task, "test")
        results = simple_evaluate(
            model=make_replay(answers),
            tasks=[name],
            task_manager=TaskManager(include_path=str(folder), include_defaults=False, metadata=told),
            apply_chat_template=True,
            log_samples=True,
            bootstrap_iters=0,
        )
    return {sample["doc"]["id"]: sample.get(METRIC) for sample in results["samples"][name]}


def compare(task: Task, results: Path, count: Callable[[str], int], least: int = LEAST) -> Line:
    """Send outputs of a task both ways until there are enough."""
    labels = read_labels(task.data, "test")
    verifier = task.verifier()
    statuses: Counter[str] = Counter()
    differing: list[str] = []
    done = ends = ends_scored = 0
    try:
        batches, source = list(stored(task, results))[: -(-least // len(labels))], "stored answers"
        if sum(map(len, batches)) < least:
            batches, source = [], "changed golds"
            for batch in changed(task, labels, count):
                batches.append(batch)
                if sum(map(len, batches)) >= least:
                    break
        with tempfile.TemporaryDirectory(prefix="parity-") as scratch:
            folder = Path(scratch) / "export"
            write_export(task, folder)
            for number, batch in enumerate(batches):
                most = task.spec.limits.max_new_tok
                told = {n: (text, "length" if count(text) >= most else "stop") for n, (text, _) in batch.items()}
                ours = through_us(task, labels, told, verifier)
                odd = {name: batch[name] for name in batch if batch[name] != told[name]}
                noted = through_us(task, labels, odd, verifier)
                ends += len(odd)
                ends_scored += sum(ours[name].score != verdict.score for name, verdict in noted.items())
                theirs: dict[str, Verdict] = {}
                answers = {name: text for name, (text, _) in batch.items()}
                with quiet():
                    run_lm_eval(
                        make_replay(answers), export_task(task, "test", verifier, count_tok=count, record=theirs)
                    )
                scores = through_folder(task, folder, answers)
                statuses.update(verdict.status.value for verdict in ours.values())
                done += len(ours)
                for name, verdict in ours.items():
                    missing = verdict.status.value == "verifier_error"
                    same = theirs[name] == verdict and scores[name] == (None if missing else verdict.score)
                    differing += (
                        [] if same else [f"{name} (batch {number}): {verdict} / {theirs[name]} / {scores[name]}"]
                    )
    finally:
        verifier.close()
    return Line(task.version_name, done, source, statuses, differing, ends, ends_scored)


def counter() -> Callable[[str], int]:
    """Tokens by the reference model's tokenizer."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(reference_path()))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def report(lines: list[Line], skipped: Mapping[str, str]) -> str:
    """The table as Markdown."""
    text = [
        "# Parity with lm-eval",
        "",
        "The same outputs through `tao-bench` and through lm-eval: whole verdicts of the config in memory, scores of",
        "the exported folder. Made by `python tests/benchmarks/lm_eval_parity.py`.",
        "",
        "lm-eval does not know why an answer ended, so an answer counts as cut where its text fills the token limit.",
        "The text of an answer can hold fewer tokens than were written; the last two columns count what that does.",
        "",
        "| task | outputs | from | same verdict | verdicts | ends told otherwise | scores changed by it |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        same = line.outputs - len(line.differing)
        seen = ", ".join(f"{name} {count}" for name, count in line.statuses.most_common())
        text.append(
            f"| {line.task} | {line.outputs} | {line.source} | {same} ({same / line.outputs:.2%}) | {seen} "
            f"| {line.ends} | {line.ends_scored} |"
        )
    text += [f"\nSkipped: {name}: {why}" for name, why in skipped.items()]
    for line in lines:
        if line.differing:
            first = ", ".join(one.partition(" (")[0] for one in line.differing[:5])
            text.append(f"\n{line.task}: {len(line.differing)} differ; first items: {first}")
    return "\n".join(text) + "\n"


def main() -> int:
    """Compare every built-in task whose data is here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TASK", help="default: all built-in tasks")
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    parser.add_argument("--least", type=int, default=LEAST, metavar="N", help=f"outputs a task (default {LEAST})")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--data", action="append", default=[], metavar="VARIABLE=DIR")
    options = parser.parse_args()
    set_data(options.data, [])
    lines: list[Line] = []
    skipped: dict[str, str] = {}
    count = counter()
    for name in options.names or sorted(task_dirs()):  # the first variant of a task; another where it is named
        try:
            line = compare(load_task(name), options.results, count, options.least)
        except MissingData as error:
            skipped[name] = error.what
            print(f"{name}: skipped, {error.what}", flush=True)
            continue
        lines.append(line)
        print(
            f"{line.task}: {line.outputs - len(line.differing)} of {line.outputs} the same, "
            f"{line.ends} ends told otherwise, {line.ends_scored} scores changed by it",
            flush=True,
        )
        for one in line.differing[:5]:
            print(f"  {one}"[:400])
    if options.out:
        options.out.write_text(report(lines, skipped), encoding="utf-8")
    return int(any(line.differing for line in lines))


if __name__ == "__main__":
    sys.exit(main())
