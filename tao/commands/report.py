"""`tao report`: a run's rounds and costs."""

from __future__ import annotations

import argparse
from pathlib import Path

from tao.commands.shared import Verbs, add_verb
from tao.errors import InputError

ABOUT = "Prints a run's figures per round, all of them known without labels, and its ledger."


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    example = "example: tao report runs/mine"
    parser = add_verb(verbs, "report", run, help="show a run's rounds and costs", about=ABOUT, example=example)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder given to --out")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.report import render_run

    if not (args.folder / "recipe.json").exists():
        raise InputError(
            "no run here (recipe.json is missing)", str(args.folder), "give the --out folder of 'tao tune'"
        )
    print(render_run(args.folder))
    return 0
