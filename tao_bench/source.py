"""Where a task's rows come from, as `task.yaml` says it: files, tables of a database, the hub, one file to be split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Table(BaseModel):
    """A table of rows: a JSONL, CSV or Parquet file, a table or query of DuckDB or SQLite, a split on the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str = ""
    """Path, relative to the task's folder."""
    table: str = ""
    """Table of a database file."""
    query: str = ""
    """Query of a database file, instead of a table."""
    hub: str = ""
    """Id of a data set on the Hugging Face hub, instead of a file."""
    config: str = ""
    """Its configuration."""
    split: str = ""
    """Its split."""
    revision: str = "main"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"file": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _one_place(self) -> Table:
        if bool(self.file) == bool(self.hub):
            raise ValueError("name a file or a hub id: either `file: rows.csv` or `hub: org/name` with its `split`")
        if self.hub and not self.split:
            raise ValueError("say which `split` of the hub's data set")
        if self.hub and (self.table or self.query):
            raise ValueError("`table` and `query` are for database files")
        database = self.file.endswith((".duckdb", ".db", ".sqlite", ".sqlite3"))
        if database != (bool(self.table) != bool(self.query)) and (database or self.table or self.query):
            raise ValueError("a DuckDB or SQLite file takes either `table` or `query`; other files take neither")
        return self


class Shares(BaseModel):
    """Parts of one table, drawn by cluster; they add up to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pool: float = Field(default=0.5, gt=0, lt=1)
    train: float = Field(default=0.2, gt=0, lt=1)
    dev: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        total = self.pool + self.train + self.dev + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares add up to {total:g}, not 1")
        return self


class DataSpec(BaseModel):
    """The rows of a task: a table a split, or one table and shares."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: Table | None = None
    """One table for all splits; `shares` says how it is split, by cluster and by the task's seed."""
    shares: Shares | None = None
    pool: Table | None = None
    train: Table | None = None
    dev: Table | None = None
    test: Table | None = None

    @model_validator(mode="after")
    def _either(self) -> DataSpec:
        given = [name for name in ("pool", "train", "dev", "test") if getattr(self, name) is not None]
        if self.rows is not None and given:
            raise ValueError(f"either `rows` or a table a split, not `rows` and `{given[0]}`")
        if self.rows is None and len(given) < 4:
            lacks = next(name for name in ("pool", "train", "dev", "test") if name not in given)
            raise ValueError(f"no table for `{lacks}`: name pool, train, dev and test, or `rows` to split one table")
        if self.rows is None and self.shares is not None:
            raise ValueError("`shares` goes with `rows`")
        return self

    def tables(self) -> Mapping[str, Table]:
        """The tables by split, or the one table under ``rows``."""
        if self.rows is not None:
            return {"rows": self.rows}
        every = {"pool": self.pool, "train": self.train, "dev": self.dev, "test": self.test}
        return {name: table for name, table in every.items() if table is not None}


class Columns(BaseModel):
    """Which columns name an item, its cluster and its level; '' where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = ""
    """Unique in its split, in the whole task where one table is split; rows are numbered without it."""
    cluster: str = ""
    """Rows of one cluster never stand in two splits of a table, and count together in intervals."""
    level: str = ""


class Turn(BaseModel):
    """One chat message of a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    role: str = Field(pattern="^(system|user|assistant)$")
    content: str
