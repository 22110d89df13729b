"""Rows of a file, whatever holds them: JSONL, JSON, CSV, TSV, Parquet; a row that cannot be read is a counted skip."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
MAX_FIELD = 16 * 2**20
"""Longest CSV field in characters: inference tables keep bodies of up to 10 MiB."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        where: ``file:line`` (``file, row N`` where a file has no lines).
        fields: Column to value; empty where the row is unreadable.
        fault: Why it is unreadable, '' if it is not.
    """

    where: str
    fields: dict[str, Any]
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, one by one, by its suffix.

    Raises:
        InputError: Missing file, unknown suffix, or a file that is damaged as a whole.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".json": _json}
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"unknown kind of file {path.suffix!r}", str(path), f"use one of {', '.join(SUFFIXES)}")
    try:
        yield from readers.get(suffix, _jsonl)(path)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be read ({error.strerror or error})", str(path)) from error


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, 1):
            if raw.strip():
                yield _parsed(raw, f"{path}:{number}", first=number == 1)


def _parsed(raw: bytes, where: str, first: bool) -> Row:
    try:
        value = json.loads(raw.decode("utf-8-sig" if first else "utf-8"))
    except UnicodeDecodeError:
        return Row(where, {}, "not UTF-8")
    except (ValueError, RecursionError):
        return Row(where, {}, "not JSON")
    return _checked(value, where)


def _checked(value: Any, where: str) -> Row:
    return Row(where, value) if isinstance(value, dict) else Row(where, {}, "not a JSON object")


def _json(path: Path) -> Iterator[Row]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not JSON ({error})", str(path), "rename it to .jsonl if it holds one object a line"
        ) from error
    if not isinstance(loaded, list):
        raise InputError("not a list of rows", str(path))
    for number, value in enumerate(loaded, 1):
        yield _checked(value, f"{path}, row {number}")


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            header = next(reader, None)
            if not header:
                raise InputError("no header line", str(path))
            for cells in reader:
                if not cells:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(cells) != len(header):
                    yield Row(where, {}, f"{len(cells)} cells under {len(header)} columns")
                else:
                    yield Row(where, dict(zip(header, cells, strict=True)))
        except csv.Error as error:
            raise InputError(f"not CSV ({error})", f"{path}:{reader.line_num}") from error
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", str(path), "save it as UTF-8") from error


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for fields in batch.to_pylist():
                number += 1
                yield Row(f"{path}, row {number}", fields)
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError) as error:
        raise InputError(f"not Parquet ({str(error).splitlines()[0]})", str(path)) from error
