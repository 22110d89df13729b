"""The same frozen outputs through our own path and through lm-eval: is every verdict the same?

Outputs are what models answered where results hold enough answers to a task, seeded changes of golds otherwise. Every
verdict of the config in memory is compared whole, every score of the exported folder as a third party would run it. An
item's output is sent once: a task counts distinct pairs of item and text.

lm-eval does not know why an answer ended. On both roads an answer counts as cut where its text fills the token limit;
how often that differs from what the run itself noted, and whether a score changed by it, is counted apart.

    python tests/benchmarks/lm_eval_parity.py --out results/lm_eval_parity.md --data TAO_BENCH_GEOQUERY=DIR ...

With ``--keep FILE.jsonl`` a finished task is kept and not done again while its data, its verifier, the code of both
roads, the results and lm-eval are the same, so a long run may be stopped and taken up.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import random
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tao.stage import digest, file_digest
from tao_bench.cli import set_data
from tao_bench.digest import ROOT, code_digest
from tao_bench.freeze import task_fingerprint
from tao_bench.lm_eval.borrowed import quiet
from tao_bench.lm_eval.config import METRIC, export_task, task_name
from tao_bench.lm_eval.evaluate import random_states_kept, run_lm_eval
from tao_bench.lm_eval.folder import write_export
from tao_bench.models import reference_path
from tao_bench.registry import MissingData, Task, load_task, task_dirs
from tao_bench.store import append_line, read_rows, read_timing
from tao_bench.task import Label, read_labels
from tao_bench.verify.verdict import Verdict

LEAST = 500
Outputs = Mapping[str, tuple[str, str]]
"""Item to its output and finish reason."""


@dataclass(frozen=True)
class Line:
    """Parity of one task."""

    task: str
    items: int
    outputs: int
    source: str
    statuses: dict[str, int]
    differing: list[str]
    ends: int
    """Answers whose end the text tells otherwise than the run noted it."""
    ends_scored: int
    """Those of them whose score that changes."""


def make_replay(answers: Mapping[str, str]) -> Any:
    """A model of lm-eval that gives stored answers by item, nothing where there is none."""
    from lm_eval.api.model import LM

    class Replay(LM):  # type: ignore[misc]
        tokenizer_name = "replay"

        def chat_template(self, chat_template: Any = False) -> str:
            return "replay"

        def apply_chat_template(self, chat_history: Any, add_generation_prompt: bool = True) -> str:
            return "\n".join(turn["content"] for turn in chat_history)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [answers.get(request.doc["id"], "") for request in requests]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

    return Replay()


def stored(task: Task, results: Path, least: int) -> list[Outputs]:
    """Distinct answers of the reference model and what was tuned from it, cell by cell, until there are enough."""
    wanted = {item.prompt.id for item in task.items("test")}
    seen: set[tuple[str, str]] = set()
    batches: list[Outputs] = []
    for folder in sorted(results.glob("*/cells.jsonl")):
        for cell in read_rows(folder):
            if cell["task"] != task.version_name or cell["eval"]["split"] != "test" or cell["model"] != "reference":
                continue
            rows = read_rows(folder.parent / "rows" / f"{cell['cell']}.jsonl")
            found = {row["item"]: (row["answer"], row["finish_reason"]) for row in rows if row["item"] in wanted}
            if set(found) != wanted or cell["inference_samples"] != 1:
                continue
            batches.append({name: answer for name, answer in found.items() if (name, answer[0]) not in seen})
            seen.update((name, text) for name, (text, _) in found.items())
            if len(seen) >= least:
                return batches
    return []


def changed(task: Task, labels: Mapping[str, Label], count: Callable[[str], int], least: int) -> list[Outputs]:
    """Golds as answers: right, dressed up, cut, altered, none and other items' golds; no text twice for an item."""
    limit = task.spec.limits.max_new_tok
    draw = random.Random(seed_of(task))
    golds = {name: labels[name].target for name in sorted(labels)}
    texts: dict[str, list[str]] = {}
    for name, gold in golds.items():
        kinds = [
            gold,
            f"The answer is:\n```\n{gold}\n```",
            f"{gold}\n",
            gold[: len(gold) // 2],
            re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), gold),
            golds[draw.choice(list(golds))],
            "",
            "I cannot answer that from what is given.",
        ]
        draw.shuffle(kinds)
        others = [text for other, text in golds.items() if other != name]
        draw.shuffle(others)
        texts[name] = list(dict.fromkeys(kinds + others))
    batches: list[Outputs] = []
    while sum(map(len, batches)) < least and any(texts.values()):
        told = {name: left.pop(0) for name, left in texts.items() if left}
        batches.append({name: (text, "length" if count(text) >= limit else "stop") for name, text in told.items()})
    return batches


def seed_of(task: Task) -> str:
    """What the changes of a task's golds are drawn with."""
    return f"parity/{task.version_name}"


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
    """Send a task's outputs both ways."""
    labels = read_labels(task.data, "test")
    verifier = task.verifier()
    statuses: Counter[str] = Counter()
    differing: list[str] = []
    done = ends = ends_scored = 0
    try:
        batches, source = stored(task, results, least), "stored answers"
        if not batches:
            batches, source = changed(task, labels, count, least), f"changed golds, seed `{seed_of(task)}`"
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
    return Line(task.version_name, len(labels), done, source, dict(statuses), differing, ends, ends_scored)


def counter() -> Callable[[str], int]:
    """Tokens by the reference model's tokenizer."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(reference_path()))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


class Kept:
    """Finished tasks in a JSONL file, each with the hash of all that its line depends on."""

    def __init__(self, path: Path | None, results: Path) -> None:
        self.path = path
        roads = [ROOT / "tao_bench" / "lm_eval" / f"{name}.py" for name in ("config", "evaluate", "folder")]
        cells = [[one.parent.name, file_digest(one)] for one in sorted(results.glob("*/cells.jsonl"))]
        self.made_by = [code_digest([Path(__file__), *roads]), importlib.metadata.version("lm-eval"), cells]
        self.rows = read_timing(path) if path is not None else []  # a line torn by a kill is left out

    def key(self, task: Task, least: int) -> str:
        """Hash of code, lm-eval, stored results, data and what was asked."""
        return digest([*self.made_by, task.version_name, task_fingerprint(task), least])

    def find(self, task: Task, least: int) -> Line | None:
        """A task's line, if it was made by what is here now."""
        key = self.key(task, least)
        return next((Line(**row["line"]) for row in self.rows if row["key"] == key), None)

    def add(self, task: Task, least: int, line: Line) -> None:
        """Keep a task's line."""
        if self.path is not None:
            append_line(self.path, {"key": self.key(task, least), "line": asdict(line)})


def made_with(arguments: list[str]) -> str:
    """The command, machine and versions. Folders and what is kept go by DIR and FILE: where they lie says nothing."""
    shown = [re.sub(r"^(TAO_BENCH_\w+)=.*", r"\1=DIR", one) for one in arguments]
    shown = ["FILE.jsonl" if before == "--keep" else one for before, one in zip(["", *shown], shown, strict=False)]
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in ("lm-eval", "transformers", "duckdb"))
    return (
        f"Made by `{shlex.join(['python', 'tests/benchmarks/lm_eval_parity.py', *shown])}` "
        f"on {name}, {os.cpu_count()} cores, no GPU used. Python {platform.python_version()}, {versions}."
    )


def report(lines: list[Line], skipped: Mapping[str, str], made: str) -> str:
    """The table as Markdown."""
    text = [
        "# Parity with lm-eval",
        "",
        made,
        "",
        "The same outputs through `tao-bench` and through lm-eval: whole verdicts of the config in memory, scores of",
        "the exported folder. An output is a text for an item of the test split, no pair twice. Where stored results",
        "hold too few, outputs are changed golds: right, dressed up, cut, altered, none and other items' golds.",
        "",
        "lm-eval does not know why an answer ended, so an answer counts as cut where its text fills the token limit.",
        "The text of an answer can hold fewer tokens than were written; the last two columns count what that does.",
        "",
        "| task | items | outputs | from | same verdict | verdicts | ends told otherwise | scores changed by it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        same = line.outputs - len(line.differing)
        order = sorted(line.statuses, key=lambda status: (-line.statuses[status], status))
        seen = ", ".join(f"{status} {line.statuses[status]}" for status in order)
        text.append(
            f"| {line.task} | {line.items} | {line.outputs} | {line.source} | {same} ({same / line.outputs:.2%}) "
            f"| {seen} | {line.ends} | {line.ends_scored} |"
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
    parser.add_argument("names", nargs="*", metavar="TASK", help="default: all built-in tasks and versions")
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    parser.add_argument("--keep", type=Path, metavar="FILE.jsonl", help="finished tasks, not done again")
    parser.add_argument("--least", type=int, default=LEAST, metavar="N", help=f"outputs a task (default {LEAST})")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--data", action="append", default=[], metavar="VARIABLE=DIR")
    options = parser.parse_args()
    set_data(options.data, [])
    lines: list[Line] = []
    skipped: dict[str, str] = {}
    count = counter()
    kept = Kept(options.keep, options.results)
    for name in options.names or sorted(task_dirs()):  # the first variant of a task; another where it is named
        try:
            task = load_task(name)
        except MissingData as error:
            skipped[name] = error.what
            print(f"{name}: skipped, {error.what}", flush=True)
            continue
        line = kept.find(task, options.least)
        if line is None:
            line = compare(task, options.results, count, options.least)
            kept.add(task, options.least, line)
        lines.append(line)
        print(
            f"{line.task}: {line.outputs - len(line.differing)} of {line.outputs} the same, "
            f"{line.ends} ends told otherwise, {line.ends_scored} scores changed by it",
            flush=True,
        )
        for one in line.differing[:5]:
            print(f"  {one}"[:400])
    if options.out:
        options.out.write_text(report(lines, skipped, made_with(sys.argv[1:])), encoding="utf-8")
    return int(any(line.differing for line in lines))


if __name__ == "__main__":
    sys.exit(main())
