"""`tao prompts`: what a usage log yields."""

from __future__ import annotations

import argparse
from pathlib import Path

from tao.commands.shared import Verbs, add_verb, log_options
from tao.errors import InputError

ABOUT = """\
Reads a usage log and says which prompts it yields, what was skipped and why (with the first lines of each kind), and
which columns were not read: answers, scores and people in a log never become part of a prompt.

Known by their columns: OpenAI chat, batch and completion files; Databricks inference tables (legacy, AI Gateway, Unity
AI Gateway); MLflow traces (v2, v3) and evaluation rows. Rows with an error status, without a body, or whose last turn
nobody has to answer are skipped; repeated ids and requests count once; trailing turns of the assistant are dropped.
"""
EXAMPLE = """\
examples:
  tao prompts inference_table.parquet
  tao prompts tickets.csv --request-column body --instructions "Name the team." --out pool.jsonl
"""


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(verbs, "prompts", run, help="show which prompts a usage log yields", about=ABOUT, example=EXAMPLE)
    parser.add_argument("log", type=Path, metavar="FILE", help="JSONL, JSON, CSV, TSV or Parquet")
    log_options(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write them as a pool")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.logs.read import read_log
    from tao.prompts import write_prompts

    if args.out is not None and args.out.exists():
        raise InputError("is there already", str(args.out), "name another file")
    read = read_log(args.log, args.request_column, args.instructions or "")
    print(read.summary())
    if args.out is not None:
        write_prompts(args.out, read.prompts)
        print(f"pool: {args.out}")
    return 0
