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

if TYPE_CHECKING:
    from tao.loop import Progress
    from tao.meaning import Interpreter
    from tao.recipe import Recipe

EXAMPLES = """\
examples:
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine --dry-run
  tao report runs/mine
"""
TUNE_HELP = """\
Tunes a model without labels: it answers every prompt several times, answers that agree with each other
are taken for right, and the model is trained toward them; then again, round after round. The tuned model
costs as much per answer as before. Stop it at any moment: the same command goes on where it was.

pool.jsonl, one prompt a line (any other column is refused: labels have no place here):
  {"id": "q1", "messages": [{"role": "user", "content": "Schema:\\n...\\nQuestion: ..."}],
   "context": ["stall (stall_id INT, name STRING)"], "handles": {"database": "instances/market.json"}}

handles name what an answer is tried on, relative to the file: a database instance for SQL ("database",
"database_2"), a document for numbers ("document").
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
    tune.add_argument("--model", type=Path, required=True, metavar="DIR", help="transformers checkpoint to start from")
    tune.add_argument("--prompts", type=Path, required=True, metavar="FILE", help="the pool, JSONL (see above)")
    tune.add_argument("--answers", choices=["sql", "number"], required=True, help="what an answer is")
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

    report = verbs.add_parser(
        "report",
        help="show a run's rounds and costs",
        description="Prints a run's figures per round, all of them known without labels, and its ledger.",
        epilog="example: tao report runs/mine",
    )
    report.add_argument("run", type=Path, metavar="DIR", help="the folder given to --out")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Exit status: 0 fine, 2 bad input, 130 stopped by Ctrl-C."""
    args = build_parser().parse_args(argv)
    try:
        return _report(args.run) if args.verb == "report" else _tune(args)
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


def _recipe(args: argparse.Namespace) -> Recipe:
    from tao.recipe import Recipe, make_recipe, read_recipe

    recipe = read_recipe(args.recipe) if args.recipe else Recipe()
    names = ("samples", "rounds", "sampler")
    changed = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return make_recipe({**recipe.model_dump(), **changed}, "command line") if changed else recipe


def _interpreter(answers: str) -> Interpreter:
    if answers == "sql":
        from tao.sql.interpreter import SqlInterpreter

        return SqlInterpreter()
    from tao.answers.interpreter import NumberInterpreter

    return NumberInterpreter()


def _tune(args: argparse.Namespace) -> int:
    from tao.compute import ModelShape
    from tao.prompts import read_prompts
    from tao.report import render_plan, render_result

    recipe = _recipe(args)
    prompts = read_prompts(args.prompts)
    ModelShape.from_config(args.model)
    if args.budget_flop is not None and args.budget_flop <= 0:
        raise InputError("a budget must be positive", "--budget-flop", "write e.g. 2e13")
    if args.dry_run:
        print(render_plan(args.model, prompts, recipe, args.budget_flop))
        return 0
    # One process, one thread: what makes runs repeatable is also fastest when processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    from tao.loop import tune

    logging.disable_progress_bar()
    interpreter = _interpreter(args.answers)
    try:
        with _bars(args.out) as progress:
            result = tune(
                args.model,
                prompts,
                interpreter,
                recipe,
                args.out,
                seed=args.seed,
                budget_flop=args.budget_flop,
                progress=progress,
            )
    finally:
        interpreter.close()
    print(render_result(result))
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


def _report(run: Path) -> int:
    from tao.report import render_run

    if not (run / "recipe.json").exists():
        raise InputError("no run here (recipe.json is missing)", str(run), "give the --out folder of 'tao tune'")
    print(render_run(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
