"""The label firewall at run time: a process that tunes without labels cannot open them.

Python calls audit hooks on every `open` and directory listing (PEP 578); a hook cannot be removed.
Code in C (a database engine) may open files without asking, which is why the proof in
`tao_bench.firewall_check` also tunes with the labels blanked, permuted and taken away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEALED = "labels"
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
    """Refuse, from now to the end of this process, every access to the labels of a task.

    Args:
        data: The task's data folder.
        record: A file to which every opened path is appended, one a line (for the proof).
        also: Further files and folders that hold labels: the rows that the task was made of.
    """
    root = os.path.realpath(data)
    further = tuple(os.path.realpath(path) for path in also)
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
