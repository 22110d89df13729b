"""`tao tune`: the whole method, round after round, from prompts to a model with a card."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

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
    sampling_options,
    signal_options,
)
from tao.errors import InputError
from tao.forms import PLAIN, make_plain
from tao.training.objectives import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tao.flywheel.promote import Promotion
    from tao.prompts import Prompt
    from tao.recipe import Recipe
    from tao.rounds import TuneResult
    from tao.spec import RunSpec

ABOUT = (
    """\
Tunes a model without labels: it answers every prompt several times, answers that agree with each other
are taken for right, and the model is trained toward them; then again, round after round. The tuned model
costs as much per answer as before. Stop it at any moment: the same command goes on where it was.

pool.jsonl, one prompt a line (any other column is refused: labels have no place here):
  {"id": "q1", "messages": [{"role": "user", "content": "Schema:\\n...\\nQuestion: ..."}],
   "context": ["stall (stall_id INT, name STRING)"], "handles": {"database": "instances/market.json"}}

A usage log does as well: OpenAI chat, batch or completion files, Databricks inference tables, MLflow traces and
evaluation rows (JSONL, CSV, Parquet) are known by their columns; of any other table name the column with the request.
Nothing else of a row is read. 'tao prompts LOG' shows what a log yields.

handles name what an answer is tried on, relative to the file: a database instance for SQL ("database",
"database_2"), a document for numbers and filings ("document"); answers in text and prose need none.

--instructions become the system message of requests that have none: the model is tuned on them, so deploy it with them.
--guidelines are what a judge among the signals holds answers against; without one they are refused, nothing else reads
them. --name is the model's in its card.

"""
    + SIGNALS_ABOUT
    + """
All of this may stand in a file instead (--spec run.yaml; keys are the options with _ for -, recipe may be a file or the
fields themselves; options win). The run writes its own as --out/spec.yaml:
  name: tickets
  model: my-model
  prompts: inference_table.parquet
  instructions: Name the team that handles the ticket.
  answers: text
  signals: ["rules.py:short:veto=0.1"]
  budget: 2.0e+15
  out: runs/tickets
  recipe: {objective: rft, rounds: 4}

The model is --out/model, for transformers, with a card (README.md): what it cost, which alarms went off, why it ended.

With --continue, the model in service after an earlier run is tuned on what is new in the logs, beside a share of the
old prompts. Then both models answer the same prompts once more, and promotion.json says whether the new one may
replace the old: only if no alarm goes off. --out/model is there only if it may.

objectives (recipe: objective), all weights or adapters (recipe: lora: {r: 16, alpha: 32, target: all-linear}):
"""
    + listing()
)
EXAMPLE = """\
examples:
  tao tune --model tao_bench/reference/model --prompts pool.jsonl --answers sql --out runs/mine \\
      --samples 8 --rounds 3 --budget 2e15
  tao tune --spec run.yaml --dry-run
  tao tune --continue runs/mine --prompts new_logs.jsonl --out runs/next
"""
MODEL = "model"
"""Where a run puts the model to serve."""


def add(verbs: Verbs) -> None:
    """Declare the verb. Options have no defaults here: what is not given may stand in the spec."""
    parser = add_verb(verbs, "tune", run, help="tune a model on a pool of prompts", about=ABOUT, example=EXAMPLE)
    parser.add_argument(
        "--spec", type=Path, metavar="FILE", help="YAML with any of these options; those given here win"
    )
    parser.add_argument("--name", metavar="NAME", help="what the tuned model is called (default: the name of --out)")
    parser.add_argument("--model", type=Path, metavar="DIR", help="transformers checkpoint to start from")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="the pool, or a log (see above)")
    log_options(parser)
    signal_options(parser)
    answers_option(parser)
    parser.add_argument("--continue", dest="previous", type=Path, metavar="RUN", help="go on from a finished run")
    parser.add_argument("--replay", type=float, metavar="S", help="share of old prompts (default 0.25)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; resumed if it exists")
    recipe_options(parser)
    sampling_options(parser)
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, instead of the recipe's")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of sampling and training (default 0)")
    parser.add_argument(
        "--budget",
        "--budget-flop",
        dest="budget",
        type=float,
        metavar="F",
        help="model FLOPs of the whole run, e.g. 2e15: no round begins beyond them (older spelling: --budget-flop)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, print what it would cost, run nothing"
    )


def _spec(args: argparse.Namespace) -> RunSpec:
    """What the command line and the spec file ask for together."""
    from tao.spec import RunSpec, make_spec, read_spec

    if args.budget is not None and not 0 < args.budget < float("inf"):
        raise InputError("a budget must be positive", "--budget", "write e.g. 2e15")
    if args.name is not None and (not args.name.strip() or "\n" in args.name):
        raise InputError("a name is one line of text", "--name")
    fields = read_spec(args.spec) if args.spec is not None else {}
    for name, field in RunSpec.model_fields.items():
        if (given := getattr(args, name)) is not None:
            fields[field.alias or name] = given
    return make_spec(fields, str(args.spec or "tao tune"))


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.checkpoint import check_checkpoint
    from tao.flywheel.previous import read_previous
    from tao.report import render_plan

    spec = _spec(args)
    needed(spec.prompts, "--prompts FILE", "tune")
    needed(spec.out, "--out DIR", "tune")
    previous = read_previous(spec.previous) if spec.previous else None
    model = spec.model or (previous.model if previous else None)
    answers = spec.answers or (previous.answers if previous else None)
    why = "the run kept the model it started from" if previous else ""
    needed(model, "--model DIR", "tune", why)
    needed(answers, f"--answers {{{','.join(PLAIN)}}}", "tune", why)
    assert model and answers and spec.prompts and spec.out
    recipe = build_recipe(
        spec.recipe,
        {"samples": spec.samples, "rounds": spec.rounds, "sampler": spec.sampler},
        spec.signals,
        spec.guidelines,
        previous.recipe if previous else None,
    )
    prompts = read_pool(spec.prompts, spec.request_column, spec.instructions)
    new = None
    if previous is not None:
        from tao.flywheel.pool import next_pool

        pool = next_pool(previous.prompts, prompts, spec.replay, Random(spec.seed))
        prompts, new = list(pool.prompts), pool.new
        print(f"{pool.new} new prompts, {pool.repeated} known already, {pool.replayed} replayed", file=sys.stderr)
    check_checkpoint(model)
    check_handles(prompts, answers)
    if args.dry_run:
        print(render_plan(model, prompts, recipe, spec.budget))
        return 0
    return _tuned(_Job(spec, model, answers, recipe, prompts, new, spec.out))


@dataclass(frozen=True, slots=True)
class _Job:
    """A run whose every part has been checked; `new` counts the new prompts where it goes on from another run."""

    spec: RunSpec
    model: Path
    answers: str
    recipe: Recipe
    prompts: Sequence[Prompt]
    new: int | None
    out: Path


def _tuned(job: _Job) -> int:
    """Run it, decide what to serve, hand it over."""
    quiet_libraries()
    from tao.compute import Ledger
    from tao.flywheel.promote import decide
    from tao.loop import tune
    from tao.prompts import write_prompts
    from tao.report import render_promotion, render_result
    from tao.rounds import write_result
    from tao.sampling.samplers import watching_factory
    from tao.spec import write_spec
    from tao.watch import watched

    spec, model, recipe, prompts, out = job.spec, job.model, job.recipe, job.prompts, job.out
    interpreter = make_plain(job.answers)
    try:
        with bars(lambda: f"round {len(list(out.glob('round-*/round.json')))}: ") as progress:
            result = tune(
                model, prompts, interpreter, recipe, out, seed=spec.seed, budget_flop=spec.budget, progress=progress
            )
            # Beside the run, not in the loop: they name where things lie on this machine, which no hash may cover.
            write_prompts(out / "pool.jsonl", prompts)
            asked = recipe.model_dump(mode="json", exclude_defaults=True)
            write_spec(out / "spec.yaml", spec.model_copy(update={"model": model, "answers": job.answers}), asked)
            promotion = None
            if job.new is not None:
                promotion = decide(
                    model,
                    result,
                    watched(prompts, job.new, Random(spec.seed)),
                    interpreter=interpreter,
                    recipe=recipe,
                    out=out,
                    seed=spec.seed,
                    sampler=watching_factory(recipe.sampler, recipe.vllm),
                    progress=progress,
                )
                # What both models answered is charged too, and a repeated command counts it from the start.
                result = replace(result, tuning_flop=Ledger(out / "ledger.jsonl").tuning_flop())
                write_result(out, result)
    finally:
        interpreter.close()
    served = _hand_over(job, result, promotion)
    print(render_result(result, served))
    if promotion:
        print(render_promotion(promotion, served))
    _refuse_mute(job, result)
    return 0


def _hand_over(job: _Job, result: TuneResult, promotion: Promotion | None) -> Path:
    """Put the new model into the run's folder, if there is one to serve; returns the model to serve."""
    from tao.compute import Ledger
    from tao.model_card import CardFacts, base_name, publish, render_card, withdraw
    from tao.stage import folder_digest

    folder = job.out / MODEL
    if result.checkpoint == job.model or (promotion is not None and not promotion.promote):
        withdraw(folder)
        return job.model
    notes: list[str] = []
    if promotion is not None:
        notes.append("It answered the same prompts as the model in service before it, and no alarm went off.")
    facts = CardFacts(
        name=job.spec.name or job.out.absolute().name,
        base=base_name(job.model),
        base_digest=folder_digest(job.model),
        prompts=len(job.prompts),
        answers=job.answers,
        recipe=job.recipe.model_dump(mode="json", exclude_defaults=True),
        ledger=Ledger(job.out / "ledger.jsonl"),
        instructions=job.spec.instructions,
        rounds=[*result.rounds, *([result.last] if result.last else [])],
        stopped=result.stopped,
        notes=notes,
        timing=job.out / "timing.jsonl",
    )
    return publish(result.checkpoint, folder, render_card(facts))


def _refuse_mute(job: _Job, result: TuneResult) -> None:
    """A model of which no answer works cannot be tuned on its answers.

    Raises:
        InputError: That is so.
    """
    first = result.rounds[0].stats
    if result.stopped in ("no_signal", "thin_evidence") and first.run_rate == 0:
        judged = first.samples - first.unscored
        what = (
            f"none of {judged:,} answers works as {job.answers}"
            if judged
            else f"none of {first.samples:,} could be judged"
        )
        raise InputError(
            f"{what}, so there is nothing to learn from: the model is as it was",
            str(job.out / "round-0" / "samples.jsonl"),
            f"read some of them: does {job.model.name} know the form ({job.answers})? Say it in --instructions, raise "
            "max_new_tok if they are cut off, or fine-tune on a few examples first",
        )
