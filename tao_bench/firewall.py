"""The label firewall at run time: a process that tunes without labels cannot open them.

Python calls audit hooks on every `open` and directory listing (PEP 578); a hook cannot be removed. Python processes
that a sealed one starts (`accelerate launch` and its workers, above all) are sealed as they start: the environment says
what is sealed, and `firewall_guard/sitecustomize.py`, first on their path, does it.

Not reached are code in C (a database engine) and programs other than Python, which open files without asking, and
children with an environment of their own: the workers of SQL engines (handed one instance and no other file) and of
vLLM. That is why the proof in `tao_bench.firewall_check` also asks the kernel, and tunes with the labels blanked,
permuted and taken away.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SEALED = "labels"
VARIABLE = "TAO_BENCH_SEALED"
"""Environment variable by which a child is told what to seal: a list of what `seal` was called with, as JSON."""
GUARD = os.path.join(os.path.dirname(os.path.realpath(__file__)), "firewall_guard")  # noqa: PTH118, PTH120 - compared with path entries
"""The folder that does it at a child's start."""
_EVENTS = {"open", "os.listdir", "os.scandir", "os.open", "shutil.copyfile", "os.rename", "os.link", "os.symlink"}


class SealedLabels(PermissionError):
    """A process that must not see labels tried to open them."""


def is_sealed(name: str, data: str) -> bool:
    """Whether a path lies in the sealed folder of a task's data, or of data beside it.

    Beside it in the cache lie the task's other folds and versions, which may hold the same questions.
    """
    around = os.path.join(os.path.dirname(data), "")  # noqa: PTH118, PTH120 - it runs on every open of the process, so no Path objects
    real = os.path.realpath(name)
    return real.startswith(around) and real[len(around) :].split(os.sep)[1:2] == [SEALED]  # noqa: PTH206


def _is_one_of(real: str, further: tuple[str, ...], below: tuple[str, ...]) -> bool:
    return real in further or real.startswith(below)


def seal(data: Path, record: Path | None = None, also: Sequence[Path] = ()) -> None:
    """Refuse, from now to the end of this process and of its Python children, every access to the labels of a task.

    Args:
        data: The task's data folder.
        record: A file to which every opened path is appended, one a line (for the proof).
        also: Further files and folders that hold labels: the rows that the task was made of.
    """
    told = {
        "data": os.path.realpath(data),
        "record": os.path.realpath(record) if record else None,
        "also": [os.path.realpath(path) for path in also],
    }
    _seal(told)
    os.environ[VARIABLE] = json.dumps([*json.loads(os.environ.get(VARIABLE, "[]")), told])
    path = os.environ.get("PYTHONPATH")
    others = [entry for entry in path.split(os.pathsep) if entry != GUARD] if path else []
    os.environ["PYTHONPATH"] = os.pathsep.join([GUARD, *others])


def seal_as_told() -> None:
    """Seal what the process that started this one has sealed; for `firewall_guard/sitecustomize.py`."""
    for told in json.loads(os.environ.get(VARIABLE, "[]")):
        _seal(told)


def _seal(told: Mapping[str, Any]) -> None:
    root, record, further = told["data"], told["record"], tuple(told["also"])
    below = tuple(os.path.join(path, "") for path in further)  # noqa: PTH118 - compared with every opened name
    log = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if record else None

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        name = os.fsdecode(arguments[0])
        if log is not None:
            os.write(log, f"{event}\t{name}\n".encode())
        if is_sealed(name, root) or (further and _is_one_of(os.path.realpath(name), further, below)):
            raise SealedLabels(f"label firewall: a process that tunes without labels tried to open {name}")

    sys.addaudithook(hook)
