"""Which files of a folder anybody opened, told by the kernel (Linux inotify, see inotify(7)).

Python's audit hooks see what Python opens. A database engine in C, a program that is not Python or a child without its
parent's environment opens files without asking; the kernel sees those too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_IN_OPEN, _IN_OVERFLOW = 0x20, 0x4000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 20
Opened = Callable[[], list[str]]
"""Returns the paths opened since it was called last, sorted, each once."""


def _library() -> Any:
    """The C library, where it knows inotify; else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "inotify_init1") else None


def can_watch() -> bool:
    """Whether this system tells who opens files."""
    return _library() is not None


@contextlib.contextmanager
def watching(folders: Sequence[Path]) -> Iterator[Opened]:
    """Note every file and folder that any process opens below some folders, while the block runs.

    Args:
        folders: Those that exist are watched, with all folders below them; the block itself must not look into them.

    Yields:
        See `Opened`; it returns nothing where `can_watch` says no.

    Raises:
        OSError: The kernel refused a watch (too many are in use).
    """
    library = _library()
    if library is None:
        yield list
        return
    places = {
        place: None for folder in folders if folder.is_dir() for place in (folder, *folder.rglob("*")) if place.is_dir()
    }
    handle = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        raise OSError(ctypes.get_errno(), "inotify cannot be used")
    try:
        names: dict[int, Path] = {}
        for place in places:
            number = library.inotify_add_watch(handle, os.fsencode(place), _IN_OPEN)
            if number < 0:
                raise OSError(ctypes.get_errno(), "inotify cannot watch", str(place))
            names[number] = place
        yield lambda: _drain(handle, names)
    finally:
        os.close(handle)


def _drain(handle: int, names: dict[int, Path]) -> list[str]:
    found: set[str] = set()
    with contextlib.suppress(BlockingIOError):
        while data := os.read(handle, _READ_BYTES):
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                if mask & _IN_OVERFLOW:
                    found.add("more files than the kernel could list")
                elif number in names:
                    found.add(str(names[number] / os.fsdecode(name)) if name else str(names[number]))
    return sorted(found)
