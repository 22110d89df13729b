"""A bounded cache, and hashes of files: what makes repeated work free without letting it go stale."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_SETTLED_NS = 2_000_000_000  # a file changed less long ago may change again within one tick of its clock
_FILES = 4_096


class Cache(Generic[K, V]):
    """Values by key; the ones used longest ago go first. Not safe across threads.

    Args:
        most: Total weight that is kept; 0 keeps nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0  # of all that is kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """The value of a key; None where there is none."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keep a value, unless it alone weighs more than may be kept."""
        before = self._kept.pop(key, None)
        self.weight -= before[1] if before is not None else 0
        if weight > self._most:
            return
        self._kept[key] = (value, weight)
        self.weight += weight
        while self.weight > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self.weight -= gone


class Digests:
    """Content hashes of files; a file is read again only when it may have changed. Not safe across threads."""

    def __init__(self) -> None:
        self._known: Cache[str, tuple[tuple[int, ...], str]] = Cache(_FILES)

    def of(self, path: str) -> str:
        """SHA-256 of a file's bytes, in hexadecimal; '' where it cannot be read.

        Times and size stand for the content only once the file is old enough: two writes within one tick
        of the file system's clock leave the same times.
        """
        try:
            stat = os.stat(path)  # noqa: PTH116 - at every statement, and a Path costs more than the look itself
            mark = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, stat.st_dev)
            known = self._known.get(path)
            if known is not None and known[0] == mark:
                return known[1]
            now = time.time_ns()
            digest = digest_of(Path(path).read_bytes())
        except OSError:
            return ""
        if now - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
            self._known.put(path, (mark, digest))
        return digest


def digest_of(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
