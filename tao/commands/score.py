"""`tao score`: stage 2 alone, from samples to scores, and exports for other trainers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tao.commands.shared import (
    SIGNALS_ABOUT,
    Verbs,
    add_verb,
    answers_option,
    bars,
    build_recipe,
    check_handles,
    log_options,
    needed,
    quiet_libraries,
    read_pool,
    recipe_options,
    signal_options,
)
from tao.forms import make_plain

ABOUT = (
    """\
Stage 2 alone: scores samples without knowing the truth. Answers that mean the same vote together; further signals have
their say; a prompt without a vote to trust abstains. What 'tao tune' does second in a round, to the same bytes.

The samples may be of any origin, one JSON object a line:
  {"prompt_id": "q1", "answer": "SELECT ..."}                  an answer a row; prompts come from --prompts
  {"prompt": "...", "responses": ["...", "..."]}               a prompt a row; --prompts may be left out
  samples.jsonl of 'tao explore' or of a round
Rewards in them are not read here: 'tao train' takes them as they are.

"""
    + SIGNALS_ABOUT
    + """
exports, for other trainers; prompts that abstain are left out:
  sft     {"messages": [...]}, the winners
  pairs   {"prompt", "chosen", "rejected", "chosen_reward", "rejected_reward"}
  groups  {"prompt_id", "prompt", "responses", "rewards"}
"""
)
EXAMPLE = """\
example:
  tao score --prompts pool.jsonl --samples work/samples.jsonl --answers number --out work/scores.jsonl \\
      --signals grounded:weight=0.2 --signals rules.py:short:veto=0.1 --export pairs pairs.jsonl
"""
EXPORTS = ("sft", "pairs", "groups")


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(verbs, "score", run, help="stage 2 alone: score samples", about=ABOUT, example=EXAMPLE)
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="what to score (see above)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="the pool or log that was sampled")
    log_options(parser)
    answers_option(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the scores, .jsonl; resumed if begun")
    recipe_options(parser)
    signal_options(parser)
    parser.add_argument(
        "--export",
        nargs=2,
        action="append",
        default=[],
        metavar=("KIND", "FILE"),
        help=f"write for another trainer ({', '.join(EXPORTS)}); repeatable",
    )
    parser.add_argument("--round", type=int, default=0, metavar="N", help="where the ledger books it (default 0)")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.compute import Ledger
    from tao.errors import InputError
    from tao.exchange.export import export
    from tao.exchange.samples import match, read_given, write_samples
    from tao.report import render_evidence, render_ledger, render_scores
    from tao.scoring.evidence import round_evidence
    from tao.scoring.score import charge_signals, score
    from tao.scoring.signals import load_signals, released

    needed(args.answers, "--answers FORM", "score")
    if args.out.suffix != ".jsonl":
        raise InputError("scores are written as JSONL", str(args.out), f"say --out {args.out.with_suffix('.jsonl')}")
    for kind, _ in args.export:
        if kind not in EXPORTS:
            raise InputError(f"{kind!r} is none of {', '.join(EXPORTS)}", "--export", "write e.g. --export sft FILE")
    recipe = build_recipe(args.recipe, {}, args.signals, args.guidelines or ())
    pool = read_pool(args.prompts, args.request_column, args.instructions) if args.prompts else None
    given = read_given(args.samples, pool)
    prompts = match(given, pool, str(args.samples))
    if pool is not None and len(prompts) < len(pool):
        print(f"{len(pool) - len(prompts)} prompts of the pool have no samples", file=sys.stderr)
    if given.rewards:
        print("rewards in the samples are not read here: 'tao train' takes them as they are", file=sys.stderr)
    check_handles(prompts, args.answers)
    quiet_libraries()
    signals = load_signals(recipe.signals)
    samples = args.samples
    if given.kind != "stage":
        samples = args.out.with_suffix(".samples.jsonl")
        samples.parent.mkdir(parents=True, exist_ok=True)
        write_samples(samples, prompts, given.samples)
    interpreter = make_plain(args.answers)
    try:
        with released(signals), bars() as progress:
            scored = score(
                prompts, samples, interpreter, recipe.rewards(), out=args.out, signals=signals, progress=progress
            )
            ledger = Ledger(args.out.with_suffix(".ledger.jsonl"))
            charge_signals(scored, signals, ledger, args.round)
            thin = round_evidence(scored, recipe.thin_evidence, recipe.source, signals)
    finally:
        interpreter.close()
    print(render_scores(scored.stats()))
    print(*render_evidence(thin, refused="'tao tune' would not train on it"), sep="\n", end="\n" if thin else "")
    if ledger.entries():  # only signals that compute, or that are paid for, cost something
        print(render_ledger(ledger))
    for kind, file in args.export:
        rows = export(scored, kind, Path(file), per_prompt=recipe.per_prompt, pairs=recipe.pairs)
        print(f"{rows:,} {kind}: {file}")
    print(f"scores: {args.out}" + (f" (of {samples})" if samples != args.samples else ""))
    return 0
