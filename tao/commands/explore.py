"""`tao explore`: stage 1 alone, from prompts and a model to a file of samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from tao.commands.shared import (
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
    sampling_options,
)

ABOUT = """\
Stage 1 alone: a model answers every prompt several times. What 'tao tune' does first in a round, to the same bytes.

The samples go to FILE, one a line; 'tao score' reads them, and so may your own scorer. Stop it at any moment: the same
command goes on where it was. Recipes with few_shot, repair or adaptive n explore in two passes and read the first one
without labels: they need --answers.
"""
EXAMPLE = """\
example:
  tao explore --model my-model --prompts pool.jsonl --samples 8 --out work/samples.jsonl
  tao score --prompts pool.jsonl --samples work/samples.jsonl --answers sql --out work/scores.jsonl
  tao train --model my-model --prompts pool.jsonl --samples work/samples.jsonl --scores work/scores.jsonl --out work/1
"""


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(verbs, "explore", run, help="stage 1 alone: sample answers", about=ABOUT, example=EXAMPLE)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="transformers checkpoint that answers")
    parser.add_argument("--prompts", type=Path, required=True, metavar="FILE", help="a pool, or a log")
    log_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the samples, .jsonl; resumed if begun")
    answers_option(parser)
    recipe_options(parser)
    sampling_options(parser)
    parser.add_argument("--round", type=int, default=0, metavar="N", help="rounds draw apart (default 0, the first)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of sampling (default 0)")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.checkpoint import check_checkpoint
    from tao.compute import Ledger
    from tao.errors import InputError
    from tao.forms import PLAIN, make_plain
    from tao.report import render_ledger

    recipe = build_recipe(args.recipe, {"samples": args.samples, "sampler": args.sampler})
    needed(None if args.round < 0 else args.round, "a --round of 0 or more", "explore")
    if args.out.suffix != ".jsonl":
        raise InputError("samples are written as JSONL", str(args.out), f"say --out {args.out.with_suffix('.jsonl')}")
    pool = read_pool(args.prompts, args.request_column, args.instructions)
    if recipe.sampler != "endpoint":
        check_checkpoint(args.model)
    prompts = [pool[at] for at in recipe.prompts_of(args.round, len(pool))]
    if recipe.exploring().passes > 1:
        why = "the recipe explores in two passes, and the first has to be read"
        needed(args.answers, f"--answers {{{','.join(PLAIN)}}}", "explore", why)
        check_handles(prompts, args.answers)
    quiet_libraries()
    from tao.sampling.passes import explore_round
    from tao.sampling.samplers import reworder_factory, sampler_factory
    from tao.sampling.samples import read_samples

    ledger = Ledger(args.out.with_suffix(".ledger.jsonl"))
    interpreter = make_plain(args.answers or "text")  # a single pass is not read
    with bars() as progress:
        sampler = sampler_factory(recipe.sampler, recipe.vllm, recipe.endpoint)(args.model)
        try:
            explore_round(
                prompts,
                sampler,
                recipe.exploring(),
                recipe.sampling(),
                interpreter,
                seed=args.seed,
                round=args.round,
                out=args.out,
                ledger=ledger,
                progress=progress,
                reworder=reworder_factory(recipe.reworder),
            )
        finally:
            sampler.close()
            interpreter.close()
    print(render_ledger(ledger))
    drawn = sum(map(len, read_samples(args.out).values()))  # adaptive n may leave some unspent
    print(f"{len(prompts):,} prompts, {drawn:,} samples: {args.out}")
    return 0
