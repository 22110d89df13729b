"""Same seed twice, and killed at 20 random points: the same bytes, and every lost attempt in the books.

    python -m tests.benchmarks.exactness
    python -m tests.benchmarks.exactness --kills 100 --seed 7

A small run of `tao.loop.tune` (two rounds and the watch of the last model, on a model of 0.1 M parameters) is made in a
process of its own. Then again in another process and folder, with another hash seed. Then in folders whose processes
are killed (SIGKILL, nothing is told) while they explore, score, train and watch, each a random time after a random step
of that stage, and resumed, up to four kills a folder (the same stage twice, if it comes so). What is compared: every
file but times and lost work, so samples, scores, weights, ledger, and no file left over. Lost work is held against what
the files said at each kill: every attempt that had begun and was not finished is charged once, with no model FLOPs, at
what the whole attempt costs.

Exit status 1 if anything differs. Killed processes are forked from one that has its libraries loaded, so that 20 kills
take seconds; POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parents[1]))

from tao.compute import Entry, Ledger
from tao.loop import tune
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt
from tao.recipe import Recipe
from tao.rounds import LAST_ROUND

POOL = [Prompt(f"p{i}", (Message("user", f"say {chr(97 + i)}" + " again" * (i % 4)),)) for i in range(12)]
RECIPE = Recipe(
    rounds=2, samples=8, max_prompt_tok=48, max_new_tok=4, learning_rate=1e-3, batch_size=4, max_row_tok=96,
    watch_last=True,
)  # fmt: skip
STEPS = {"explore": 4, "score": 24, "train": 5, "watch": 16}
"""Times a stage speaks in a run, about: the random step at which it is killed is one of the first so many."""
LATEST_S = 0.04
"""Longest random time between the step and the kill: longer than a chunk or an optimiser step takes."""
OUTSIDE = ("timing.jsonl", "lost.jsonl")
"""What may differ: times, and what kills cost."""


class Toy:
    """Accepts digits; their meaning is the digit. Everything else does not work."""

    name, version = "toy", "1"

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        return [Reading(Outcome.OK, a) if a.isdigit() else Reading(Outcome.INVALID) for a in answers]

    def close(self) -> None:
        pass


def make_base(folder: Path) -> None:
    """A model that says 1 half of the time and 2 or x otherwise."""
    from conftest import write_model, write_tokenizer
    from training_toys import undecided

    vocab = write_tokenizer(folder / "tiny")
    write_model(folder / "tiny", vocab=vocab, ends=(1, *range(200, 216)))
    undecided(folder / "tiny", POOL, folder / "base")


def run(base: Path, out: Path, tell: Callable[[str, int, int], None] | None = None) -> None:
    tune(base, POOL, Toy(), RECIPE, out, seed=1, progress=tell)


def load_libraries() -> None:
    """Import all that a run imports; nothing is computed, as a process that has run a backward pass must not fork."""
    import datasets  # noqa: F401
    import torch
    import transformers.models.llama.modeling_llama  # noqa: F401
    from transformers.utils import logging
    from trl import SFTTrainer  # noqa: F401

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)


def forked(work: Callable[[Callable[[str, int, int], None]], None]) -> tuple[int, int]:
    """Do work in a child; returns its id, and the end of a pipe on which every step of a stage is one line."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    code = 1
    try:
        os.close(ours)
        work(lambda stage, done, everything: void(os.write(theirs, f"{stage}\n".encode())))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
    raise AssertionError


def void(_: object) -> None:
    """Nothing."""


def ended(child: int) -> int:
    """Wait for a child; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def to_the_end(work: Callable[[Callable[[str, int, int], None]], None]) -> bool:
    child, pipe = forked(work)
    with os.fdopen(pipe, "rb") as told:
        told.read()
    return ended(child) == 0


def killed(base: Path, out: Path, stage: str, step: int, after_s: float) -> bool:
    """Run and kill so long after a step of a stage; returns whether it died of that, not of having finished."""
    child, pipe = forked(lambda tell: run(base, out, tell))
    with os.fdopen(pipe, "rb") as told:
        for line in told:
            step -= line.decode().strip() == stage
            if not step:
                time.sleep(after_s)
                os.kill(child, signal.SIGKILL)
                break
        told.read()
    return ended(child) == -signal.SIGKILL


def durable(out: Path) -> dict[str, bytes]:
    """Every file of a run that must not depend on when or how often it was started."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in OUTSIDE
    }


def differing(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def begun(out: Path) -> set[tuple[str, int, str]]:
    """Attempts, as the ledger names them, that the files say had begun and had not finished."""
    found: set[tuple[str, int, str]] = set()
    for inflight in out.rglob("samples.inflight"):
        chunk, attempts = inflight.read_text().split()
        done = inflight.with_name("samples.chunks.jsonl")
        lines = done.read_bytes().splitlines(keepends=True) if done.exists() else []
        finished = {json.loads(line)["id"] for line in lines if line.endswith(b"\n")}
        number = int(inflight.parent.name.removeprefix("round-"))
        number += LAST_ROUND if inflight.parent.parent.name == "watch" else 0
        if chunk not in finished:
            found |= {("explore", number, f"chunk {chunk}, attempt {k}") for k in range(1, int(attempts) + 1)}
    for inflight in out.glob("round-*/training.inflight"):
        if not inflight.with_name("round.json").exists():
            number = int(inflight.parent.name.removeprefix("round-"))
            found |= {("train", number, f"attempt {k}") for k in range(1, int(inflight.read_text()) + 1)}
    return found


def wrong_books(out: Path, lost: set[tuple[str, int, str]]) -> list[str]:
    """What is wrong with the lost work of a run that was killed and resumed."""
    ledger = Ledger(out / "ledger.jsonl")
    charged = {(entry.stage, entry.round, entry.note): entry for entry in ledger.lost()}
    found = [f"not charged: {name}" for name in sorted(lost - set(charged))]
    found += [f"charged and never begun: {name}" for name in sorted(set(charged) - lost)]
    if len(charged) != len(ledger.lost()):
        found.append("an attempt is charged twice")
    for name, entry in charged.items():
        whole = cost_of(out, entry, ledger)
        if (entry.model_flop, entry.device_flop) != (0, whole):
            found.append(f"{name} is charged {entry.device_flop} device FLOPs, an attempt costs {whole}")
    return found


def cost_of(out: Path, entry: Entry, ledger: Ledger) -> int:
    """Device FLOPs of a whole attempt, from the records of the one that succeeded."""
    if entry.stage == "train":
        return next(e.device_flop for e in ledger.entries() if (e.stage, e.round) == ("train", entry.round))
    watch = entry.round >= LAST_ROUND
    number = entry.round - LAST_ROUND if watch else entry.round
    folder = out / "watch" / f"round-{number}" if watch else out / f"round-{number}"
    rows = [json.loads(line) for line in (folder / "samples.chunks.jsonl").read_text().splitlines()]
    return next(int(row["device_flop"]) for row in rows if f"chunk {row['id']}," in entry.note)


@dataclass
class Found:
    """What the proof came to."""

    faults: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    lost: Counter[str] = field(default_factory=Counter)


def prove(scratch: Path, kills: int, seed: int) -> Found:
    """Run it all in an empty folder."""
    rng, found = Random(seed), Found()
    base, first = scratch / "base", scratch / "first"
    load_libraries()
    if not to_the_end(lambda _: make_base(scratch)):
        raise RuntimeError("the toy model could not be made")
    alone = [sys.executable, "-m", "tests.benchmarks.exactness", "--one", str(base), str(first)]
    subprocess.run(alone, check=True, env={**os.environ, "PYTHONHASHSEED": str(seed % 1000 + 1)})
    wanted = durable(first)
    if not to_the_end(lambda tell: run(base, scratch / "second", tell)):
        raise RuntimeError("the run failed")
    found.faults += [f"same seed twice: {name} differs" for name in differing(wanted, durable(scratch / "second"))]
    number = 0
    while sum(found.kills.values()) < kills and number < kills:
        out, lost = scratch / f"killed-{number}", set[tuple[str, int, str]]()
        number += 1
        # A stage may be drawn twice: the second kill hits the second attempt.
        for stage in sorted(rng.choices(list(STEPS), k=4), key=list(STEPS).index):
            if sum(found.kills.values()) == kills:
                break
            if killed(base, out, stage, rng.randint(1, STEPS[stage]), rng.uniform(0, LATEST_S)):
                found.kills[stage] += 1
                lost |= begun(out)
            else:
                found.missed += 1
        if not to_the_end(lambda tell, out=out: run(base, out, tell)):  # type: ignore[misc]
            found.faults.append(f"{out.name}: cannot be resumed")
            continue
        found.faults += [f"{out.name}: {name} differs" for name in differing(wanted, durable(out))]
        found.faults += [f"{out.name}: {fault}" for fault in wrong_books(out, lost)]
        found.lost.update(stage for stage, _, _ in lost)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often a run is killed (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the points at which it is killed (default 0)")
    parser.add_argument("--one", type=Path, nargs=2, metavar=("MODEL", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        load_libraries()
        run(*args.one)
        return 0
    with tempfile.TemporaryDirectory(prefix="tao-exactness-") as scratch:
        found = prove(Path(scratch), args.kills, args.seed)
    print(f"same seed, two processes, two folders; then {sum(found.kills.values())} kills ({dict(found.kills)}),")
    print(f"{found.missed} came too late; attempts lost and charged: {dict(found.lost)}")
    for fault in found.faults:
        print(f"  {fault}")
    print("BROKEN" if found.faults else "holds: the same bytes, and the books are right")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
