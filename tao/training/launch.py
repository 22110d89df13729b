"""One training stage over several processes: `accelerate launch` runs it, files carry it there and back.

The parent writes what is to be done (`job.pickle`), starts ``accelerate launch ... launch_worker``, passes progress on,
and reads what was done (`done.pickle`). The stage's own function runs in every process, on its share of each optimiser
step's rows; process 0 writes the checkpoint, a standard one. The parent holds no model meanwhile, and all memory is
free when the stage ends, for the sampler of the next round.

Rows are whole groups (a prompt with its answers), so no group is split across processes, which is what TRL's own
GRPO needs `num_generations` to divide for. The sum over a step's rows is the same as in one process, up to rounding:
bytes are promised for one process only.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml

from tao.errors import InputError
from tao.training.settings import Optim, Processes, Progress, TrainReport

INSIDE = "TAO_TRAINING_JOB"
"""Environment variable: set in the processes of a stage."""
PROGRESS = "tao-progress"
"""First word of the lines by which process 0 tells how far it is."""
Stage = Literal["offline", "sft"]


def inside() -> bool:
    """Whether this is one of the processes of a stage."""
    return INSIDE in os.environ


def check(optim: Optim) -> None:
    """Refuse a configuration that cannot be launched, before anything is spent.

    Raises:
        InputError: No such file, not an accelerate configuration, or for another number of processes.
    """
    if optim.processes is None or not optim.processes.config:
        return
    path = Path(optim.processes.config)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot be read ({' '.join(str(error).split())})", f"accelerate.config {path}") from error
    if not isinstance(found, Mapping) or "distributed_type" not in found:
        raise InputError(
            "is no accelerate configuration (it names no distributed_type)",
            f"accelerate.config {path}",
            "write one with `accelerate config --config_file FILE`",
        )
    wanted = optim.processes
    if found.get("num_processes") != wanted.num_processes:
        raise InputError(
            f"launches {found.get('num_processes')} processes, the recipe says {wanted.num_processes}",
            f"accelerate.config {path}",
            "give both the same number: rows of a step are shared by it",
        )
    if (found["distributed_type"] == "FSDP") is not wanted.fsdp:
        raise InputError(
            f"has distributed_type {found['distributed_type']}, the recipe says fsdp: {str(wanted.fsdp).lower()}",
            f"accelerate.config {path}",
            "FSDP goes with `fsdp: true`, MULTI_GPU with `fsdp: false`",
        )
    version = (found.get("fsdp_config") or {}).get("fsdp_version")
    if wanted.fsdp and version != 2:
        raise InputError(f"has fsdp_version {version}", f"accelerate.config {path}", "write fsdp_version: 2")
    if int(found.get("num_machines") or 1) != 1:
        raise InputError("spans several machines", f"accelerate.config {path}", "a stage is launched on one machine")


def _here(optim: Optim) -> Processes:
    """The processes asked for, held against this machine.

    Raises:
        InputError: See `check`; or it has fewer GPUs.
    """
    import torch

    assert optim.processes is not None
    check(optim)
    found = torch.cuda.device_count()
    if found and found < optim.processes.num_processes:
        raise InputError(
            f"asks for {optim.processes.num_processes} processes, one a GPU; {found} GPUs are here",
            "accelerate.num_processes",
            f"write at most {found}",
        )
    return optim.processes


def command(processes: Processes, precision: str) -> list[str]:
    """The words of ``accelerate launch`` up to the script."""
    start = [sys.executable, "-m", "accelerate.commands.launch"]
    if processes.config:
        return [*start, "--config_file", str(Path(processes.config).resolve()), "-m"]
    spread = ["--multi_gpu"] if not processes.fsdp else [
        "--use_fsdp", "--fsdp_version", "2", "--fsdp_reshard_after_forward", "true",
        "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP", "--fsdp_cpu_ram_efficient_loading", "true",
        "--fsdp_state_dict_type", "FULL_STATE_DICT",
    ]  # fmt: skip
    return [
        *start, "--num_processes", str(processes.num_processes), "--num_machines", "1", "--rdzv_backend", "static",
        "--main_process_port", "0", "--mixed_precision", "bf16" if precision == "bf16" else "no",
        "--dynamo_backend", "no", *spread, "-m",
    ]  # fmt: skip


def run(stage: Stage, optim: Optim, out: Path, progress: Progress | None, **arguments: Any) -> TrainReport:
    """Run a stage's function in the processes that `optim` asks for.

    Args:
        stage: ``offline`` (`tao.training.offline.train_offline`) or ``sft`` (`tao.training.sft.train_sft`).
        optim: Optimiser settings; `optim.processes` is set.
        out: Folder of the new checkpoint.
        progress: See `tao.training.settings.Progress`.
        arguments: The function's other arguments, to be pickled.

    Raises:
        InputError: What the function raised, or the processes died (the end of their log is in the message).
        Diverged: The loss stopped being a number; nothing was written.
    """
    processes = _here(optim)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="launch.", dir=out.parent) as folder:
        job, done, log = (Path(folder) / name for name in ("job.pickle", "done.pickle", "log.txt"))
        body = {"stage": stage, "optim": optim, "out": out.resolve(), "arguments": arguments, "parent": os.getpid()}
        job.write_bytes(pickle.dumps(body))
        words = [*command(processes, optim.precision), "tao.training.launch_worker", str(job)]
        status = _launch(words, log, progress)
        if done.exists():
            result: TrainReport | InputError = pickle.loads(done.read_bytes())
            if isinstance(result, InputError):
                raise result
            if status == 0:
                return replace(result, checkpoint=out)
        raise InputError(
            f"training in {processes.num_processes} processes failed (status {status}): {_last_words(log)}",
            str(out),
            "mend it and run the same command again; the rounds before are kept",
        )


def _launch(words: list[str], log: Path, progress: Progress | None) -> int:
    """Run the launcher to its end, passing progress on; its children end with it."""
    # So that `-m tao.training.launch_worker` finds this very package, wherever the user stands.
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **os.environ, INSIDE: "1"}
    environment["PYTHONPATH"] = path
    with log.open("wb") as errors:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True, start_new_session=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                word, *numbers = line.split()[:3] or [""]
                if word == PROGRESS and progress and len(numbers) == 2:
                    progress("train", int(numbers[0]), int(numbers[1]))
                elif word != PROGRESS:
                    errors.write(line.encode())
                    errors.flush()
            return process.wait()
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_words(log: Path) -> str:
    """The error of the first process that died: torchrun's own report of the others comes after it."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and "ChildFailedError" not in line]
    return " ".join(" ".join(errors[:1] or lines[-3:]).split())[:500] or "no word of why"
