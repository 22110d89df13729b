"""Which exploring strategy pays on the small reference model, by the verifier, on dev.

    python -m tests.benchmarks.strategy_yield --out results

Every strategy explores the same dev prompts in one round of two passes, with equal samples; direct gets twice as many,
so that half-and-half mixes can be held against direct sampling of the same size. Golds are read only afterwards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tao.recipe import make_recipe
from tao.sampling.passes import explore_round
from tao.sampling.protocol import Settings
from tao.sampling.samplers import local_sampler
from tao.sampling.samples import read_samples
from tao_bench.models import resolve_model
from tao_bench.registry import load_task
from tao_bench.signals import judge, read_groups
from tao_bench.strategy_yield import BASELINE, Yield, yields

TASKS = ("warehouse_sql", "sec_filings")
STRATEGIES = ("plan", "reorder", "few_shot", "repair", "direct@0.7", "direct@1.3")
"""What the reference model understands; for a chat model name others, e.g. ``--strategy chain_of_thought reword``."""
ROOM_TOK = 440
"""For what examples and failures add to a prompt; the model has 1,024 positions."""


def measure(
    task_name: str, folder: Path, *, model: str, strategies: list[str], wording: str, prompts: int, k: int
) -> tuple[list[Yield], float, int]:
    """Yields on one task, pass@k of direct sampling, and prompts."""
    task = load_task(task_name)
    limits = task.spec.limits
    items = task.items("dev")
    items = items[:: max(1, len(items) // prompts)][:prompts]  # spread over levels and documents
    mix = {BASELINE: 2, **dict.fromkeys(strategies, 1)}
    recipe = make_recipe({"samples": k * (len(strategies) + 2), "mix": mix, "wording": wording}, "--strategy")
    sampler, interpreter = local_sampler(resolve_model(model).path), task.interpreter()
    try:
        path = explore_round(
            [item.prompt for item in items],
            sampler,
            recipe.exploring(),
            Settings(min(limits.max_prompt_tok + ROOM_TOK, 1024 - limits.max_new_tok), limits.max_new_tok),
            interpreter,
            seed=0,
            round=0,
            out=folder / task_name / "samples.jsonl",
        )
    finally:
        sampler.close()
        interpreter.close()
    # The verifier judges what deployment would say: an answer cut out of its plan, not the plan.
    samples = {i: [replace(s, text=s.answer or "") for s in group] for i, group in read_samples(path).items()}
    groups = read_groups(task, samples)
    home = {item.prompt.id: item.cluster for item in items}
    found, alone = yields(groups, judge(task, groups), [home[group.prompt.id] for group in groups], k)
    return found, alone, len(groups)


def table(found: list[Yield]) -> list[str]:
    """Markdown rows."""
    lines = [
        "| strategy | prompts | works | right | tokens | right per 1,000 tokens | new | lift of pass@k, points |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        lift = "" if one.strategy == BASELINE else f"{one.lift:+.1f} [{one.lift_low:+.1f}, {one.lift_high:+.1f}]"
        lines.append(
            f"| {one.strategy} | {one.prompts} | {one.works:.0%} | {one.right:.0%} | {one.tokens:.0f} "
            f"| {one.right_per_1k:.1f} | {one.new} | {lift} |"
        )
    return lines


def main() -> None:
    """Measure and write ``strategy_yield.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", default=[], help=f"default: {', '.join(TASKS)}")
    parser.add_argument("--model", default="reference")
    parser.add_argument("--strategy", nargs="+", default=list(STRATEGIES), help=f"default: {', '.join(STRATEGIES)}")
    parser.add_argument("--wording", default="terse", help="of the recipe: terse (default), sql, document, plain")
    parser.add_argument("--prompts", type=int, default=60, help="dev prompts of each task (60)")
    parser.add_argument("--k", type=int, default=8, help="samples by strategy (8)")
    parser.add_argument("--keep", type=Path, help="folder for the samples, to go on after a stop (default: none)")
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_args()
    lines = [
        "# Which exploring strategy pays",
        "",
        f"Model `{options.model}` before any tuning, dev prompts, {options.k} samples by strategy, {2 * options.k} "
        "direct (more where another does not apply).",
        "",
        "- works: share of samples that run and say something; right: share that the verifier calls right.",
        "- new: prompts where the strategy has a right sample and direct sampling has none.",
        f"- lift: pass@{options.k} of {options.k // 2} samples by the strategy and {options.k // 2} direct ones, minus "
        f"pass@{options.k} of direct ones; unbiased estimates, 95 % interval over clusters of items.",
        "- Prompts that a strategy does not apply to (nothing failed, no sure example) count as no gain.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name in options.task or TASKS:
            begun = time.process_time()
            found, alone, prompts = measure(
                name,
                options.keep or Path(folder),
                model=options.model,
                strategies=options.strategy,
                wording=options.wording,
                prompts=options.prompts,
                k=options.k,
            )
            print(f"{name}: {time.process_time() - begun:.0f} CPU seconds", *table(found), sep="\n", flush=True)
            lines += ["", f"## {name}", "", f"{prompts} prompts; pass@{options.k} of direct sampling {alone:.1%}.", ""]
            lines += table(found)
    named = "".join(f" --task {name}" for name in options.task)
    chosen = f" --strategy {' '.join(options.strategy)}" if options.strategy != list(STRATEGIES) else ""
    by = f"python -m tests.benchmarks.strategy_yield --prompts {options.prompts} --k {options.k}{named}{chosen}"
    lines += ["", f"Made by `{by}`."]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "strategy_yield.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
