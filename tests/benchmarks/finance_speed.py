"""Answers a second that the finance verifier judges on one core: tao-bench bench finance_speed.

The answers are written here in the shapes that models give: one line, a paragraph with its calculation, a list of
points. Long hostile texts are timed at two lengths: the ratio says that time grows with the length and no faster.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from tao.prompts import Message, Prompt
from tao_bench.verify.finance import FinanceVerifier
from tao_bench.verify.finance_number import is_numeric

QUESTION = "What is the FY2021 unadjusted EBITDA of Northwind Tools (in USD millions)? Use the statement of income."
NUMBER = {"question": QUESTION, "answer": "$1832.00"}
ASKED = "Does Northwind Tools have an improving operating margin as of FY2021?"
TEXT = {"question": ASKED, "answer": "No, the operating margin declined from 18.9% in FY2020 to 17.4% in FY2021."}
LINE = "Northwind's FY2021 unadjusted EBITDA is $1,832 million."
WORKED = """To calculate the unadjusted EBITDA of Northwind Tools for FY2021, we add depreciation to operating income.

From the Consolidated Statements of Operations for the year ended December 31, 2021:
Operating income: $1,196 million (2020: $1,248 million)
From the Consolidated Statements of Cash Flows:
Depreciation and amortization: $636 million (2020: $604 million)

Unadjusted EBITDA = Operating income + Depreciation and amortization
Unadjusted EBITDA = $1,196 million + $636 million
Unadjusted EBITDA = $1,832 million

Therefore, the unadjusted EBITDA of Northwind Tools for FY2021 is $1,832 million."""
POINTS = """Based on the filing, here are the key points:
- Revenue was $9,612 million in FY2021, up 7.2% from the prior year.
- The operating margin was 17.4%, compared to 18.9% in FY2020.
- Higher freight costs and wage rates were only partly recovered through prices.
In summary, the operating margin has declined, so the profile is not improving."""
HOSTILE = {
    "digits": "1,234," * 60_000,
    "dots": ". " * 180_000,
    "brackets": "($(" * 120_000,
    "equations": "a = 1 = 2 = " * 30_000,
    "negations": "not not never no increase " * 14_000,
    "lines": "Net sales\n12\n" * 25_000,
}


def rate(judge: Callable[[str], object], answers: list[str], spans: int = 40, span_s: float = 0.05) -> float:
    """Answers judged in a second of CPU time: the best of many short spans, since other work slows a shared core."""
    best = 0.0
    for _ in range(spans):
        done, start = 0, time.process_time()
        while (spent := time.process_time() - start) < span_s:
            for answer in answers:
                judge(answer)
            done += len(answers)
        best = max(best, done / spent)
    return best


def published_rate(verifier: FinanceVerifier) -> str:
    """The rate over the numeric answers of real models, where the published data is at hand."""
    root = Path(os.environ.get("TAO_BENCH_SHARED_DATA", "")) / "financebench"
    if not (root / "financebench_open_source.jsonl").is_file():
        return "published answers: set TAO_BENCH_SHARED_DATA to time them too"
    lines = (root / "financebench_open_source.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["financebench_id"]: row for row in map(json.loads, lines)}
    work = []
    for path in sorted((root / "results").glob("*.jsonl")):
        for given in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            row = rows[given["financebench_id"]]
            if is_numeric(row["answer"]):
                prompt = Prompt(row["financebench_id"], (Message("user", row["question"]),))
                gold = {"question": row["question"], "answer": row["answer"]}
                work.append((prompt, gold, str(given["model_answer"])))
    best = 0.0
    for _ in range(15):
        start = time.process_time()
        for prompt, gold, answer in work:
            verifier.grade(prompt, gold, answer, "stop")
        best = max(best, len(work) / (time.process_time() - start))
    size = sum(len(answer) for _, _, answer in work) // len(work)
    return (
        f"published answers to numeric golds: {best:,.0f} a second ({len(work)} answers, {size} characters on average)"
    )


def main() -> None:
    """Print the rates."""
    verifier = FinanceVerifier()
    prompt = Prompt("speed", (Message("user", QUESTION),))

    def number(answer: str) -> object:
        return verifier.grade(prompt, NUMBER, answer, "stop")

    def text(answer: str) -> object:
        return verifier.grade(prompt, TEXT, answer, "stop")

    print("| gold | answers | characters | answers/s on one core |\n|---|---|---|---|")
    for gold, judge in (("number", number), ("text", text)):
        for name, answers in (("one line", [LINE]), ("worked", [WORKED]), ("points", [POINTS])):
            print(f"| {gold} | {name} | {len(answers[0])} | {rate(judge, answers):,.0f} |")
        mixed = [LINE, WORKED, POINTS, LINE]
        print(f"| {gold} | mixed | {sum(map(len, mixed)) // len(mixed)} | {rate(judge, mixed):,.0f} |")
    print(f"\n{published_rate(verifier)}")
    print("\n| hostile text | characters | ms, number | ms, text |\n|---|---|---|---|")
    for name, answer in HOSTILE.items():
        spent = []
        for judge in (number, text):
            start = time.process_time()
            judge(answer)
            spent.append(1000 * (time.process_time() - start))
        print(f"| {name} | {len(answer):,} | {spent[0]:.1f} | {spent[1]:.1f} |")


if __name__ == "__main__":
    main()
