"""Runs an experiment's cells in parallel processes, resumably, and tells how far it is.

The runner computes nothing itself: it starts `tao_bench.worker` processes, one per piece of work, watches
them, and may be killed at any moment. What is finished is known from files alone.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tao.errors import InputError
from tao.stage import digest
from tao_bench import processes
from tao_bench.joint import FOLDER
from tao_bench.plan import Prepared, Run, versions
from tao_bench.store import CellFolder, read_rows
from tao_bench.worker import EXIT_DISK_FULL

MAX_VERIFIER_ERROR = 0.005
_GRACE_S = 5.0
Work = Literal["deploy", "tune", "model", "verify"]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: one process.

    Attributes:
        key: Unique, ``<cell>/<work>``.
        work: What the worker does.
        folder: Where it writes.
        after: Keys of jobs that must be done before.
        weight: Expected seconds, for the time left.
        message: What the worker is told, JSON-able.
    """

    key: str
    work: Work
    folder: CellFolder
    after: tuple[str, ...]
    weight: float
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A piece of work that did not end well."""

    key: str
    reason: str
    log: Path


@dataclass(slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: Cells with all their verdicts.
        failures: What failed, in order.
        interrupted: Stopped by Ctrl-C or a signal.
        disk_full: A worker found no space left.
    """

    finished: int = 0
    failures: list[Failure] = field(default_factory=list)
    interrupted: bool = False
    disk_full: bool = False


@dataclass(slots=True)
class _Running:
    job: Job
    worker: processes.Worker
    share: float = 0.0
    words: str = ""


Listener = Callable[[float, float, Sequence[tuple[str, float, str]], Sequence[str]], None]
"""Told: done share of the whole, seconds left, what runs (key, share, words), and the keys of jobs that just ended."""


def jobs_of(run: Run, weigh: Callable[[Prepared, Work], float]) -> list[Job]:
    """The work an experiment still owes, cheapest arms' prerequisites first, longest cells first.

    Args:
        run: The prepared run.
        weigh: Expected seconds of a cell's work.
    """
    jobs: list[Job] = []
    deployed: dict[str, Job] = {}
    shared: dict[str, Job] = {}
    owed = [prepared for prepared in run.cells if not prepared.finished]
    for prepared in sorted(owed, key=lambda p: -weigh(p, "model")):
        cell = prepared.cell
        name = cell.task if cell.fold is None else f"{cell.task}-fold{cell.fold}"
        message = {
            "folder": str(prepared.folder.root.resolve()),
            "split": prepared.folder.split,
            "config": prepared.config,
            "task_folder": str(prepared.task.folder),
            "data": str(prepared.task.data),
            "task_hash": prepared.task.hash,
            "task_variant": prepared.task.variant,
            "base": str(run.model.path),
        }
        after: tuple[str, ...] = ()
        if cell.deployed.labels and not cell.options.REMOTE:
            settings = [prepared.config["deployed"], prepared.config["frozen"], versions("sft")]
            root = run.root / "deployed" / f"{name}-{digest(settings)[:8]}"  # made otherwise, kept elsewhere
            if name not in deployed:
                deployed[name] = Job(
                    key=f"{name}--deployed/deploy",
                    work="deploy",
                    folder=CellFolder(root, cell.eval.split),
                    after=(),
                    weight=weigh(prepared, "deploy"),
                    message={**message, "work": "deploy", "folder": str(root.resolve())},
                )
                jobs.append(deployed[name])
            after = (deployed[name].key,)
            message["base"] = str((root / "tune" / "checkpoint").resolve())
        if prepared.tuned is not None and not prepared.tuned.finished:
            tuned = prepared.tuned
            if tuned.key not in shared:
                told = {**message, **tuned.message(run.model.path)}
                key = f"{FOLDER}/{tuned.key}/tune"
                shared[tuned.key] = Job(key, "tune", tuned.folder, (), weigh(prepared, "tune"), told)
                jobs.append(shared[tuned.key])
            after = (shared[tuned.key].key,)
        model = Job(
            f"{cell.id}/model", "model", prepared.folder, after, weigh(prepared, "model"), {**message, "work": "model"}
        )
        verify = Job(
            f"{cell.id}/verify", "verify", prepared.folder, (model.key,), weigh(prepared, "verify"),
            {**message, "work": "verify"},
        )  # fmt: skip
        jobs += [model, verify]
    return jobs


def run_alone(message: Mapping[str, Any], log: Path, more: Mapping[str, str]) -> None:
    """Do one piece of work and wait for it.

    Args:
        message: What the worker is told.
        log: Where it writes.
        more: Further environment variables.

    Raises:
        InputError: It failed.
    """
    worker = processes.start(message, log, more, fork=True)
    try:
        code = worker.wait()
    except BaseException:
        worker.signal(signal.SIGKILL)
        worker.wait()
        raise
    finally:
        worker.close()
    if code:
        raise InputError(f"{message['work']} ended with status {code}: {_last_words(log, code)}", str(log))


def _start(job: Job, fork: bool) -> _Running:
    """Start a job's worker."""
    job.folder.root.mkdir(parents=True, exist_ok=True)
    return _Running(job, processes.start(job.message, job.folder.log, {}, fork=fork))


def _stop(running: Sequence[_Running]) -> None:
    """End workers: ask, then make sure."""
    for one in running:
        one.worker.signal(signal.SIGTERM)
    give_up = time.monotonic() + _GRACE_S
    for one in running:
        try:
            one.worker.wait(max(0.1, give_up - time.monotonic()))
        except TimeoutError:
            one.worker.signal(signal.SIGKILL)
            one.worker.wait()
        one.worker.close()


def _last_words(log: Path, code: int) -> str:
    """Why a worker failed: the last line it wrote, or how it ended."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        if code > 0 and lines:
            return (errors or lines)[-1].removeprefix("error: ")
    if code == -signal.SIGKILL:
        return "was killed (out of memory?)"
    return f"ended with status {code}"


def _read_progress(one: _Running) -> None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        told = json.loads(one.job.folder.progress.read_text(encoding="utf-8"))
        if told["work"] == one.job.work:
            one.share, one.words = float(told["share"]), str(told["words"])


def verifier_errors(folder: CellFolder) -> tuple[int, int, str]:
    """Verifier errors of a finished cell: how many, of how many rows, and the first item's id."""
    rows = read_rows(folder.rows)
    bad = [row["item"] for row in rows if row["status"] == "verifier_error"]
    return len(bad), len(rows), bad[0] if bad else ""


@contextlib.contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Hold a run's folder: a second command on it is refused instead of mixed in.

    Raises:
        InputError: Another command holds it.
    """
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            fix = "wait for it, or name another folder with --out"
            raise InputError("another command is running this experiment", str(root), fix) from error
        yield


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that workers are ended in either case."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def execute(run: Run, jobs: Sequence[Job], parallel: int, listen: Listener) -> Outcome:
    """Do the work an experiment owes, several processes at a time.

    A piece of work that fails takes only what depends on it along. A full disk stops the run: what is
    finished stays.

    Args:
        run: The prepared run.
        jobs: From `jobs_of`.
        parallel: Processes at a time.
        listen: See `Listener`; called about five times a second.
    """
    outcome = Outcome()
    clock = Clock(jobs, parallel)
    waiting = list(jobs)
    done: set[str] = set()
    broken: set[str] = set()
    running: list[_Running] = []
    owed = {job.key for job in jobs}
    fork = any(job.work != "verify" for job in jobs)
    try:
        with _terminate_as_interrupt():
            while waiting or running:
                for job in [job for job in waiting if broken & set(job.after)]:
                    waiting.remove(job)
                    broken.add(job.key)
                ready = [j for j in waiting if all(a in done or a not in owed for a in j.after)]
                ready.sort(key=lambda job: job.work != "verify")  # verdicts are short and finish a cell
                for job in ready[: parallel - len(running)]:
                    waiting.remove(job)
                    running.append(_start(job, fork))
                ended: list[str] = []
                for one in [one for one in running if one.worker.poll() is not None]:
                    running.remove(one)
                    one.worker.close()
                    status = one.worker.wait()
                    ended.append(one.job.key)
                    if status == 0:
                        done.add(one.job.key)
                        clock.ended(one.job)
                    else:
                        broken.add(one.job.key)
                        outcome.failures.append(
                            Failure(one.job.key, _last_words(one.job.folder.log, status), one.job.folder.log)
                        )
                        if status == EXIT_DISK_FULL:
                            outcome.disk_full = True
                            waiting.clear()
                for one in running:
                    _read_progress(one)
                clock.running = {one.job.key: (one.job.weight, one.share) for one in running}
                listen(clock.share(), clock.left_s(), [(o.job.key, o.share, o.words) for o in running], ended)
                if not ended:
                    time.sleep(0.2)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        _stop(running)
    _judge(run, outcome)
    return outcome


def _judge(run: Run, outcome: Outcome) -> None:
    """Count finished cells; one with too many verifier errors is a failure however its process ended."""
    for prepared in run.cells:
        if prepared.finished:
            outcome.finished += 1
            bad, rows, first = verifier_errors(prepared.folder)
            if bad > MAX_VERIFIER_ERROR * rows:
                reason = f"the verifier failed on {bad} of {rows} items (first: {first}); more than 0.5 % is no result"
                outcome.failures.append(Failure(f"{prepared.cell.id}/verify", reason, prepared.folder.log))


class Clock:
    """Done share and time left, from the expected seconds of each job and how they turned out."""

    def __init__(self, jobs: Sequence[Job], parallel: int) -> None:
        self.total = sum(job.weight for job in jobs) or 1.0
        self.parallel = min(parallel, sum(job.work == "model" for job in jobs) or 1)
        self.finished = 0.0
        self.running: dict[str, tuple[float, float]] = {}
        self.started = time.monotonic()

    def ended(self, job: Job) -> None:
        """A job is done."""
        self.finished += job.weight

    def share(self) -> float:
        """Done share of all work, 0 to 1."""
        return min(1.0, (self.finished + sum(weight * share for weight, share in self.running.values())) / self.total)

    def left_s(self) -> float:
        """Seconds left: as expected at first, by the pace kept so far as soon as there is one."""
        share, elapsed = self.share(), time.monotonic() - self.started
        expected = self.total * (1 - share) / self.parallel
        if share < 0.02:
            return expected
        trust = min(1.0, share / 0.2)
        return trust * elapsed * (1 - share) / share + (1 - trust) * expected
