"""Verifiers tatqa and finqa beside the published metrics: python -m tests.benchmarks.qa_agreement --out results

Reads the folder that TAO_BENCH_SHARED_DATA names and writes `qa_agreement.md`: counts and reason codes, and nothing
else of the data. `--official DIR` names a checkout of TAT-QA's repository, whose own script is then asked too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tao.answers.expression import AnswerError
from tao.answers.number import parse_number
from tao.answers.program import run_program
from tao.answers.reading import final_line
from tao.prompts import Message, Prompt
from tao_bench.qa import finqa as finqa_data
from tao_bench.qa.rows import read_rows, table_text
from tao_bench.qa.tatqa import make_gold
from tao_bench.qa.tatqa_metric import official
from tao_bench.verify.finqa import grade_line
from tao_bench.verify.finqa import official as finqa_official
from tao_bench.verify.finqa import read_gold as finqa_gold
from tao_bench.verify.tatqa import TatqaGold, TatqaVerifier, judge_spans, read_gold, write_answer
from tao_bench.verify.verdict import Status

VARIABLE = "TAO_BENCH_SHARED_DATA"
PROMPT = Prompt("q", (Message("user", "q"),))
Metric = Callable[[Mapping[str, Any], Any, str], tuple[float, float]]


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Cohen's kappa of two yes-no judgements."""
    n = len(pairs)
    agree = sum(a == b for a, b in pairs) / n
    first, second = (sum(side) / n for side in zip(*pairs, strict=True))
    chance = first * second + (1 - first) * (1 - second)
    return (agree - chance) / (1 - chance) if chance < 1 else 1.0


# -- TAT-QA --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TatqaRow:
    """One dev question with its published sample prediction."""

    uid: str
    kind: str
    gold_passes: bool
    gold_passes_official: bool
    em: float
    f1: float
    reason: str


def written(prediction: Any, scale: str) -> list[str]:
    """A prediction of the published file as spans with their scale, as answers carry it."""
    spans = prediction if isinstance(prediction, list) else [prediction]
    suffix = {"": "", "percent": "%"}.get(scale, f" {scale}")
    shown = []
    for span in map(str, spans):
        number = parse_number(span)
        shown.append(span + suffix if number and not number.percent and number.scale == 1 else span)
    return [text for text in shown if text.strip()]


def tatqa_questions(folder: Path) -> list[Mapping[str, Any]]:
    """Questions of the dev file, as published."""
    rows = [row for _, row in read_rows(folder / "tatqa_dataset_dev.json")]
    return [question for row in rows for question in row["questions"]]


def tatqa_rows(folder: Path) -> list[TatqaRow]:
    """Every dev question: does its gold pass, and what the two rules say of the sample prediction."""
    predictions = json.loads((folder / "sample_prediction.json").read_text(encoding="utf-8"))
    ours, theirs = TatqaVerifier(), TatqaVerifier("official")
    found = []
    for question in tatqa_questions(folder):
        gold = make_gold(question)
        target = f"Answer: {write_answer(read_gold(gold))}"
        passes, passes_official = (
            v.grade(PROMPT, gold, target, "stop").status is Status.CORRECT for v in (ours, theirs)
        )
        prediction, scale = predictions[question["uid"]]
        match, f1 = official(question, prediction, scale)
        spans = written(prediction, scale) if prediction is not None else []
        reason = judge_spans(spans, read_gold(gold)) if spans else "empty"
        found.append(TatqaRow(question["uid"], str(gold["type"]), passes, passes_official, match, f1, reason))
    return found


def perturbed(gold: TatqaGold) -> Iterator[tuple[str, bool, Any, str]]:
    """Variations of a calculated gold: name, whether it means the same, prediction, scale."""
    value, scale = float(gold.spans[0]), gold.scale
    yield "as published", True, value, scale
    if scale == "percent":
        yield "percentage as a fraction, no sign", True, round(value / 100, 6), ""
        yield "percentage without its sign", True, value, ""
        near = abs(round(value, 1) - value) <= max(0.01, 0.002 * abs(value)) + 1e-9
        yield "percentage with one decimal (the same: within 0.2 %)", near, round(value, 1), scale
    smaller = {"million": "thousand", "billion": "million"}.get(scale)
    if smaller:
        yield "in the next smaller scale", True, round(value * 1000, 6), smaller
    if scale in ("thousand", "million", "billion"):
        yield "scale left out", value == 0, value, ""
        yield "another scale", value == 0, value, {"thousand": "million"}.get(scale, "thousand")
    yield "sign turned", value == 0, -value, scale
    yield "1 % and 0.02 off", False, round(value * 1.01 + (0.02 if value >= 0 else -0.02), 4), scale


def tatqa_report(folder: Path, ask: Metric | None) -> Iterator[str]:
    """Section on TAT-QA."""
    rows = tatqa_rows(folder)
    n = len(rows)
    pairs = [(row.em == 1.0, row.reason.startswith("equal")) for row in rows]
    yield from ("## TAT-QA dev", "")
    yield f"Golds, written as answers are asked for: {sum(r.gold_passes for r in rows)} of {n} pass the verifier,"
    yield f"{sum(r.gold_passes_official for r in rows)} the published exact match (policy `official`)."
    yield from ("", "Sample predictions of the set's authors:", "", "| rule | score over all questions |", "|---|---|")
    yield f"| published exact match | {sum(r.em for r in rows) / n:.2%} |"
    yield f"| published F1 | {sum(r.f1 for r in rows) / n:.2%} |"
    yield f"| ours | {sum(b for _, b in pairs) / n:.2%} |"
    yield ""
    yield f"Agreement of exact match and ours: {sum(a == b for a, b in pairs) / n:.1%}, kappa {kappa(pairs):.3f}."
    calculated = [pair for row, pair in zip(rows, pairs, strict=True) if row.kind in ("arithmetic", "count")]
    same = sum(a == b for a, b in calculated)
    yield f"On arithmetic and counts alone: {same / len(calculated):.1%}, kappa {kappa(calculated):.3f}."
    if ask is not None:
        yield from ("", _beside_their_script(folder, ask))
    yield from (
        "",
        "Where they part, by reason of ours:",
        "",
        "| exact match | ours | answer type | predictions |",
        "|---|---|---|---|",
    )
    kinds = Counter((int(r.em), r.reason, r.kind) for r, (a, b) in zip(rows, pairs, strict=True) if a != b)
    yield from (f"| {em} | {reason} | {kind} | {count} |" for (em, reason, kind), count in kinds.most_common())
    yield from (
        "",
        "Calculated golds, varied:",
        "",
        "| variation | answers | same meaning | exact match takes | ours takes |",
    )
    yield "|---|---|---|---|---|"
    taken: dict[str, Counter[str]] = {}
    for question in tatqa_questions(folder):
        if question["answer_type"] == "arithmetic":
            gold = read_gold(make_gold(question))
            for name, same_meaning, prediction, scale in perturbed(gold):
                count = taken.setdefault(name, Counter())
                count["n"] += 1
                count["same"] += same_meaning
                count["theirs"] += official(question, [prediction], scale)[0] == 1.0
                count["ours"] += judge_spans(written(f"{prediction:f}", scale), gold).startswith("equal")
    yield from (f"| {name} | {c['n']} | {c['same']} | {c['theirs']} | {c['ours']} |" for name, c in taken.items())


def their_script(folder: Path) -> Metric:
    """The published metric as its authors' own script computes it."""
    sys.path.insert(0, str(folder.resolve()))
    from tatqa_metric import TaTQAEmAndF1  # type: ignore[import-not-found]

    def ask(question: Mapping[str, Any], prediction: Any, scale: str) -> tuple[float, float]:
        metric = TaTQAEmAndF1()
        metric(ground_truth=dict(question), prediction=prediction, pred_scale=scale)
        match, f1, *_ = metric.get_overall_metric()
        return float(match), float(f1)

    return ask


def _beside_their_script(folder: Path, ask: Metric) -> str:
    predictions = json.loads((folder / "sample_prediction.json").read_text(encoding="utf-8"))
    asked = other = 0
    for question in tatqa_questions(folder):
        cases = [tuple(predictions[question["uid"]]), (question["answer"], question["scale"]), (question["answer"], "")]
        if question["answer_type"] == "arithmetic":
            cases += [(p, s) for _, _, p, s in perturbed(read_gold(make_gold(question)))]
        for prediction, scale in cases:
            asked += 1
            other += ask(question, prediction, scale) != official(question, prediction, scale)
    return f"The authors' own script, asked {asked:,} times (predictions, golds, variations): {other} other answers."


# -- FinQA ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FinqaRow:
    """One FinQA record."""

    answer: float | str
    program: str
    printed: str
    table: list[list[str]]
    gold: dict[str, Any]
    recomputes: bool


def finqa_rows(folder: Path) -> list[FinqaRow]:
    """Records of every file there, programs run."""
    found = []
    for path in sorted(folder.glob("*.json")):
        for where, row in read_rows(path):
            qa, table = row["qa"], table_text(row["table"], where)
            try:
                same = all(run_program(qa[key], table) == qa["exe_ans"] for key in ("program", "program_re"))
            except AnswerError:
                same = False
            gold = finqa_data.make_gold(qa, table, [*row["pre_text"], *row["post_text"]], where)
            found.append(FinqaRow(qa["exe_ans"], qa["program"], str(qa["answer"]), table, gold, same))
    return found


def _rounded(value: float, digits: int) -> str:
    return f"{Fraction(f'{value:.{digits - 1}e}').__float__():f}".rstrip("0").rstrip(".") if value else "0"


def finqa_answers(row: FinqaRow, other: FinqaRow) -> Iterator[tuple[str, str, str]]:
    """Variations of a gold: name, whether it means the same (``yes``, ``no`` or ``rounded``), answer."""
    yield "the program", "yes", row.program
    if isinstance(row.answer, str):
        yield "yes or no", "yes", row.answer
        yield "the other word", "no", "no" if row.answer == "yes" else "yes"
        return
    value = row.answer
    yield "executed answer, five decimals", "yes", f"{value:.5f}"
    yield "as a percentage, three decimals", "yes", f"{100 * value:.3f}%"
    yield "three significant digits", "rounded", _rounded(value, 3)
    yield "two significant digits", "rounded", _rounded(value, 2)
    yield "a sentence", "yes", f"The result is {value:.5f}."
    if value and abs(value) < 1e12:
        yield "sign turned", "no", f"{-value:.5f}"
        yield "times 1,000", "no", f"{1000 * value:.5f}"
        yield "5 % off", "no", f"{1.05 * value:.5f}"
        if isinstance(other.answer, float) and abs(other.answer - value) > 0.01 * abs(value):
            yield "another question's answer", "no", f"{other.answer:.5f}"
        yield "two numbers", "no", f"{value:.5f}, {2 * value + 1:.5f}"
        yield "the program, minus its result", "no", f"{row.program}, subtract(0, #{_steps(row.program) - 1})"


def _steps(program: str) -> int:
    return program.count("), ") + 1


def finqa_report(folder: Path) -> Iterator[str]:
    """Section on FinQA."""
    rows = finqa_rows(folder)
    yield from ("", "## FinQA (parts of dev and train)", "")
    same = sum(row.recomputes for row in rows)
    yield f"Golds whose program and nested program give the published answer: {same} of {len(rows)}."
    printed = Counter()
    for row in rows:
        line, gold = final_line(row.printed), finqa_gold(row.gold)
        printed["ours"] += grade_line(line, gold, row.table).status is Status.CORRECT
        printed["theirs"] += finqa_official(line, gold, row.table)
    yield f"The annotators' own texts against the executed answer: execution accuracy takes {printed['theirs']},"
    yield f"ours {printed['ours']}; the rest name another value than their program gives, or two, or none."
    yield from (
        "",
        "| answer | answers | same meaning | execution accuracy takes | ours takes | they agree |",
        "|---|---|---|---|---|---|",
    )
    taken: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        gold = finqa_gold(row.gold)
        for name, means, answer in finqa_answers(row, other):
            line = final_line(answer)
            pair = finqa_official(line, gold, row.table), grade_line(line, gold, row.table).status is Status.CORRECT
            taken.setdefault((name, means), []).append(pair)
    for (name, means), pairs in taken.items():
        theirs, ours = (sum(side) for side in zip(*pairs, strict=True))
        agree = sum(a == b for a, b in pairs) / len(pairs)
        yield f"| {name} | {len(pairs)} | {means} | {theirs} | {ours} | {agree:.1%} |"
    pairs = [pair for found in taken.values() for pair in found]
    yield from (
        "",
        f"Over all of these: agreement {sum(a == b for a, b in pairs) / len(pairs):.1%}, kappa {kappa(pairs):.3f}.",
    )


def report(folder: Path, ask: Metric | None) -> Iterator[str]:
    """The whole page."""
    yield from (
        "# Verifiers tatqa and finqa beside the published metrics",
        "",
        "Made by `python -m tests.benchmarks.qa_agreement --out results`, with the folder of third-party data in",
        f"`{VARIABLE}`. The published metrics are written anew from their definitions (`tao_bench/qa/tatqa_metric.py`,",
        "`tao_bench/verify/finqa.py`).",
        "",
    )
    yield from tatqa_report(folder / "tatqa", ask)
    yield from finqa_report(folder / "finqa")


def main() -> int:
    """Write the report; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of qa_agreement.md")
    parser.add_argument("--official", type=Path, help="a checkout of TAT-QA's repository, to ask its own script too")
    options = parser.parse_args()
    folder = os.environ.get(VARIABLE, "")
    if not Path(folder, "tatqa").is_dir():
        print(f"{VARIABLE} names no folder with tatqa: {folder!r}", file=sys.stderr)
        return 2
    ask = their_script(options.official) if options.official else None
    text = "\n".join(report(Path(folder), ask)).rstrip() + "\n"
    (options.out / "qa_agreement.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
