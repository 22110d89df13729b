"""Published data from the Hugging Face hub, through `datasets`, kept as files so that all else reads a folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.firewall import SEALED
from tao_bench.task import HubSource

PROBE_S = 10.0
"""Seconds to wait for the hub's first answer; a network that swallows packets would otherwise hold a command up."""


class HubError(InputError):
    """The hub's copy of a data set cannot be loaded."""


def fetch(source: HubSource, root: Path) -> Path:
    """A folder with the data set's files: one JSONL file a split, or the files that `source` names.

    Args:
        source: The data set.
        root: Where it is kept; a data set that is there is not asked for again (delete its folder to refresh it).

    Raises:
        HubError: It is not there and cannot be loaded: no network, offline mode, no such data set or file.
    """
    name = f"hub-{source.id.strip('/').replace('/', '--')}@{source.revision.replace('/', '--')}"
    folder = (
        root / name / SEALED
    )  # published files hold golds: kept where no process that tunes without labels may look
    if folder.is_dir():
        return folder
    scratch = folder.parent / f".{os.getpid()}.tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        reach(source)
        for name, text in _files(source):
            (scratch / name).write_text(text, encoding="utf-8")
        scratch.rename(folder)
    except HubError:
        raise
    except Exception as error:  # whatever `datasets` and its transports raise ends as one readable error
        if folder.is_dir():
            return folder  # another process was faster
        raise _error(source, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):  # nothing came: leave no empty folder
            folder.parent.rmdir()
    return folder


def _error(source: HubSource, error: Exception) -> HubError:
    said = (" ".join(str(error).split()) or type(error).__name__)[:200]
    offline = next((name for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE") if os.environ.get(name)), "")
    fix = f"unset {offline} and go online" if offline else "go online"
    return HubError(f"the hub's copy of {source.id} could not be loaded ({said})", source.id, f"{fix} to load it")


def reach(source: HubSource) -> None:
    """Fail fast where the hub does not answer: `datasets` alone retries for minutes.

    Raises:
        HubError: No answer, or no such data set.
    """
    if Path(source.id).is_dir():
        return
    import huggingface_hub
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        try:
            huggingface_hub.HfApi().dataset_info(source.id, timeout=PROBE_S)
        except Exception as error:  # whatever the transport raises
            raise _error(source, error) from error


def _files(source: HubSource) -> Iterator[tuple[str, str]]:
    """Name and text of every file to keep."""
    import datasets

    if not source.files:
        local = Path(source.id).is_dir()
        splits = datasets.load_dataset(source.id, **({} if local else {"revision": source.revision}))
        for split, rows in splits.items():
            yield f"{split}.jsonl", "".join(_line(row) for row in rows)
        return
    base = source.id if Path(source.id).is_dir() else f"hf://datasets/{source.id}@{source.revision}"
    found, last = 0, None
    for name in source.files:
        try:
            rows = datasets.load_dataset("text", data_files=f"{base}/{name}", sample_by="document", split="train")
        except (FileNotFoundError, datasets.exceptions.DataFilesNotFoundError) as error:
            last = error  # sets grow: a file that is not there yet is no fault while another is
            continue
        found += 1
        yield Path(name).name, "".join(row["text"] for row in rows)
    if not found:
        raise last or FileNotFoundError(", ".join(source.files))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"
