"""What sec_filings@2 holds: counts by split and family, time of 7,200 questions, near-duplicates, floors.

    python tests/benchmarks/filings_report.py            # writes results/sec_filings_v2.md

Near-duplicates of test in train: Jaccard similarity of the sets of five-word runs, over whole prompts (report and
question, figures as they are) and over questions with digits masked (how often a wording returns). Times are CPU
seconds of one process.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from tao.answers.filing import CANNOT, Wanted, read_form
from tao.prompts import Prompt
from tao_bench.registry import Task, load_generator, load_task
from tao_bench.task import Label, read_labels
from tao_bench.verify.verdict import Status

RUN = 5
NEAR = (0.8, 0.6)
SPLITS = ("pool", "train", "dev", "test")
ROOT = Path(__file__).resolve().parents[2]


def shingles(text: str) -> set[str]:
    """All runs of five words of a text; the whole text where it is shorter."""
    words = text.split()
    return {" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))}


def nearest(texts: Sequence[str], others: Sequence[str]) -> list[float]:
    """For each text the highest Jaccard similarity with any other."""
    sets = [shingles(other) for other in others]
    index: dict[str, list[int]] = defaultdict(list)
    for at, found in enumerate(sets):
        for run in found:
            index[run].append(at)
    best = []
    for text in texts:
        mine = shingles(text)
        shared = Counter(at for run in mine for at in index.get(run, ()))
        best.append(max((n / (len(mine) + len(sets[at]) - n) for at, n in shared.items()), default=0.0))
    return best


def report_of(prompt: Prompt) -> str:
    """A prompt without the instruction that all share."""
    return prompt.messages[0].content.split("\n", 1)[1]


def question_of(prompt: Prompt) -> str:
    """A prompt's question, digits masked."""
    return re.sub(r"\d", "9", prompt.messages[0].content.split("\n")[-1])


def masked(prompt: Prompt) -> str:
    """A question without the company's name, digits masked."""
    company = re.search(r"^Report: (.+), in", prompt.messages[0].content, re.M)
    return question_of(prompt).replace(company[1] if company else "", "the company")


def form_aware(prompt: Prompt) -> str:
    """Yes, the first option, or a refusal, by the form that the question wants."""
    form = read_form(prompt)
    return {Wanted.YES_NO: "Yes", Wanted.CHOICE: (*form.options, "")[0]}.get(form.wanted, CANNOT)


POLICIES: dict[str, Callable[[Prompt], str]] = {
    "always Yes": lambda prompt: "Yes",
    "always No": lambda prompt: "No",
    f"always {CANNOT}": lambda prompt: CANNOT,
    "form-aware (Yes, first option, else a refusal)": form_aware,
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; the first column is text."""
    head = ["| " + " | ".join(header) + " |", "|---|" + "--:|" * (len(header) - 1)]
    return [*head, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def measure_time(task: Task, n: int) -> tuple[float, int]:
    """CPU seconds of making a pool of `n` with the other splits, and how many items that are in all."""
    generator = load_generator(task.folder)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        generator.generate(Path(folder), task.spec.seed, n)
        spent = time.process_time() - start
        made = sum(1 for path in Path(folder).glob("*.jsonl") for _ in path.open())
    return spent, made


def write(task: Task, n: int) -> str:
    """The report."""
    prompts = {"pool": task.pool()} | {s: [i.prompt for i in task.items(s)] for s in SPLITS[1:]}  # type: ignore[arg-type]
    labels: dict[str, dict[str, Label]] = {s: read_labels(task.data, s) for s in SPLITS}  # type: ignore[arg-type]
    spent, made = measure_time(task, n)
    lines = [
        f"# {task.version_name}: what it holds",
        "",
        f"Written by `python tests/benchmarks/filings_report.py`; data {task.hash}.",
        "",
        f"{n:,} questions in the pool with the other splits ({made:,} in all): {spent:.1f} CPU seconds on one core, "
        f"{1000 * spent / made:.1f} ms a question.",
        "",
        "## Items by form and level",
        "",
    ]
    forms = {s: Counter(label.gold["form"] for label in found.values()) for s, found in labels.items()}
    names = ("number", "yes_no", "choice", "unanswerable")
    lines += table(("form", *SPLITS), [(f, *(forms[s][f] for s in SPLITS)) for f in names])
    levels = {s: Counter(item.level for item in task.items(s)) for s in SPLITS[1:]}  # type: ignore[arg-type]
    every = sorted({level for found in levels.values() for level in found})
    lines += table(("level", *SPLITS[1:]), [(level, *(levels[s][level] for s in SPLITS[1:])) for level in every])
    lines += ["## Items by formula family", ""]
    families = {s: Counter(label.gold["family"] for label in found.values()) for s, found in labels.items()}
    every = sorted({name for found in families.values() for name in found})
    lines += table(("family", *SPLITS), [(name, *(families[s][name] for s in SPLITS)) for name in every])
    lines += ["Yes and No by family, all splits:", ""]
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for found in labels.values():
        for label in found.values():
            if label.gold["form"] == "yes_no":
                words[label.gold["family"]][label.gold["answer"]] += 1
    lines += table(
        ("family", "Yes", "No"), [(name, found["Yes"], found["No"]) for name, found in sorted(words.items())]
    )
    lines += ["## Near-duplicates of test in train", ""]
    rows = []
    for what, cut in (("whole prompt", report_of), ("question, digits and company masked", masked)):
        best = nearest([cut(p) for p in prompts["test"]], [cut(p) for p in prompts["train"]])
        shares = [f"{sum(x >= limit for x in best) / len(best):.1%}" for limit in (1.0, *NEAR)]
        rows.append((what, *shares, f"{sorted(best)[len(best) // 2]:.2f}", f"{max(best):.2f}"))
    lines += table(("over", "equal", *(f">= {limit}" for limit in NEAR), "median", "highest"), rows)
    lines += ["## Policies that do not read", "", f"Declared floor: {task.spec.chance_floor:.0%}.", ""]
    rows = []
    verifier = task.verifier()
    for name, policy in POLICIES.items():
        shares = []
        for split in SPLITS[1:]:
            found = labels[split]
            right = [verifier.grade(p, found[p.id].gold, policy(p), "stop").status for p in prompts[split]]
            shares.append(f"{right.count(Status.CORRECT) / len(right):.1%}")
        rows.append((name, *shares))
    verifier.close()
    lines += table(("policy", *SPLITS[1:]), rows)
    return "\n".join(lines)


def main() -> None:
    """Write the report and print its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="sec_filings@2")
    parser.add_argument("--n", type=int, default=7200, help="size of the pool whose making is timed (default 7200)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "sec_filings_v2.md")
    options = parser.parse_args()
    text = write(load_task(options.task), options.n)
    options.out.write_text(text, encoding="utf-8")
    print(json.dumps({"written": str(options.out)}))


if __name__ == "__main__":
    main()
