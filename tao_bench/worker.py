"""One process, one piece of work of one cell: started by `tao_bench.processes`, told its job as one JSON line.

The pieces: ``deploy`` (the shared starting model of a task), ``tune`` (a model that the cells of several tasks
share), ``model`` (an arm's tuning, unless it is shared, then its answers on the evaluated split) and ``verify`` (the
only process that opens labels of the evaluated split). Stdin stays open as a life line: when the runner dies, however
it dies, the worker and its own children end at once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.compute import Ledger
from tao.errors import InputError
from tao.stage import Stage, file_digest, write_atomic
from tao_bench.answering import answer, make_sampler
from tao_bench.arms import get_arm
from tao_bench.arms.contract import Arm, Progress, Workplace
from tao_bench.firewall import seal
from tao_bench.joint import FOLDER, mixed_workplace, model_name, open_mixture, shared_folder
from tao_bench.own_signals import tuning_signals
from tao_bench.registry import Task, open_task
from tao_bench.store import CellFolder, append_line, is_finished, read_rows, write_json
from tao_bench.task import Item, Label, Split, read_labels

RECORD_VARIABLE = "TAO_BENCH_RECORD_OPENS"
"""Names a file for the paths a label-free worker opens (see `tao_bench.firewall`)."""

STARTING_MODEL = "starting-model"
"""What `model` says where a cell answers with the model it started from: no tuning, or tuning kept it."""

EXIT_INPUT, EXIT_DISK_FULL, EXIT_BUSY = 3, 28, 4
_LOCK_WAIT_S = 30
"""How long to wait for an orphan of a killed run to notice that its life line is cut."""


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the cell: two processes never write the same files."""
    import fcntl

    with (folder / ".lock").open("a") as handle:
        give_up = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > give_up:
                    print(f"error: another process is at work in {folder}", file=sys.stderr)
                    raise SystemExit(EXIT_BUSY) from None
                time.sleep(0.2)
        yield


def _hold_life_line() -> None:
    """End this process group as soon as stdin closes."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.killpg(0, signal.SIGKILL) if os.getpgrp() == os.getpid() else os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


Report = Callable[[float, str], None]
"""Told the done share of the whole job (0 to 1) and a few words."""


def _reporter(path: Path, work: str) -> Report:
    """A callback that writes a small file at most three times a second."""
    last = 0.0

    def report(share: float, words: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.3 or share >= 1:
            last = now
            with contextlib.suppress(OSError):  # progress is a courtesy: a full disk is reported by real work
                write_atomic(path, json.dumps({"work": work, "share": share, "words": words}))

    return report


def _part(report: Report, start: float = 0.0, end: float = 1.0) -> Progress:
    """A stage's own progress as a part of the job's."""
    return lambda stage, done, everything: report(start + (end - start) * done / max(1, everything), stage)


def _cpu_s() -> float:
    """CPU seconds of this process and of its ended children (query engines)."""
    return sum(os.times()[:4])


def _peak_gb() -> float:
    """Most memory this process or any of its ended children has held (resident set)."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) * unit / 1e9


@contextlib.contextmanager
def _timed(folder: CellFolder, stage: str) -> Iterator[None]:
    """Note how long a stage took, and on what, in `timing.jsonl`."""
    started, cpu = time.time(), _cpu_s()
    yield
    append_line(
        folder.timing,
        {
            "stage": stage,
            "started": round(started, 3),
            "wall_s": round(time.time() - started, 3),
            "cpu_s": round(_cpu_s() - cpu, 3),
            "peak_gb": round(_peak_gb(), 3),
            "host": {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
        },
    )


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job as the runner told it.

    Attributes:
        work: A key of `WORKS`.
        folder: The cell's files.
        config: The cell's `cell.json`.
        task: Its task; opening it touches no label.
        base: Folder of the model the arm starts from.
        mixture: Of ``tune``: the tasks it tunes on, as `tao_bench.joint.open_mixture` reads them.
    """

    work: str
    folder: CellFolder
    config: dict[str, Any]
    task: Task
    base: Path
    mixture: tuple[Mapping[str, Any], ...] = ()


def read_assignment(message: Mapping[str, Any]) -> Assignment:
    """Unpack the runner's JSON line."""
    return Assignment(
        work=message["work"],
        folder=CellFolder(Path(message["folder"]), message["split"]),
        config=dict(message["config"]),
        task=open_task(
            Path(message["task_folder"]), Path(message["data"]), message["task_hash"], message.get("task_variant", "")
        ),
        base=Path(message["base"]),
        mixture=tuple(message.get("mixture", ())),
    )


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _evaluated(task: Task, config: Mapping[str, Any]) -> list[Item]:
    """The items of the evaluated split, in order."""
    evaluation = config["eval"]
    return task.items(evaluation["split"])[: evaluation["limit"]]


def deploy(job: Assignment, report: Report) -> None:
    """Make the deployed assistant all arms start from: the model tuned on the first labels of the train split."""
    from tao_bench.arms.sft import SftOptions
    from tao_bench.arms.sft import deploy as train

    if (job.folder.tune / "checkpoint").is_dir():
        return
    _one_thread()
    settings = {key: value for key, value in job.config["deployed"].items() if value is not None}
    with _timed(job.folder, "deploy"):
        train(_workplace(job, SftOptions(**settings), get_arm("sft"), seed=0, progress=_part(report)))


def _workplace(job: Assignment, options: Any, arm: Arm, *, seed: int, progress: Progress) -> Workplace:
    """What an arm gets: the sealed labels and the verifier only where it declares that it uses them."""

    def labels(split: Split) -> Mapping[str, Label]:
        return read_labels(job.task.data, split)

    return Workplace(
        options=options,
        base=job.base,
        folder=job.folder.tune,
        seed=seed,
        limits=job.task.spec.limits,
        answer_form=job.task.spec.answer,
        pool=tuple(job.task.pool()),
        train=tuple(job.task.items("train")) if arm.uses_labels else (),
        interpreter=job.task.interpreter,
        labels=labels if arm.uses_labels else None,
        verifier=job.task.verifier if arm.uses_verifier else None,
        progress=progress,
        ledger=Ledger(job.folder.ledger),
        reserved=job.config["deployed"]["labels"],
        sampler=_sampler(job.config)[0],
        engine=_sampler(job.config)[1],
        own_signals=lambda weight, veto: tuning_signals(job.task, weight, veto),
    )


def _sampler(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What the experiment samples with and its engine's options; named where they are not the default."""
    return config.get("sampler", "transformers"), config.get("vllm", {})


def _tuned(arm: Arm, place: Workplace, folder: CellFolder) -> None:
    """Tune, and note which checkpoint came of it."""
    assert arm.tune is not None
    with _timed(folder, "tune"):
        checkpoint = arm.tune(place)
    inside = checkpoint.is_relative_to(folder.root)
    name = checkpoint.relative_to(folder.root).as_posix() if inside else STARTING_MODEL
    write_atomic(folder.model, name + "\n")


def tune(job: Assignment, report: Report) -> None:
    """Obtain a model that the cells of several tasks share; label-free arms cannot open labels of any of them."""
    if job.folder.model.is_file():
        return
    config, arm = job.config, get_arm(job.config["arm"])
    write_json(job.folder.config, config)
    _one_thread()
    tasks, weights = open_mixture({"mixture": job.mixture})
    sampler, engine = _sampler(config)
    place = mixed_workplace(
        tasks,
        weights,
        arm,
        os.environ.get(RECORD_VARIABLE),
        options=arm.options.model_validate(config["arm_options"]),
        base=job.base,
        folder=job.folder.tune,
        seed=config["seed"],
        progress=_part(report),
        ledger=Ledger(job.folder.ledger),
        sampler=sampler,
        engine=engine,
    )
    _tuned(arm, place, job.folder)


def model(job: Assignment, report: Report) -> None:
    """Obtain the arm's model, then let it answer the evaluated split; label-free arms cannot open labels."""
    if is_finished(job.folder.answers):
        return
    arm = get_arm(job.config["arm"])
    if not arm.uses_labels:
        record = os.environ.get(RECORD_VARIABLE)
        seal(job.task.data, Path(record) if record else None, job.task.label_sources())
    options = arm.options.model_validate(job.config["arm_options"])
    if arm.sampler is None:
        _one_thread()
    tuned = 0.0
    shared = shared_folder(job.folder.root, job.config)
    if shared is not None:
        name = model_name(shared)
        inside = "" if name == STARTING_MODEL else f"../../{FOLDER}/{shared.name}/"
        write_atomic(job.folder.model, f"{inside}{name}\n")
    elif arm.tune is not None:
        tuned = 0.8
        if not job.folder.model.is_file():
            place = _workplace(job, options, arm, seed=job.config["seed"], progress=_part(report, 0, tuned))
            _tuned(arm, place, job.folder)
    else:
        write_atomic(job.folder.model, STARTING_MODEL + "\n")
    name = job.folder.model.read_text(encoding="utf-8").strip()
    folder = job.base if name == STARTING_MODEL else job.folder.root / name
    with _timed(job.folder, "answer"):
        sampler = arm.sampler(options) if arm.sampler else make_sampler(folder, *_sampler(job.config))
        try:
            answer(
                sampler,
                [item.prompt for item in _evaluated(job.task, job.config)],
                arm.decode,
                options=options,
                limits=job.task.spec.limits,
                seed=job.config["seed"],
                folder=job.folder.evaluation,
                ledger=Ledger(job.folder.ledger),
                interpreter=job.task.interpreter,
                progress=_part(report, tuned, 1),
            )
        finally:
            sampler.close()


def verify(job: Assignment, report: Report) -> None:
    """Judge the answers: the only process that opens labels of the evaluated split."""
    folder, config = job.folder, job.config
    items = _evaluated(job.task, config)
    answers = {row["item"]: row for row in read_rows(folder.answers)}
    stage = Stage(folder.rows, {"answers": file_digest(folder.answers), "frozen": config["frozen_id"]})
    if stage.done:
        return
    done = len(stage.rows())
    labels = read_labels(job.task.data, config["eval"]["split"])
    with _timed(folder, "verify"):
        verifier = job.task.verifier()
        try:
            for number, item in enumerate(items):
                if number < done:
                    continue
                given = answers[item.prompt.id]
                verdict = verifier.grade(
                    item.prompt, labels[item.prompt.id].gold, given["answer"], given["finish_reason"]
                )
                row = {
                    "cell": config["cell"],
                    "arm": config["arm"],
                    "task": config["task"],
                    "item": item.prompt.id,
                    "cluster": item.cluster,
                    "level": item.level,
                    "seed": config["seed"],
                    "answer": given["answer"],
                    "status": str(verdict.status),
                    "score": verdict.score,
                    "extracted": verdict.extracted,
                    "reason": verdict.reason,
                    "prompt_tok": given["prompt_tok"],
                    "completion_tok": given["completion_tok"],
                    "finish_reason": given["finish_reason"],
                    "frozen": config["frozen_id"],
                }
                stage.append([row])
                report((number + 1) / len(items), "verify")
            stage.finish()
        finally:
            verifier.close()


WORKS = {"deploy": deploy, "tune": tune, "model": model, "verify": verify}


def _disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a full disk (libraries in C and Rust say so in words only)."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    words = tuple(os.strerror(number) for number in numbers)
    while error is not None:
        if (isinstance(error, OSError) and error.errno in numbers) or any(word in str(error) for word in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def main(line: str | bytes) -> int:
    """Do one piece of work, told as a line of JSON; the exit status says how it went."""
    message = json.loads(line)
    _hold_life_line()
    where = Path(message["folder"])
    try:
        job = read_assignment(message)
        with _exclusive(job.folder.root):
            WORKS[job.work](job, _reporter(job.folder.progress, job.work))
            job.folder.progress.unlink(missing_ok=True)
    except Exception as error:
        if _disk_full(error):
            print(f"error: no space left on the disk ({where})", file=sys.stderr)
            return EXIT_DISK_FULL
        if not isinstance(error, InputError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer.readline()))
