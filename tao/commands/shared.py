"""What several verbs share: options, the recipe they amount to, progress bars, checks before compute is spent."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.forms import NEEDS, PLAIN

if TYPE_CHECKING:
    from tao.prompts import Prompt
    from tao.recipe import Recipe

    Progress = Callable[[str, int, int], None]

SIGNALS_ABOUT = """\
signals: NAME:weight=W moves the reward, NAME:veto=V takes an answer's vote away below V. NAME is grounded, recomputes,
answers_at_all, reward_model (with model=DIR), judge, or your own rule: package.module:function or file.py:function.
judge is a model behind an OpenAI-compatible server, which never sees a reference answer:
  judge:endpoint.url=http://localhost:8000/v1,endpoint.model=MODEL,endpoint.key_env=VARIABLE,weight=0.5
It gives a mark; mode=pairwise has it compare two answers, verdict=yes_no or verdict=probability has it say whether one
is right. endpoint.usd_per_m_in and endpoint.usd_per_m_out put a price into the ledger.
"""
"""What ``--signals`` takes, for the verbs that score."""

Verbs = Any
"""What ``ArgumentParser.add_subparsers`` returns; argparse has no public name for it."""


def add_verb(verbs: Verbs, name: str, run: Callable[..., int], *, help: str, about: str, example: str) -> Any:
    """A verb's parser with its help text and example.

    Args:
        verbs: Of the command.
        name: As it is typed.
        run: Does it, given the parsed options; returns the exit status.
        help: One line for the list of verbs.
        about: What it does, for its own help.
        example: Printed below the options.
    """
    parser = verbs.add_parser(
        name, help=help, description=about, epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def log_options(parser: argparse.ArgumentParser) -> None:
    """How a log is read."""
    parser.add_argument("--request-column", metavar="NAME", help="column with the request, of a table of no known kind")
    parser.add_argument("--instructions", metavar="TEXT", help="system message for requests that have none")


def answers_option(parser: argparse.ArgumentParser) -> None:
    """What an answer is."""
    parser.add_argument("--answers", choices=PLAIN, help="what an answer is: says how answers are compared")


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """Where the recipe comes from."""
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="YAML: fields that differ from the defaults")


def sampling_options(parser: argparse.ArgumentParser) -> None:
    """How many samples, and what draws them."""
    parser.add_argument(
        "--samples", type=int, metavar="N", help="samples per prompt and round, instead of the recipe's"
    )
    parser.add_argument(
        "--sampler",
        metavar="NAME",
        help="transformers (default), vllm, or endpoint (the recipe says which), instead of the recipe's",
    )


def signal_options(parser: argparse.ArgumentParser) -> None:
    """Signals and what a judge holds answers against."""
    parser.add_argument(
        "--signals",
        action="append",
        metavar="SPEC",
        help="a label-free signal beside the vote, as NAME:key=value,...; repeatable; replaces the recipe's",
    )
    parser.add_argument(
        "--guidelines",
        action="append",
        metavar="TEXT",
        help="what a judge holds answers against; repeatable; only with a judge among the signals",
    )


def build_recipe(
    recipe: Path | Mapping[str, Any] | None,
    changed: Mapping[str, Any],
    signals: Sequence[str | Mapping[str, Any]] | None = None,
    guidelines: Sequence[str] = (),
    default: Recipe | None = None,
) -> Recipe:
    """The recipe of a file, or of fields, with what the command says instead.

    Args:
        recipe: File or fields; None for `default`.
        changed: Field to value; None leaves the recipe's.
        signals: Specs that replace the recipe's signals; None leaves them.
        guidelines: For the recipe's signals that judge.
        default: Where no recipe is named; the defaults if None.

    Raises:
        InputError: An unknown field, a value out of range, or guidelines that nothing reads.
    """
    from tao.recipe import Recipe, make_recipe, read_recipe
    from tao.spec import guided, parse_signal

    if isinstance(recipe, Path):
        made = read_recipe(recipe)
    else:
        made = make_recipe(recipe, "recipe") if recipe is not None else default or Recipe()
    fields = {name: value for name, value in changed.items() if value is not None}
    if signals is not None:
        fields["signals"] = [parse_signal(one) if isinstance(one, str) else one for one in signals]
    if guidelines:
        kept = [signal.model_dump(exclude_defaults=True) for signal in made.signals]
        fields["signals"] = guided(fields.get("signals", kept), guidelines)
    return make_recipe({**made.model_dump(), **fields}, "command line") if fields else made


def read_pool(path: Path, request_column: str | None, instructions: str | None) -> list[Prompt]:
    """The prompts of a pool or log; what a log yielded is said on standard error."""
    import sys

    from tao.logs.read import read_log

    read = read_log(path, request_column, instructions or "")
    if read.format != "pool":
        print(read.summary(), file=sys.stderr)
    return read.prompts


def needed(value: Any, option: str, verb: str, why: str = "") -> None:
    """Refuse a missing option.

    Raises:
        InputError: `value` is None.
    """
    if value is None:
        raise InputError(f"{option} is needed" + (f": {why}" if why else ""), f"tao {verb}", f"see 'tao {verb} --help'")


def check_handles(prompts: Sequence[Prompt], answers: str) -> None:
    """Refuse prompts that do not point at what their answers are tried on, before compute is spent.

    Raises:
        InputError: A prompt lacks the handle, or it points at nothing.
    """
    handle = NEEDS.get(answers)
    for prompt in prompts:
        if handle is not None and not any(name.startswith(handle) for name in prompt.handles):
            raise InputError(
                f"the prompt has no handle {handle!r}, on which answers of the form {answers} are tried",
                prompt.id,
                f'add "handles": {{"{handle}": "FILE"}} to its row, or choose a form that needs none: --answers text',
            )
        for name, location in prompt.handles.items():
            if not Path(location).exists():
                raise InputError(
                    f"handle {name!r} points at nothing",
                    f"{prompt.id}: {location}",
                    "put the file there, or correct the path (relative to the pool's folder)",
                )


def quiet_libraries() -> None:
    """One thread and no bars of others.

    One process, one thread: what makes runs repeatable is also fastest when processes share the cores.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.disable_progress_bar()


@contextmanager
def bars(prefix: Callable[[], str] = lambda: "") -> Iterator[Progress]:
    """A bar per stage on a terminal, a line per stage elsewhere.

    Args:
        prefix: Put before a stage's name when it begins.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        current: list[Any] = ["", None]

        def show(stage: str, done: int, everything: int) -> None:
            if stage != current[0]:
                words = f"{prefix()}{stage}"
                if current[1] is not None:
                    shown.remove_task(current[1])
                current[:] = [stage, shown.add_task(words, total=everything)]
                if not console.is_terminal:
                    console.print(words)
            shown.update(current[1], completed=done, total=everything)

        yield show
