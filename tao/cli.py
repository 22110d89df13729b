"""`tao`: tune a model on prompts alone. Heavy libraries are imported when a run begins, never for help."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.forms import PLAIN, make_plain
from tao.training.objectives import listing

if TYPE_CHECKING:
    from tao.loop import Progress
    from tao.recipe import Recipe

EXAMPLES = """\
examples:
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine --dry-run
  tao tune --continue runs/mine --prompts new_logs.jsonl --out runs/next
  tao report runs/mine
"""
TUNE_HELP = """\
Tunes a model without labels: it answers every prompt several times, answers that agree with each other
are taken for right, and the model is trained toward them; then again, round after round. The tuned model
costs as much per answer as before. Stop it at any moment: the same command goes on where it was.

pool.jsonl, one prompt a line (any other column is refused: labels have no place here):
  {"id": "q1", "messages": [{"role": "user", "content": "Schema:\\n...\\nQuestion: ..."}],
   "context": ["stall (stall_id INT, name STRING)"], "handles": {"database": "instances/market.json"}}

A usage log does as well: OpenAI chat, batch or completion files, Databricks inference tables, MLflow traces and
evaluation rows (JSONL, CSV, Parquet) are known by their columns; of any other table name the column with the request.
Nothing else of a row is read. 'tao prompts LOG' shows what a log yields.

With --continue, the model in service after an earlier run is tuned on what is new in the logs, beside a share of the
old prompts. Then both models answer the same prompts once more, and promotion.json says whether the new one may
replace the old: only if no alarm goes off.

handles name what an answer is tried on, relative to the file: a database instance for SQL ("database",
"database_2"), a document for numbers and filings ("document"); answers in text and prose need none.

objectives (recipe: objective), all weights or adapters (recipe: lora: {r: 16, alpha: 32, target: all-linear}):
""" + listing()
PROMPTS_HELP = """\
Reads a usage log and says which prompts it yields, what was skipped and why (with the first lines of each kind), and
which columns were not read: answers, scores and people in a log never become part of a prompt.

Known by their columns: OpenAI chat, batch and completion files; Databricks inference tables (legacy, AI Gateway, Unity
AI Gateway); MLflow traces (v2, v3) and evaluation rows. Rows with an error status, without a body, or whose last turn
nobody has to answer are skipped; repeated ids and requests count once; trailing turns of the assistant are dropped.
"""
PROMPTS_EXAMPLE = """\
examples:
  tao prompts inference_table.parquet
  tao prompts tickets.csv --request-column body --instructions "Name the team." --out pool.jsonl
"""
REWARD_HELP = """\
Learns to tell answers that won a vote from answers that lost it, on the prompts of finished runs. Use runs on other
tasks than the one it will score: the checkpoint remembers its prompts and refuses to score them. Name it in a recipe:

  signals: [{signal: reward_model, model: FOLDER, weight: 0.5}]
"""
REWARD_EXAMPLE = """\
example:
  tao reward-model --run runs/finance --run runs/tickets --model my-model --out reward-model
"""
TUNE_EXAMPLE = """\
example:
  tao tune --model tao_bench/reference/model --prompts pool.jsonl --answers sql --out runs/mine \\
      --samples 8 --rounds 3
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="tao",
        description="Tune a language model on prompts alone (Test-time Adaptive Optimization).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    tune = verbs.add_parser(
        "tune",
        help="tune a model on a pool of prompts",
        description=TUNE_HELP,
        epilog=TUNE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tune.add_argument("--model", type=Path, metavar="DIR", help="transformers checkpoint to start from")
    tune.add_argument("--prompts", type=Path, required=True, metavar="FILE", help="the pool, or a log (see above)")
    _log_options(tune)
    tune.add_argument("--answers", choices=PLAIN, help="what an answer is")
    tune.add_argument("--continue", dest="previous", type=Path, metavar="RUN", help="go on from a finished run")
    tune.add_argument("--replay", type=float, default=0.25, metavar="S", help="share of old prompts (default 0.25)")
    tune.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run; resumed if it exists")
    tune.add_argument("--recipe", type=Path, metavar="FILE", help="YAML: fields that differ from the defaults")
    tune.add_argument("--samples", type=int, metavar="N", help="samples per prompt and round, instead of the recipe's")
    tune.add_argument("--rounds", type=int, metavar="N", help="rounds, instead of the recipe's")
    tune.add_argument(
        "--sampler",
        metavar="NAME",
        help="transformers (default), vllm, or endpoint (the recipe says which), instead of the recipe's",
    )
    tune.add_argument("--seed", type=int, default=0, metavar="N", help="seed of sampling and training (default 0)")
    tune.add_argument("--budget-flop", type=float, metavar="F", help="begin no round beyond these model FLOPs (2e13)")
    tune.add_argument("--dry-run", action="store_true", help="check everything, print what it would cost, run nothing")

    prompts = verbs.add_parser(
        "prompts",
        help="show which prompts a usage log yields",
        description=PROMPTS_HELP,
        epilog=PROMPTS_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prompts.add_argument("log", type=Path, metavar="FILE", help="JSONL, JSON, CSV, TSV or Parquet")
    _log_options(prompts)
    prompts.add_argument("--out", type=Path, metavar="FILE", help="write them as a pool")

    reward = verbs.add_parser(
        "reward-model",
        help="train a reward model on the votes of finished runs",
        description=REWARD_HELP,
        epilog=REWARD_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reward.add_argument(
        "--run", type=Path, action="append", required=True, metavar="DIR", help="a run; may be repeated"
    )
    reward.add_argument("--model", type=Path, required=True, metavar="DIR", help="checkpoint its body starts from")
    reward.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the reward model")
    reward.add_argument("--per-prompt", type=int, default=2, metavar="N", help="most pairs a prompt and round (2)")
    reward.add_argument("--learning-rate", type=float, default=1e-4, metavar="R", help="default 1e-4")
    reward.add_argument("--epochs", type=int, default=1, metavar="N", help="passes over the pairs (1)")
    reward.add_argument("--max-tok", type=int, default=1024, metavar="N", help="longest conversation (1024)")
    reward.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")

    report = verbs.add_parser(
        "report",
        help="show a run's rounds and costs",
        description="Prints a run's figures per round, all of them known without labels, and its ledger.",
        epilog="example: tao report runs/mine",
    )
    report.add_argument("run", type=Path, metavar="DIR", help="the folder given to --out")
    return parser


def _log_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--request-column", metavar="NAME", help="column with the request, of a table of no known kind")
    parser.add_argument("--instructions", default="", metavar="TEXT", help="system message for requests that have none")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Exit status: 0 fine, 2 bad input, 130 stopped by Ctrl-C."""
    args = build_parser().parse_args(argv)
    try:
        verbs = {"report": _report, "prompts": _prompts, "tune": _tune, "reward-model": _reward_model}
        return verbs[args.verb](args)
    except InputError as error:
        print(f"tao: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        words = shlex.join(["tao", *(sys.argv[1:] if argv is None else argv)])
        print(f"\nstopped; what is finished is kept. Go on with:\n  {words}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _recipe(args: argparse.Namespace, default: Recipe | None = None) -> Recipe:
    from tao.recipe import Recipe, make_recipe, read_recipe

    recipe = read_recipe(args.recipe) if args.recipe else default or Recipe()
    names = ("samples", "rounds", "sampler")
    changed = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return make_recipe({**recipe.model_dump(), **changed}, "command line") if changed else recipe


def _tune(args: argparse.Namespace) -> int:
    from random import Random

    from tao.compute import ModelShape
    from tao.flywheel.pool import next_pool
    from tao.flywheel.previous import read_previous
    from tao.logs.read import read_log
    from tao.prompts import write_prompts
    from tao.report import render_plan, render_result

    previous = read_previous(args.previous) if args.previous else None
    model: Path | None = args.model or (previous.model if previous else None)
    answers = args.answers or (previous.answers if previous else None)
    for given, option in ((model, "--model DIR"), (answers, f"--answers {{{','.join(PLAIN)}}}")):
        if given is None:
            why = "the run kept the model it started from" if previous else ""
            raise InputError(f"{option} is needed" + (f": {why}" if why else ""), "tao tune", "see 'tao tune --help'")
    assert model is not None and answers is not None
    recipe = _recipe(args, previous.recipe if previous else None)
    read = read_log(args.prompts, args.request_column, args.instructions)
    prompts = read.prompts
    if read.format != "pool":
        print(read.summary(), file=sys.stderr)
    pool = None
    if previous is not None:
        pool = next_pool(previous.prompts, prompts, args.replay, Random(args.seed))
        prompts = list(pool.prompts)
        print(f"{pool.new} new prompts, {pool.repeated} known already, {pool.replayed} replayed", file=sys.stderr)
    ModelShape.from_config(model)
    if args.budget_flop is not None and args.budget_flop <= 0:
        raise InputError("a budget must be positive", "--budget-flop", "write e.g. 2e13")
    if args.dry_run:
        print(render_plan(model, prompts, recipe, args.budget_flop))
        return 0
    # One process, one thread: what makes runs repeatable is also fastest when processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    from tao.flywheel.promote import decide
    from tao.loop import tune
    from tao.report import render_promotion
    from tao.sampling.samplers import watching_factory
    from tao.watch import watched

    logging.disable_progress_bar()
    interpreter = make_plain(answers)
    try:
        with _bars(args.out) as progress:
            result = tune(
                model,
                prompts,
                interpreter,
                recipe,
                args.out,
                seed=args.seed,
                budget_flop=args.budget_flop,
                progress=progress,
            )
            # Beside the run, not in the loop: it names where handles lie on this machine, which no hash may cover.
            write_prompts(args.out / "pool.jsonl", prompts)
            promotion = pool and decide(
                model,
                result,
                watched(prompts, pool.new, Random(args.seed)),
                interpreter=interpreter,
                recipe=recipe,
                out=args.out,
                seed=args.seed,
                sampler=watching_factory(recipe.sampler, recipe.vllm),
                progress=progress,
            )
    finally:
        interpreter.close()
    print(render_result(result))
    if promotion:
        print(render_promotion(promotion))
    return 0


@contextmanager
def _bars(run: Path) -> Iterator[Progress]:
    """A bar per stage on a terminal, a line per stage elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        current: list[Any] = ["", None]

        def show(stage: str, done: int, everything: int) -> None:
            if stage != current[0]:
                words = f"round {len(list(run.glob('round-*/round.json')))}: {stage}"
                if current[1] is not None:
                    bars.remove_task(current[1])
                current[:] = [stage, bars.add_task(words, total=everything)]
                if not console.is_terminal:
                    console.print(words)
            bars.update(current[1], completed=done, total=everything)

        yield show


def _prompts(args: argparse.Namespace) -> int:
    from tao.logs.read import read_log
    from tao.prompts import write_prompts

    if args.out is not None and args.out.exists():
        raise InputError("is there already", str(args.out), "name another file")
    read = read_log(args.log, args.request_column, args.instructions)
    print(read.summary())
    if args.out is not None:
        write_prompts(args.out, read.prompts)
        print(f"pool: {args.out}")
    return 0


def _reward_model(args: argparse.Namespace) -> int:
    from tao.compute import Ledger
    from tao.scoring.reward_training import all_pairs, train_reward_model

    pairs = all_pairs(args.run, args.per_prompt, args.seed)
    figures = train_reward_model(
        args.model,
        pairs,
        args.out,
        learning_rate=args.learning_rate,
        epochs=args.epochs,
        max_tok=args.max_tok,
        seed=args.seed,
    )
    print(f"{figures['pairs']:.0f} pairs, {figures['left_out']:.0f} left out as too long")
    print(f"last batch: loss {figures['loss']:.3f}, {figures['accuracy']:.0%} ordered as the votes did")
    cost = Ledger(args.out / "ledger.jsonl").entries()[-1]
    print(f"reward model: {args.out} (training took {cost.model_flop:.3g} model FLOPs; charged to no run)")
    return 0


def _report(args: argparse.Namespace) -> int:
    from tao.report import render_run

    run: Path = args.run
    if not (run / "recipe.json").exists():
        raise InputError("no run here (recipe.json is missing)", str(run), "give the --out folder of 'tao tune'")
    print(render_run(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
