"""A run's records: whose folder it is, which rounds are complete, what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tao.compute import Entry
from tao.errors import InputError
from tao.sampling.diversity import DiversityReport, StrategyReport
from tao.scoring.alarms import Alarm
from tao.scoring.evidence import Finding
from tao.scoring.stats import RoundStats
from tao.stage import changes, folder_digest, write_atomic

WATCHED = 200
"""Prompts that a watched model answers: a fall of the run rate by 15 points in 200 groups of samples is no accident."""
WATCH_ROUND = 1_000_000
"""Number of the watch before a promotion (`tao.flywheel.promote`), for seeds and the ledger: no tuning round has it."""
LAST_ROUND = 2 * WATCH_ROUND
"""The same for the watch of a run's last model (`tao.watch.watch_last`), plus the number of rounds it follows."""


@dataclass(frozen=True, slots=True)
class Round:
    """A finished round.

    Attributes:
        number: 0-based.
        checkpoint: The model it trained; None if it ended without training.
        stats: Label-free figures of its samples, which come from the model of the round before.
        alarms: What speaks against the model that sampled.
        training: Named figures of the optimisation.
        diversity: How different its samples are, by strategy; None in records from before there was such a report,
            and for the watch of a last model.
        parts: `stats` by part, where the pool is a mixture (`tao.mixture`).
        evidence: Where the round's evidence was thin (`tao.scoring.evidence`); written only where it was.
    """

    number: int
    checkpoint: Path | None
    stats: RoundStats
    alarms: tuple[Alarm, ...]
    training: Mapping[str, float]
    diversity: DiversityReport | None = None
    parts: Mapping[str, RoundStats] = field(default_factory=dict)
    evidence: tuple[Finding, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether training on it was refused for thin evidence."""
        return self.checkpoint is None and any(finding.level == "refuse" for finding in self.evidence)


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a run gave.

    Attributes:
        checkpoint: The model to deploy: the last good round's, or the starting model.
        stopped: ``rounds`` (all done), ``budget``, ``alarm``, ``kl_base`` (the cap on the drift from the first model
            was reached), ``no_signal`` (nothing to train on) or ``thin_evidence`` (too little to train on).
        rounds: The rounds, including one that only raised an alarm.
        tuning_flop: Model FLOPs charged so far, all stages.
        last: The watch of the model that the last round trained, as a round without training; None where the recipe
            does not ask for it, or that model was watched already.
    """

    checkpoint: Path
    stopped: str
    rounds: tuple[Round, ...]
    tuning_flop: int
    last: Round | None = None


def claim(out: Path, made_from: Mapping[str, Any]) -> None:
    """Record whose folder `out` is, or check that it is this run's.

    Raises:
        InputError: The folder holds a run made from something else.
    """
    record = out / "recipe.json"
    out.mkdir(parents=True, exist_ok=True)
    if record.exists():
        found = _record(record, "remove this folder to start over")
        differing = changes({k: found[k] for k in made_from if k in found}, json.loads(json.dumps(made_from)))
        if differing:
            raise InputError(
                f"this folder holds another run; what differs: {', '.join(differing)}",
                str(out),
                "use another folder, or remove this one to start over",
            )
    write_atomic(record, json.dumps(made_from, sort_keys=True, ensure_ascii=False, indent=1) + "\n")


def _record(path: Path, fix: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not JSON ({error})", str(path), fix) from error


def write_round(folder: Path, made_from: str, done: Round, entry: Entry | None) -> None:
    """Mark a round complete. Written last: without it the stage that was cut short is owed again."""
    body = {
        "made_from": made_from,
        "weights": folder_digest(done.checkpoint) if done.checkpoint else None,
        "stats": asdict(done.stats),
        "alarms": [asdict(alarm) for alarm in done.alarms],
        "training": dict(done.training),
        "entry": asdict(entry) if entry else None,
        **({"parts": {part: asdict(stats) for part, stats in done.parts.items()}} if done.parts else {}),
        **({"evidence": [asdict(finding) for finding in done.evidence]} if done.evidence else {}),
        **({"diversity": asdict(done.diversity)} if done.diversity else {}),
    }
    write_atomic(folder / "round.json", json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1) + "\n")


def read_round(folder: Path, made_from: str | None = None) -> tuple[Round, Entry | None] | None:
    """A finished round and its ledger entry, or None if it is still owed.

    Args:
        folder: ``round-<k>``.
        made_from: What it must have been made from; None to take it as it is.

    Raises:
        InputError: It was made from something else, or its checkpoint was altered.
    """
    path = folder / "round.json"
    if not path.exists():
        return None
    body = _record(path, f"remove {folder} and the later rounds to do them again")
    checkpoint = folder / "checkpoint" if body["weights"] else None
    intact = checkpoint is None or (checkpoint.is_dir() and folder_digest(checkpoint) == body["weights"])
    if (made_from is not None and body["made_from"] != made_from) or not intact:
        what = "the checkpoint was altered" if not intact else "the round was made from something else"
        raise InputError(what, str(folder), "remove this folder and the later rounds to do them again")
    number = int(folder.name.removeprefix("round-"))
    found = tuple(Alarm(**alarm) for alarm in body["alarms"])
    entry = Entry(**body["entry"]) if body["entry"] else None
    diversity = _diversity(body["diversity"]) if "diversity" in body else None
    parts = {part: RoundStats(**stats) for part, stats in body.get("parts", {}).items()}
    thin = tuple(Finding(**finding) for finding in body.get("evidence", ()))
    stats = RoundStats(**body["stats"])
    return Round(number, checkpoint, stats, found, body["training"], diversity, parts, thin), entry


def _diversity(body: Mapping[str, Any]) -> DiversityReport:
    by_name = {name: StrategyReport(**figures) for name, figures in body["strategies"].items()}
    return DiversityReport(**{**body, "strategies": by_name})


def write_result(out: Path, result: TuneResult) -> None:
    """Write ``result.json``: the model to deploy and why the run stopped."""
    inside = result.checkpoint.is_relative_to(out)
    body = {
        # The starting model lies outside the run: null means that tuning kept it.
        "checkpoint": result.checkpoint.relative_to(out).as_posix() if inside else None,
        "stopped": result.stopped,
        "rounds": len(result.rounds),
        "tuning_flop": result.tuning_flop,
    }
    write_atomic(out / "result.json", json.dumps(body, sort_keys=True, indent=1) + "\n")


@contextmanager
def timed(out: Path, stage: str, number: int) -> Iterator[None]:
    """Append a stage's seconds to ``timing.jsonl`` in a run's folder, which no hash covers."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    row = {
        "stage": stage,
        "round": number,
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
    }
    with (out / "timing.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")
