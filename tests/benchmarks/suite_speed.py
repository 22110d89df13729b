"""Seconds to make each enterprise task, and answers a second its verifier judges: tao-bench bench suite_speed.

Judged are the test split's targets and, for each, another item's target: right and wrong answers in equal parts. The
first pass reads every gold; later ones judge by what is kept of them, as a run does that judges many answers an item.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tao_bench.find import checkout_tasks
from tao_bench.registry import load_generator, make_verifier
from tao_bench.task import read_items, read_labels, read_spec

TASKS = ("invoice_extract", "ticket_triage", "policy_qa", "tool_calls", "enterprise_arena")


def main() -> None:
    print("| task | made in (CPU s) | answers judged a second, first pass | best of three more |\n|---|---|---|---|")
    for name in TASKS:
        folder = checkout_tasks() / name
        spec = read_spec(folder)
        with tempfile.TemporaryDirectory() as scratch:
            start = time.process_time()
            load_generator(folder).generate(Path(scratch), spec.seed)
            made = time.process_time() - start
            verifier = make_verifier(spec, Path(scratch), folder)
            items, labels = read_items(Path(scratch) / "test.jsonl"), read_labels(Path(scratch), "test")
            targets = [labels[item.prompt.id].target for item in items]
            rates = []
            for _ in range(4):
                start = time.process_time()
                for item, own, other in zip(items, targets, [*targets[1:], targets[0]], strict=True):
                    for answer in (own, other):
                        verifier.grade(item.prompt, labels[item.prompt.id].gold, answer, "stop")
                rates.append(2 * len(items) / (time.process_time() - start))
        print(f"| {name} | {made:.1f} | {rates[0]:,.0f} | {max(rates[1:]):,.0f} |")


if __name__ == "__main__":
    main()
