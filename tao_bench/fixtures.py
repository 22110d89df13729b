"""Fixtures of a task: candidate answers with the verdict each must get, as a flat file.

`fixtures.jsonl` of a task folder holds one JSON object a line::

    {"name": "shop", "tables": {"city": {"columns": [["name", "STRING"]], "rows": [["Norvik"]]}}}
    {"data": "shop", "gold": {"sql": "SELECT name FROM city"}, "candidate": "SELECT 1", "status": "wrong", "why": "x"}

A line with ``name`` declares data that later lines use: ``tables`` (a database instance) or ``document``. A
case has ``candidate`` and ``gold``, the ``status`` it must get and ``why``; ``reason`` (the verdict's reason code),
``finish_reason`` (``stop`` unless given) and its own inline ``tables`` or ``document`` are optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import Message, Prompt, read_jsonl
from tao_bench.verify.verdict import Status

CASE_FIELDS = {"data", "tables", "document", "gold", "candidate", "status", "reason", "why", "finish_reason"}
Case = tuple[str, Prompt, dict[str, Any]]


def read_fixtures(path: Path, folder: Path) -> list[Case]:
    """Read a task's fixtures and write the data they declare where a verifier looks for it.

    Args:
        path: ``fixtures.jsonl``.
        folder: Scratch folder that plays the task's data folder.

    Returns:
        (``file:line``, the prompt a response is judged for, the case) for each case. The gold of a case
        with tables names their instance under ``database``, as a label row does.

    Raises:
        InputError: Missing file, unknown field or status, undeclared data, or no case at all.
    """
    declared: dict[str, dict[str, str]] = {}
    cases: list[Case] = []
    for where, row in read_jsonl(path):
        if not isinstance(row, dict):
            raise InputError("a fixture must be a JSON object", where)
        if "name" in row:
            declared[str(row["name"])] = _write_data(row, folder, str(row["name"]), where)
            continue
        unknown = sorted(set(row) - CASE_FIELDS)
        missing = sorted({"gold", "candidate", "status", "why"} - set(row))
        if unknown or missing:
            fault = f"unknown field {unknown[0]!r}" if unknown else f"no field {missing[0]!r}"
            raise InputError(fault, where, f"a case has {', '.join(sorted(CASE_FIELDS))}")
        if row["status"] not in {status.value for status in Status}:
            raise InputError(f"unknown status {row['status']!r}", where, f"use one of {', '.join(Status)}")
        name = f"case{len(cases)}"
        handles = _write_data(row, folder, name, where) if {"tables", "document"} & set(row) else {}
        if "data" in row:
            if row["data"] not in declared:
                raise InputError(f"data {row['data']!r} is not declared above", where, 'declare {"name": ...} first')
            handles = declared[row["data"]]
        prompt = Prompt(name, (Message("user", f"Question: fixture {name}"),), (), handles)
        gold = row["gold"]
        if "database" in handles and isinstance(gold, Mapping):
            gold = {"database": str(Path("labels") / Path(handles["database"]).relative_to(folder)), **gold}
        cases.append((where, prompt, {**row, "gold": gold}))
    if not cases:
        raise InputError("holds no case", str(path), "a task needs candidates with the verdicts they must get")
    return cases


def _write_data(row: Mapping[str, Any], folder: Path, name: str, where: str) -> dict[str, str]:
    """Write inline tables or a document; return the handles a prompt about them has."""
    handles: dict[str, str] = {}
    for key, kind, places in (
        ("tables", "database", ("instances", "labels/instances")),
        ("document", "document", ("documents",)),
    ):
        if key in row:
            body = {"tables": row["tables"]} if key == "tables" else row["document"]
            for place in places:
                path = folder / place / f"{name}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
            handles[kind] = str(folder / places[0] / f"{name}.json")
    if not handles:
        raise InputError("declares neither tables nor a document", where)
    return handles
