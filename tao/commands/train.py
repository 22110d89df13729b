"""`tao train`: stage 3 alone, from scored samples and a model to a checkpoint."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.commands.shared import (
    Verbs,
    add_verb,
    bars,
    build_recipe,
    log_options,
    quiet_libraries,
    read_pool,
    recipe_options,
)
from tao.errors import InputError
from tao.training.objectives import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tao.recipe import Recipe
    from tao.scoring.evidence import Finding
    from tao.scoring.score import ScoredRound

ABOUT = """\
Stage 3 alone: moves a model toward the samples that scored high. What 'tao tune' does third in a round, to the same
bytes. The checkpoint is --out/checkpoint, for transformers, with a card (README.md).

Scores come from 'tao score', or from a scorer of yours; an advantage is then the reward minus the mean of its prompt's,
and rft imitates each prompt's highest:
  {"prompt_id": "q1", "index": 0, "reward": 0.7}               --scores FILE, a row a sample
  {"prompt_id": "q1", "answer": "...", "reward": 0.7}          --samples FILE, no --scores
  {"prompt": "...", "responses": [...], "rewards": [...]}      --samples FILE, neither --scores nor --prompts
A reward of null is no evidence. Whether labels made such rewards only you can know: nothing here does.

Scores of 'tao score' are held against the limits that 'tao tune' has for a round: thin evidence is told, and too little
of it is not trained on unless the recipe says thin_evidence: warn. (What a judge could not say, 'tao score' tells.) Of
rewards of yours only the share of samples with an answer is looked at.

The objectives assume that --model is what drew the samples (rft does not care).

objectives (recipe: objective):
""" + listing()
EXAMPLE = """\
example:
  tao train --model my-model --prompts pool.jsonl --samples work/samples.jsonl --scores work/scores.jsonl \\
      --recipe recipe.yaml --out work/1
"""
RECORD = "train.json"


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(verbs, "train", run, help="stage 3 alone: train on scored samples", about=ABOUT, example=EXAMPLE)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="transformers checkpoint to train")
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="samples (see above)")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="their scores, if not in --samples")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="the pool or log that was sampled")
    log_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the stage")
    parser.add_argument("--name", metavar="NAME", help="what the model is called in its card")
    recipe_options(parser)
    parser.add_argument("--round", type=int, default=0, metavar="N", help="rounds shuffle apart (default 0, the first)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the training order (default 0)")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.checkpoint import check_checkpoint
    from tao.compute import Entry, Ledger, ModelShape
    from tao.report import render_ledger
    from tao.stage import folder_digest, write_atomic

    recipe = build_recipe(args.recipe, {})
    pool = read_pool(args.prompts, args.request_column, args.instructions) if args.prompts else None
    scored, made_from = _scored(args, pool)
    check_checkpoint(args.model)
    shape = ModelShape.from_config(args.model)
    _claim(args, recipe, made_from)
    _worth(scored, recipe, args)
    record, checkpoint = args.out / RECORD, args.out / "checkpoint"
    thin = _evidence(scored, recipe, args, finished=record.exists())
    ledger = Ledger(args.out / "ledger.jsonl")
    if record.exists():
        done = json.loads(record.read_text(encoding="utf-8"))
        if not checkpoint.is_dir() or folder_digest(checkpoint) != done["weights"]:
            raise InputError("the checkpoint was altered", str(checkpoint), f"remove {args.out} to train it again")
    else:
        quiet_libraries()
        from tao.stage import digest
        from tao.training import lora
        from tao.training.stage import entry, figures, train_round

        if recipe.lora:
            lora.require()
        with bars() as progress:
            report = train_round(
                recipe,
                args.model,
                args.model,
                [scored],
                args.out,
                number=args.round,
                seed=int(digest([args.seed, args.round, "train"]), 16) % 2**31,
                ledger=ledger,
                shape=shape,
                progress=progress,
            )
        cost = entry(report, recipe.objective, args.round, shape)
        done = {"weights": folder_digest(checkpoint), "training": figures(report), "entry": asdict(cost)}
        write_atomic(record, json.dumps(done, sort_keys=True, indent=1) + "\n")
        (args.out / "training.inflight").unlink(missing_ok=True)
    ledger.charge(Entry(**done["entry"]))
    _write_card(args, recipe, scored, ledger, checkpoint, thin)
    print(render_ledger(ledger))
    shown = ("steps", "rows", "samples", "loss", "kl", "clip_fraction", "pair_accuracy", "mean_token_accuracy")
    print(", ".join(f"{name} {done['training'][name]:.4g}" for name in shown if name in done["training"]))
    print(f"model: {checkpoint}")
    return 0


def _scored(args: argparse.Namespace, pool: Any) -> tuple[ScoredRound, dict[str, Any]]:
    """The scored samples, and the hashes of what they are read from."""
    from tao.exchange.samples import given_scores, match, read_given, read_scores
    from tao.prompts import pool_digest
    from tao.scoring.score import ScoredRound
    from tao.stage import file_digest

    given = read_given(args.samples, pool)
    prompts = match(given, pool, str(args.samples))
    if args.scores is not None:
        if given.rewards:
            fix = "leave --scores out, or the rewards"
            raise InputError("the samples hold rewards, and --scores names others", str(args.samples), fix)
        scores = read_scores(args.scores, given.samples)
    elif given.rewards:
        scores = given_scores(given.samples, given.rewards)
    else:
        raise InputError("samples without rewards", str(args.samples), "add --scores FILE: 'tao score' makes it")
    ids = [prompt.id for prompt in prompts]
    scored = ScoredRound(prompts, {i: given.samples[i] for i in ids}, {i: scores[i] for i in ids})
    made_from = {
        "pool": pool_digest(prompts),
        "samples": file_digest(args.samples),
        "scores": file_digest(args.scores) if args.scores is not None else None,
    }
    return scored, made_from


def _claim(args: argparse.Namespace, recipe: Recipe, made_from: dict[str, Any]) -> None:
    """Take the folder, or find that it is this stage's: how samples were drawn and scored is no part of it."""
    from tao import __version__
    from tao.rounds import claim
    from tao.stage import folder_digest
    from tao.training import settings

    before = set(
        "rounds samples mix temperature ladder wording adaptive reworder sampler vllm endpoint prompts_per_round "
        "source signals consensus_floor min_votes support mentions invalid runs graded by_view confidence "
        "watch watch_last thin_evidence".split()
    )
    fields = recipe.model_dump(mode="json")
    claim(
        args.out,
        {
            **made_from,
            "model": folder_digest(args.model),
            "recipe": {name: value for name, value in fields.items() if name not in before},
            "seed": args.seed,
            "round": args.round,
            "code": f"{__version__}/training@{settings.VERSION}",
        },
    )


def _worth(scored: ScoredRound, recipe: Recipe, args: argparse.Namespace) -> None:
    """Refuse scores that say nothing, before a model is loaded."""
    every = [score for group in scored.scores.values() for score in group]
    use = [s.pseudo_label if recipe.objective == "rft" else s.advantage is not None for s in every]
    if not any(use):
        raise InputError(
            f"nothing to train on: all {len(scored.scores)} prompts abstain",
            str(args.scores or args.samples),
            "the votes are not to be trusted, or all rewards of a prompt are equal: 'tao score' shows the figures",
        )


def _evidence(scored: ScoredRound, recipe: Recipe, args: argparse.Namespace, *, finished: bool) -> Sequence[Finding]:
    """What is thin about the evidence, told; a training that is finished is not undone by it.

    Raises:
        InputError: There is too little to train on, as for a round of `tao tune`.
    """
    from tao.report import render_evidence
    from tao.scoring.evidence import round_evidence, voted

    # Rewards of somebody's own say nothing of votes, so they are not measured by them.
    found = round_evidence(scored, recipe.thin_evidence, recipe.source if voted(scored.scores) else "format")
    refused = [finding.message for finding in found if finding.level == "refuse"]
    if refused and not finished:
        raise InputError(
            f"too little label-free evidence to train on: {'; '.join(refused)}",
            str(args.scores or args.samples),
            "'tao tune' would not train on it either; to train all the same, write thin_evidence: warn in the recipe",
        )
    for line in render_evidence(found, refused="'tao tune' would not train on it"):
        print(line)
    return found


def _write_card(  # noqa: PLR0917 - what a card is made of
    args: argparse.Namespace,
    recipe: Recipe,
    scored: ScoredRound,
    ledger: Any,
    checkpoint: Path,
    thin: Sequence[Finding],
) -> None:
    from tao.model_card import CardFacts, base_name, render_card
    from tao.stage import folder_digest

    note = "One training stage on scored samples (`tao train`)"
    facts = CardFacts(
        name=args.name or args.out.name or "model",
        base=base_name(args.model),
        base_digest=folder_digest(args.model),
        prompts=len(scored.prompts),
        answers="",
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
        ledger=ledger,
        instructions=args.instructions or "",
        notes=[
            f"{note}; rewards come from `{(args.scores or args.samples).name}`, and what made them is not known here.",
            *([f"Thin evidence: {', '.join(finding.name for finding in thin)}."] if thin else []),
        ],
    )
    (checkpoint / "README.md").write_text(render_card(facts), encoding="utf-8")
