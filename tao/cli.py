"""`tao`: tune a model on prompts alone. Heavy libraries are imported when a run begins, never for help."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import sys
from collections.abc import Sequence

from tao.commands import explore, prompts, report, reward_model, score, train, tune
from tao.errors import InputError

EXAMPLES = """\
examples:
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine
  tao tune --model my-model --prompts pool.jsonl --answers sql --out runs/mine --dry-run
  tao tune --continue runs/mine --prompts new_logs.jsonl --out runs/next
  tao report runs/mine

The three stages of a round one by one, each on files, so that any of them can be swapped for your own:
  tao explore --model my-model --prompts pool.jsonl --out work/samples.jsonl
  tao score --prompts pool.jsonl --samples work/samples.jsonl --answers sql --out work/scores.jsonl
  tao train --model my-model --prompts pool.jsonl --samples work/samples.jsonl --scores work/scores.jsonl --out work/1
"""
SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="tao",
        description="Tune a language model on prompts alone (Test-time Adaptive Optimization).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in (tune, explore, score, train, prompts, reward_model, report):
        verb.add(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Exit status: 0 fine, 2 bad input or a disk that refuses, 130 stopped by Ctrl-C."""
    args = build_parser().parse_args(argv)
    words = shlex.join(["tao", *(sys.argv[1:] if argv is None else argv)])
    try:
        return int(args.run(args))
    except InputError as error:
        print(f"tao: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; what is finished is kept. Go on with:\n  {words}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        error.filename = error.filename or getattr(args, "out", None)
        if (told := _disk(error)) is None:
            raise
        print(f"tao: {told}", file=sys.stderr)
        return 2


def _disk(error: OSError) -> InputError | None:
    """What a file system refused, and what to do about it; None for other faults of the system."""
    where = str(error.filename or "")
    if error.errno in SPACE:
        return InputError(
            f"cannot be written ({error.strerror})",
            where,
            "free space, then run the same command: it goes on from there",
        )
    if error.errno in CLOSED:
        return InputError(
            f"not permitted ({error.strerror})", where, "name a folder you may write to, or files you may read"
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return InputError(f"cannot be used ({error.strerror})", where, "correct the path")
    return None


if __name__ == "__main__":
    sys.exit(main())
