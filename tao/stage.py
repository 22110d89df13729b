"""A stage's file: rows appended one by one, resumable after a kill, never redone once finished.

Beside ``<name>.jsonl`` lie ``<name>.meta.json`` (the hash of everything the rows are made from) and,
when the stage is complete, ``<name>.done`` (row count and content hash). A torn last line is cut off
and owed again. A file made from other inputs is refused, never mixed. Nothing here holds a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tao.errors import InputError


def digest(value: Any) -> str:
    """16 hex digits of the content of a JSON-able value (key order does not count)."""
    body = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()[:16]


_HASH = re.compile(r"[0-9a-f]{8,64}")
_SHOWN_CHARS = 40


def changes(before: Any, now: Any, name: str = "") -> list[str]:
    """Where two records differ, for people: ``recipe.samples (8 before, 4 now)``; of hashes and long values the name.

    Args:
        before: JSON-able.
        now: JSON-able.
        name: What both are called.
    """
    if before == now:
        return []
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted({*before, *now})
        dot = f"{name}." if name else ""
        return [line for key in keys for line in changes(before.get(key), now.get(key), f"{dot}{key}")]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [line for at, (one, other) in pairs for line in changes(one, other, f"{name}[{at}]")]
    shown = [json.dumps(value, ensure_ascii=False) for value in (before, now)]
    opaque = any(isinstance(value, str) and _HASH.fullmatch(value) for value in (before, now))
    if opaque or max(map(len, shown)) > _SHOWN_CHARS:
        return [name]
    return [f"{name} ({shown[0]} before, {shown[1]} now)"]


def file_digest(path: Path) -> str:
    """16 hex digits of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def folder_digest(folder: Path, patterns: Iterable[str] = ("*.safetensors", "*.json", "*.jinja")) -> str:
    """16 hex digits over the names and bytes of a checkpoint's files (weights, tokenizer, config, template)."""
    found = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return digest([[path.name, file_digest(path)] for path in found])


def write_atomic(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old content or the new, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


class Stage:
    """One append-only JSONL file with its meta and done markers.

    Args:
        path: The ``.jsonl`` file; its folder is made.
        made_from: Everything the rows depend on (hashes, settings, seed), JSON-able.

    Raises:
        InputError: The file on disk was made from something else, or a finished file was altered.
    """

    def __init__(self, path: Path, made_from: Mapping[str, Any]) -> None:
        self.path = path
        self.made_from = dict(made_from)
        self.hash = digest(self.made_from)
        self._meta = path.with_suffix(".meta.json")
        self._done = path.with_suffix(".done")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._check_meta()

    def _check_meta(self) -> None:
        if not self._meta.exists():
            if self.path.exists() and self.path.stat().st_size:
                raise InputError("rows without a record of what they were made from", str(self.path), self._remedy())
            body = {"hash": self.hash, "made_from": self.made_from}
            write_atomic(self._meta, json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1) + "\n")
            return
        try:
            found = json.loads(self._meta.read_text(encoding="utf-8"))
            before = dict(found["made_from"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "unreadable record of what the rows were made from", str(self._meta), self._remedy()
            ) from error
        if found["hash"] != self.hash:
            # Through JSON, as the record on disk: there a tuple is a list.
            differing = changes(before, json.loads(json.dumps(self.made_from)))
            raise InputError(
                f"these rows were made from something else: {', '.join(differing) or 'hash'}",
                str(self.path),
                self._remedy(),
            )

    def _remedy(self) -> str:
        return f"use another output folder, or remove {self.path.parent} to start over"

    @property
    def done(self) -> bool:
        """Whether the stage is complete; checks that the rows are still those that were finished."""
        if not self._done.exists():
            return False
        marker = json.loads(self._done.read_text(encoding="utf-8"))
        if marker.get("made_from") != self.hash or marker.get("sha256") != file_digest(self.path):
            raise InputError("a finished file was altered", str(self.path), self._remedy())
        return True

    def rows(self) -> list[Any]:
        """The complete rows on disk; a torn last line is cut off the file."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        keep = data.rfind(b"\n") + 1
        if keep != len(data):
            with self.path.open("r+b") as handle:
                handle.truncate(keep)
        rows = []
        for number, line in enumerate(data[:keep].splitlines(), 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError("not JSON", f"{self.path}:{number}", self._remedy()) from error
        return rows

    def keep(self, count: int) -> None:
        """Cut the file to its first `count` rows (a chunk that was cut short is owed as a whole)."""
        if self.path.exists():
            lines = self.path.read_bytes().splitlines(keepends=True)
            if len(lines) > count:
                with self.path.open("r+b") as handle:
                    handle.truncate(sum(map(len, lines[:count])))

    def append(self, rows: Iterable[Any]) -> None:
        """Append a chunk of rows and flush it to disk.

        Raises:
            OSError: The disk refuses; it names the file.
        """
        text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
        try:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
        except OSError as error:
            error.filename = error.filename or str(self.path)  # a failed write does not say where
            raise

    def finish(self) -> None:
        """Mark the stage complete."""
        self.path.touch()
        marker = {"made_from": self.hash, "sha256": file_digest(self.path)}
        write_atomic(self._done, json.dumps(marker, sort_keys=True) + "\n")
