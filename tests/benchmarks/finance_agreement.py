"""How the finance verifier agrees with people on FinanceBench answers, and how hard it is to game.

    python tests/benchmarks/finance_agreement.py --out results

Reads the folder of third-party data that TAO_BENCH_SHARED_DATA names (`financebench/` in it) and writes
`finance_agreement.md`: counts, rates and item numbers, and nothing else of the data. No model is called.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tao.answers.question import read_question
from tao.prompts import Message, Prompt
from tao_bench.agreement import (
    CLASSES,
    Judged,
    cohen_kappa,
    disputed_ids,
    figures,
    file_errors,
    file_table,
    kind_of,
    read_labelled,
    spearman,
    table,
)
from tao_bench.verify.finance import FinanceVerifier
from tao_bench.verify.finance_gold import read_text_gold
from tao_bench.verify.finance_text import DEFAULT, Thresholds, judge_text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from financebench_folder import VARIABLE, published, questions  # noqa: E402

HALF_SEED = 20240912
SPLITS = 20
GRID = {"words": (0.25, 0.35, 0.45), "on_topic": (0.2, 0.3, 0.4), "rescue": (0.4, 0.5, 0.6)}


@dataclass(frozen=True)
class Item:
    """A question with its gold and the text of its evidence pages."""

    prompt: Prompt
    gold: dict[str, Any]
    evidence: str
    kind: str

    @property
    def oracle(self) -> Prompt:
        """The prompt with the evidence pages in front, as the model of an oracle mode sees it."""
        return Prompt(self.prompt.id, (Message("user", f"{self.evidence}\n\n{self.gold['question']}"),))


def read_items(source: Path) -> dict[str, Item]:
    """The published questions by id."""
    found = {}
    for row in questions(source):
        gold = {"question": row["question"], "answer": row["answer"]}
        pages = "\n\n".join(page["evidence_text_full_page"] for page in row["evidence"])
        prompt = Prompt(row["financebench_id"], (Message("user", row["question"]),))
        found[prompt.id] = Item(prompt, gold, pages, kind_of(gold))
    return found


def halves(ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """The half of the questions whose errors were read while rules were written, and the other one."""
    order = sorted(ids)
    random.Random(HALF_SEED).shuffle(order)
    middle = len(order) // 2
    return set(order[:middle]), set(order[middle:])


def judge_files(items: dict[str, Item], paths: Sequence[Path], verifier: FinanceVerifier) -> list[Judged]:
    """Every labelled answer with both judgements."""
    rows = []
    for path in paths:
        dropped: list[str] = []
        for answer, human in read_labelled(path, dropped, "financebench_id"):
            item = items[answer.id]
            verdict = verifier.grade(item.prompt, item.gold, answer.text, "stop")
            rows.append(Judged(answer, path.stem, item.kind, human, verdict))
        if dropped:
            raise SystemExit(f"{len(dropped)} rows cannot be used, the first: {dropped[0]}")
    return rows


# -- tuned on one half, held to the other -----------------------------------------------------------------------------


def half_table(rows: Sequence[Judged], items: dict[str, Item]) -> list[str]:
    """Kappa on the half of the questions that rules were written on and on the other half."""
    read, held = halves(list(items))
    lines = ["| questions | golds | n | accuracy | kappa [95 %] |", "|---|---|---|---|---|"]
    for name, half in (("read", read), ("held", held)):
        for label, kind in (("numeric", "number"), ("text", "text"), ("all", "")):
            part = [row for row in rows if row.answer.id in half and kind in ("", row.kind)]
            f = figures(part)
            lines.append(
                f"| {name} | {label} | {f.answers} | {100 * f.accuracy:.1f} % | {f.kappa:.3f} "
                f"[{f.kappa_low:.3f}, {f.kappa_high:.3f}] |"
            )
    return lines


def threshold_verdicts(rows: Sequence[Judged], items: dict[str, Item]) -> tuple[list[Thresholds], np.ndarray]:
    """Verdicts on the text answers under every setting of the thresholds, shape (settings, answers)."""
    settings = [
        replace(DEFAULT, **dict(zip(GRID, values, strict=True))) for values in itertools.product(*GRID.values())
    ]
    golds = [read_text_gold(items[row.answer.id].gold["question"], items[row.answer.id].gold["answer"]) for row in rows]
    found = [
        [judge_text(row.answer.text, gold, setting).score > 0 for row, gold in zip(rows, golds, strict=True)]
        for setting in settings
    ]
    return settings, np.array(found)


def kappa_of(said: np.ndarray, human: np.ndarray) -> float:
    """Cohen's kappa of two vectors of correct and not correct."""
    pairs = [[np.sum(said & human), np.sum(said & ~human)], [np.sum(~said & human), np.sum(~said & ~human)]]
    return float(cohen_kappa(np.array(pairs, dtype=float)))


def split_table(rows: Sequence[Judged], items: dict[str, Item]) -> list[str]:
    """Thresholds chosen on a random half of the questions and scored on the other half, many times."""
    numeric = [row for row in rows if row.kind == "number"]
    text = [row for row in rows if row.kind == "text"]
    settings, verdicts = threshold_verdicts(text, items)
    human_t = np.array([row.human == "correct" for row in text])
    human_n = np.array([row.human == "correct" for row in numeric])
    said_n = np.array([row.said == "correct" for row in numeric])
    ids_t, ids_n = np.array([row.answer.id for row in text]), np.array([row.answer.id for row in numeric])
    names = sorted(items)
    scores: dict[str, list[float]] = {"numeric": [], "text, chosen": [], "text, as shipped": [], "all, chosen": []}
    picked: dict[str, set[float]] = {name: set() for name in GRID}
    shipped = settings.index(DEFAULT)
    for seed in range(SPLITS):
        order = list(names)
        random.Random(seed).shuffle(order)
        chosen = set(order[: len(order) // 2])
        tune, hold = np.isin(ids_t, list(chosen)), ~np.isin(ids_t, list(chosen))
        best = max(range(len(settings)), key=lambda k: kappa_of(verdicts[k][tune], human_t[tune]))
        for name, values in picked.items():
            values.add(getattr(settings[best], name))
        hold_n = ~np.isin(ids_n, list(chosen))
        scores["numeric"].append(kappa_of(said_n[hold_n], human_n[hold_n]))
        scores["text, chosen"].append(kappa_of(verdicts[best][hold], human_t[hold]))
        scores["text, as shipped"].append(kappa_of(verdicts[shipped][hold], human_t[hold]))
        both = np.concatenate([verdicts[best][hold], said_n[hold_n]])
        scores["all, chosen"].append(kappa_of(both, np.concatenate([human_t[hold], human_n[hold_n]])))
    lines = ["| golds | mean kappa on the other half | smallest | largest |", "|---|---|---|---|"]
    lines += [f"| {name} | {np.mean(v):.3f} | {min(v):.3f} | {max(v):.3f} |" for name, v in scores.items()]
    chosen_text = "; ".join(f"{name} {sorted(values)}" for name, values in picked.items())
    spread = [kappa_of(verdict, human_t) for verdict in verdicts]
    lines += [
        "",
        f"Chosen among {len(settings)} settings: {chosen_text}. Over all text answers the settings' kappa runs from "
        f"{min(spread):.3f} to {max(spread):.3f}; as shipped {spread[shipped]:.3f}.",
    ]
    return lines


# -- gaming ----------------------------------------------------------------------------------------------------------


def gaming_table(rows: Sequence[Judged], items: dict[str, Item], verifier: FinanceVerifier) -> list[str]:
    """Acceptance of answers that know nothing, and of wrong ones with the evidence pages added."""

    def passes(name: str, answer: str, seen: bool = False) -> bool:
        item = items[name]
        prompt = item.oracle if seen else item.prompt
        return verifier.grade(prompt, item.gold, answer, "stop").score > 0

    def numbers(separator: str) -> Callable[[Item], str]:
        return lambda item: separator.join(dict.fromkeys(re.findall(r"\d[\d,.]*\d", item.evidence)))

    lines = ["| attempt | golds | accepted | of | rate |", "|---|---|---|---|---|"]

    def line(what: str, kind: str, hits: Sequence[bool]) -> None:
        lines.append(f"| {what} | {kind} | {sum(hits)} | {len(hits)} | {100 * np.mean(hits):.1f} % |")

    for kind in ("number", "text"):
        wrong = [row for row in rows if row.kind == kind and row.human != "correct"]
        line("answers people reject", kind, [row.said == "correct" for row in wrong])
        for what, form in (
            ("the same, evidence pages appended", "{answer}\n\n{evidence}"),
            ("the same, evidence pages in front", "{evidence}\n\n{answer}"),
        ):
            texts = [form.format(answer=row.answer.text, evidence=items[row.answer.id].evidence) for row in wrong]
            line(what, kind, [passes(row.answer.id, text) for row, text in zip(wrong, texts, strict=True)])
    blind: list[tuple[str, Callable[[Item], str]]] = [
        ("bare evidence pages", lambda item: item.evidence),
        ("the question repeated", lambda item: str(item.gold["question"])),
        ("the question and the evidence pages repeated", lambda item: f"{item.gold['question']}\n\n{item.evidence}"),
        *((f"all numbers of the evidence, joined by {sep!r}", numbers(sep)) for sep in (" ", ", ", "; ", ". ", "\n")),
        ("'Yes.'", lambda item: "Yes."),
        ("'No.'", lambda item: "No."),
        ("'Yes and no.'", lambda item: "Yes and no."),
        ("'0'", lambda item: "0"),
        ("'I cannot answer this question.'", lambda item: "I cannot answer this question."),
        ("nothing", lambda item: ""),
    ]
    for what, answer in blind:
        for kind in ("number", "text"):
            mine = [(name, item) for name, item in items.items() if item.kind == kind]
            line(what, kind, [passes(name, answer(item)) for name, item in mine])
            if "evidence pages" in what:
                line(f"{what}, pages in the prompt", kind, [passes(name, answer(item), True) for name, item in mine])
    return lines


def render(source: Path) -> str:
    """The whole report."""
    items = read_items(source)
    verifier = FinanceVerifier()
    paths = sorted((source / "results").glob("*.jsonl"))
    rows = judge_files(items, paths, verifier)
    disputed = disputed_ids(ROOT / "tasks" / "financebench")
    errors = file_errors(rows)
    asked = [read_question(item.gold["question"]) for item in items.values()]
    golds = ", ".join(f"{sum(i.kind == kind for i in items.values())} {kind}" for kind in ("number", "text"))
    sections = [
        "# Agreement of the finance verifier with people",
        "",
        "Made by `python tests/benchmarks/finance_agreement.py --out results`, with the folder of third-party data in",
        f"`{VARIABLE}`. {len(rows)} answers of real models to {len(items)} questions ({golds} golds, "
        f"{sum(q.yes_no for q in asked)} of the",
        f"questions ask yes or no), each judged by a person: {', '.join(_label_counts(rows))}. No model is",
        "called. Golds are those of the question file; labels are used as published. Kappa is Cohen's, correct against",
        "not correct; 95 % intervals from bootstrap draws of questions.",
        "",
        *table(rows, disputed),
        "",
        "The same table comes from `tao-bench agreement financebench results/*.jsonl`.",
        "",
        "## By file",
        "",
        *file_table(rows),
        "",
        "## Rules written on half of the questions",
        "",
        f"Errors were read on one half of the questions only (ids sorted, shuffled with seed {HALF_SEED}, first half).",
        "",
        *half_table(rows, items),
        "",
        f"## Thresholds chosen on half of the questions, {SPLITS} random splits",
        "",
        "The numeric rule has no threshold to choose; its row says how much a half alone makes it vary.",
        "",
        *split_table(rows, items),
        "",
        "## Gaming",
        "",
        *gaming_table(rows, items, verifier),
    ]
    rank = spearman([each.human for each in errors], [each.verifier for each in errors])
    sections += ["", f"Spearman of the files' accuracies: {rank:.3f}."]
    return "\n".join(sections) + "\n"


def _label_counts(rows: Sequence[Judged]) -> list[str]:
    return [f"{sum(row.human == label for row in rows)} {label}" for label in CLASSES]


def main() -> int:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR")
    options = parser.parse_args()
    source = published()
    if source is None:
        print(json.dumps({"error": f"{VARIABLE} names no folder with financebench/"}), file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "finance_agreement.md"
    path.write_text(render(source), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
