"""How well label-free signals on prose tell right answers from wrong ones, by human verdicts on FinanceBench answers.

    python -m tests.benchmarks.finance_signals --out results

Every question has one answer of each published configuration of real models: they are its samples. Reads the folder of
third-party data that TAO_BENCH_SHARED_DATA names and writes `finance_signals.md`: rates, and nothing of the data. The
configurations differ far more than samples of one model do, so votes are harder here than in tuning.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from tao.answers.prose import SIGNALS, ProseInterpreter
from tao.prompts import Message, Prompt, Sample
from tao_bench.signals import Group, Signal, calibration, of_rule, quality, support, vote_share

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from financebench_folder import VARIABLE, published, questions  # noqa: E402


def groups(source: Path) -> tuple[list[Group], list[np.ndarray], list[str], list[bool]]:
    """Questions with their answers, human verdicts (correct or not), companies, and whether the gold is numeric."""
    from tao_bench.verify.finance_number import is_numeric

    rows: dict[str, list[tuple[str, bool]]] = {}
    for path in sorted((source / "results").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            answer = str(row["model_answer"])
            rows.setdefault(row["financebench_id"], []).append((answer, row["label"] == "Correct Answer"))
    interpreter = ProseInterpreter()
    found, right, companies, numeric = [], [], [], []
    for item in questions(source):
        name = item["financebench_id"]
        pages = "\n".join(part["evidence_text_full_page"] for part in item["evidence"])
        prompt = Prompt(name, (Message("user", f"{pages}\n{item['question']}"),), (pages,))
        answers = [answer for answer, _ in rows[name]]
        samples = [Sample(name, "direct", n, text, text or None, (), 0, "stop") for n, text in enumerate(answers)]
        found.append(Group(prompt, samples, interpreter.read(prompt, answers)))
        right.append(np.array([verdict for _, verdict in rows[name]]))
        companies.append(item["company"])
        numeric.append(is_numeric(str(item["answer"])))
    return found, right, companies, numeric


ALL: dict[str, Signal] = {
    "vote share": vote_share,
    "support": support,
    **{name: of_rule(rule) for name, rule in SIGNALS.items()},
}


def tables(source: Path) -> list[str]:
    """The report's tables: all questions, numeric golds, text golds."""
    found, right, companies, numeric = groups(source)
    lines: list[str] = []
    parts = {"all": [True] * len(found), "numeric": numeric, "text": [not one for one in numeric]}
    for title, chosen in parts.items():
        at = [place for place, use in enumerate(chosen) if use]
        some = [right[place] for place in at]
        base = float(np.mean([part.mean() for part in some]))
        oracle = float(np.mean([part.any() for part in some]))
        lines += [f"## {title} golds: {len(at)} questions, {sum(map(len, some))} answers", ""]
        lines += [f"An answer at random is right in {base:.1%}, some answer of the question in {oracle:.1%}.", ""]
        lines += ["| signal | AUC [95 %] | within a question [95 %] | its best answer is right |", "|---|---|---|---|"]
        for name, signal in ALL.items():
            values = [np.asarray(signal(found[place]), dtype=np.float64) for place in at]
            q = quality(name, values, some, [companies[place] for place in at])
            lines.append(
                f"| {name} | {q.auc:.2f} [{q.auc_low:.2f}, {q.auc_high:.2f}] | {q.within:.2f} "
                f"[{q.within_low:.2f}, {q.within_high:.2f}] | {q.best:.1%} |"
            )
        votes = [np.asarray(vote_share(found[place]), dtype=np.float64) for place in at]
        top = [(float(v.max()), bool(r[int(v.argmax())])) for v, r in zip(votes, some, strict=True)]
        lines += ["", "| winner's share of the votes | winners | mean share | right |", "|---|---|---|---|"]
        for part in calibration(np.array([t[0] for t in top]), np.array([t[1] for t in top])):
            lines.append(
                f"| {part.low:.1f} to {part.high:.1f} | {part.winners} | {part.share:.2f} | {part.right:.1%} |"
            )
        lines.append("")
    return lines


def main() -> int:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where finance_signals.md goes")
    options = parser.parse_args()
    source = published()
    if source is None:
        print(f"skipped: {VARIABLE} names no folder with financebench/ in it", file=sys.stderr)
        return 1
    head = [
        "# Label-free signals on prose, by human verdicts", "",
        "Made by `python -m tests.benchmarks.finance_signals --out results`, with the folder of third-party data in",
        f"`{VARIABLE}`. Samples of a question are the answers of the published configurations (models and ways to",
        "give context), refusals among them. Intervals: bootstrap over companies. No signal reads a gold.", "",
    ]  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "finance_signals.md"
    path.write_text("\n".join([*head, *tables(source)]).rstrip() + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
