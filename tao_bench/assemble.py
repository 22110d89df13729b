"""From `task.yaml` with `data` to the layout every task has on disk (`tao_bench.task`): prompts here, labels there.

A column that the target or the gold is made of may not be used by the prompt: that is how labels leak.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao_bench.source import DataSpec, Shares
from tao_bench.tables import Row, read_table
from tao_bench.task import LABELLED_SPLITS, Split, TaskSpec, key_lines
from tao_bench.templates import Render, Templates, render

SPLITS: tuple[Split, ...] = ("pool", *LABELLED_SPLITS)
NO_ANSWER = ("database", "databases", "tolerance", "unit", "scale")
"""Fields of a gold that say how to judge, not what is right; a prompt may use their columns."""


def split_rows(rows: Sequence[Row], shares: Shares, cluster: str, seed: int, where: str) -> dict[Split, list[Row]]:
    """Split one table's rows by cluster, in a seeded order; rows keep their order within a split.

    Raises:
        InputError: Fewer clusters than splits, or no such column.
    """
    home: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        name = str(_column(row, cluster, "cluster")) if cluster else str(place)
        home.setdefault(name, []).append(place)
    names = sorted(home)
    if len(names) < len(SPLITS):
        raise InputError(
            f"{len(names)} clusters cannot fill {len(SPLITS)} splits",
            where,
            "give `columns.cluster` a finer column, or more rows",
        )
    random.Random(f"split/{seed}").shuffle(names)
    wanted = {split: getattr(shares, split) * len(rows) for split in SPLITS}
    taken: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        empty = [split for split in SPLITS if not taken[split]]
        # the split that lacks most gets the cluster; at the end those that have none
        among = empty if len(empty) == left else SPLITS
        taken[max(among, key=lambda split: wanted[split] - len(taken[split]))] += home[name]
    return {split: [rows[place] for place in sorted(places)] for split, places in taken.items()}


def _column(row: Row, name: str, what: str) -> Any:
    if name not in row.values:
        raise InputError(
            f"no column {name!r}, which `columns.{what}` names",
            row.where,
            f"columns are {', '.join(sorted(row.values))}",
        )
    return row.values[name]


def _as_text(value: Any, answer: str) -> str:
    """A gold as the answer that fine-tuning trains on."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and answer == "choice":
        return ", ".join(map(str, value))
    if isinstance(value, list) and answer == "text" and value:
        return str(value[0])
    return json.dumps(value, ensure_ascii=False)


class _Maker:
    """The templates of a task, compiled against its columns."""

    def __init__(self, folder: Path, spec: TaskSpec, columns: set[str]) -> None:
        self.folder, self.spec = folder, spec
        lines = key_lines((folder / "task.yaml").read_text(encoding="utf-8"))
        self.templates = Templates(folder, lambda key: _line(lines, key))
        turns = spec.prompt if isinstance(spec.prompt, tuple) else ()
        self.turns: list[tuple[str, str, str]] = [
            (t.role, f"prompt.{i}.content", t.content) for i, t in enumerate(turns)
        ]
        if isinstance(spec.prompt, str):
            self.turns = [("user", "prompt", spec.prompt)]
        shown = [(key, text) for _, key, text in self.turns]
        shown += [("context", spec.context)] + [(f"handles.{name}", text) for name, text in spec.handles.items()]
        golds = self._gold_texts()
        secret = {column: key for key, text in golds if key.rpartition(".")[2] not in NO_ANSWER
                  for column in self.templates.variables(key, text)}  # fmt: skip
        for key, text in shown:
            leaked = sorted(self.templates.variables(key, text) & set(secret))
            if leaked:
                raise InputError(
                    f"`{key}` shows the column {leaked[0]!r}, of which `{secret[leaked[0]]}` is made: the label leaks",
                    self.templates.where(key),
                    f"take {leaked[0]!r} out of `{key}`",
                )
        make = self.templates.make
        self.context = make("context", spec.context, columns)
        self.messages = [(role, key, make(key, text, columns | {"context"})) for role, key, text in self.turns]
        self.handles = {name: make(f"handles.{name}", text, columns) for name, text in spec.handles.items()}
        self.golds: dict[str, Render] = {key: make(key, text, columns) for key, text in golds}

    def _gold_texts(self) -> list[tuple[str, str]]:
        """Key and template of everything a label is made of; a plain column name is a template of that column."""
        gold, target = self.spec.gold, self.spec.target
        found = []
        if isinstance(gold, str):
            found.append(("gold", gold if "{" in gold else f"{{{{ {gold} }}}}"))
        else:
            found += [(f"gold.{name}", text) for name, text in gold.items() if isinstance(text, str)]
        if target:
            found.append(("target", target if "{" in target else f"{{{{ {target} }}}}"))
        return found

    def prompt(self, row: Row, name: str) -> dict[str, Any]:
        """The prompt of a row, as a pool holds it."""
        context = str(render(self.context, row.values, "context", row.where)).strip("\n")
        values = {**row.values, "context": context}
        messages = [
            {"role": role, "content": str(render(template, values, key, row.where)).strip("\n")}
            for role, key, template in self.messages
        ]
        found: dict[str, Any] = {"id": name, "messages": messages}
        if context:
            found["context"] = context.split("\n")
        handles = {key: self._handle(template, key, row) for key, template in self.handles.items()}
        return {**found, "handles": handles} if handles else found

    def _handle(self, template: Render, key: str, row: Row) -> str:
        path = str(render(template, row.values, f"handles.{key}", row.where))
        inside = (self.folder / path).resolve()
        if not inside.is_relative_to(self.folder) or not inside.is_file() or path.split("/", maxsplit=1)[0] == "labels":
            raise InputError(f"`handles.{key}` points at {path!r}, which is no file of the task", row.where)
        return path

    def label(self, row: Row, name: str) -> dict[str, Any]:
        """The sealed label of a row."""
        made = {key: render(template, row.values, key, row.where) for key, template in self.golds.items()}
        if isinstance(self.spec.gold, str):
            gold = made["gold"]
        else:
            gold = {key: made.get(f"gold.{key}", value) for key, value in self.spec.gold.items()}
        if isinstance(gold, str) and (self.spec.answer == "json" or self.spec.verifier == "rubric"):
            try:
                gold = json.loads(gold)
            except ValueError as error:
                raise InputError(f"the gold is no JSON ({error})", row.where) from error
        if gold is None or gold == "":
            raise InputError("the gold is empty", row.where, "drop the row, or fill in the column")
        return {"id": name, "gold": gold, "target": _as_text(made.get("target", gold), self.spec.answer)}


def _line(lines: Mapping[tuple[str | int, ...], int], key: str) -> int:
    path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)


def read_splits(data: DataSpec, spec: TaskSpec, folder: Path) -> dict[Split, list[Row]]:
    """The rows of every split.

    Raises:
        InputError: See `read_table` and `split_rows`.
    """
    tables = {name: read_table(table, folder) for name, table in data.tables().items()}
    if data.rows is None:
        return {split: tables[split] for split in SPLITS}
    where = str(folder / data.rows.file) if data.rows.file else data.rows.hub
    return split_rows(tables["rows"], data.shares or Shares(), spec.columns.cluster, spec.seed, where)


def _ids(rows: Sequence[Row], column: str, stem: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        name = str(_column(row, column, "id")) if column else f"{stem}-{number}"
        if name in seen:
            raise InputError(f"id {name!r} stands in {seen[name]} too", row.where, "make the ids unique")
        seen[name] = row.where
        yield name


def assemble(folder: Path, spec: TaskSpec, out: Path) -> None:
    """Write a task's data from its `task.yaml`, rows and templates.

    Args:
        folder: The task's folder.
        spec: Its `task.yaml`, with `data`.
        out: Empty folder to write to.

    Raises:
        InputError: Rows, columns or templates are at fault; says where.
    """
    if spec.data is None:
        raise InputError("has no `data`", str(folder / "task.yaml"))
    splits = read_splits(spec.data, spec, folder)
    labelled = splits["train"] + splits["dev"] + splits["test"]
    columns = set.intersection(*(set(row.values) for row in labelled))
    maker = _Maker(folder.resolve(), spec, columns)
    shared = spec.data.rows is not None
    names = {id(row): name for row, name in zip(
        (row for split in SPLITS for row in splits[split]),
        _ids([row for split in SPLITS for row in splits[split]], spec.columns.id, "row"), strict=True,
    )} if shared else {}  # fmt: skip
    handles: set[str] = set()
    (out / "labels").mkdir()
    for split in SPLITS:
        ids = [names[id(row)] for row in splits[split]] if shared else list(_ids(splits[split], spec.columns.id, split))
        prompts, labels = [], []
        for row, name in zip(splits[split], ids, strict=True):
            prompt = maker.prompt(row, name)
            handles |= set(prompt.get("handles", {}).values())
            if split != "pool":
                cluster = _column(row, spec.columns.cluster, "cluster") if spec.columns.cluster else name
                level = _column(row, spec.columns.level, "level") if spec.columns.level else "1"
                prompt |= {"cluster": str(cluster), "level": str(level)}
            prompts.append(prompt)
            if split != "pool" or _has_label(maker, row):
                labels.append(maker.label(row, name))
        _write(out / f"{split}.jsonl", prompts)
        _write(out / "labels" / f"{split}.jsonl", labels)
    for path in sorted(handles):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, out / path)
    if (folder / "labels").is_dir():  # second instances and the like, for the verifier alone
        shutil.copytree(folder / "labels", out / "labels", dirs_exist_ok=True)


def _has_label(maker: _Maker, row: Row) -> bool:
    """A pool may lack the columns that labels are made of; where it has them they are sealed like any others."""
    needed = {column for key, text in maker._gold_texts() for column in maker.templates.variables(key, text)}
    return all(row.values.get(column) not in (None, "") for column in needed)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
