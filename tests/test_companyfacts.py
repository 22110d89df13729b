"""SEC companyfacts files (self-written, fictional companies) through the same code path, with the traps of that
format."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tao.errors import InputError
from tao_bench.registry import load_task
from tao_bench.task import read_labels
from tao_bench.verify.filing import FilingVerifier
from tao_bench.verify.verdict import Status

FOLDER = Path(__file__).parents[1] / "tasks" / "sec_filings_v2"
SAMPLE = Path(__file__).parent / "fixtures" / "companyfacts" / "CIK0009999901.json"


def module(name: str) -> ModuleType:
    package = "_test_companyfacts"
    if package not in sys.modules:
        root = ModuleType(package)
        root.__path__ = [str(FOLDER)]
        sys.modules[package] = root
    return importlib.import_module(f"{package}.{name}")


def test_the_sample_file_with_every_trap() -> None:
    """Its ``comment`` says what each value is there for."""
    facts = module("companyfacts").read_company(SAMPLE)
    assert facts.company == "OAKMERE PUMPS INC" and facts.unit == "thousands"
    assert facts.years == (2022, 2021, 2020)
    assert facts.ends[2022] == "September 30, 2022" and facts.ends[2021] == "September 25, 2021"
    amounts = facts.amounts
    # comparatives repeat under a later fy: keyed on start and end; quarters, stubs, 10-Q and 10-K/A do not count
    assert amounts["rev"] == {2022: 1210000, 2021: 1100500, 2020: 980000}
    # 2021 was restated in the 10-K for 2022, whose value stands beside that of 2022
    assert amounts["ni"] == {2022: 96800, 2021: 80250, 2020: 70100}
    # the preferred tag stopped in 2021: the next one that reports 2022 is taken for all years
    assert facts.printed["cogs"] == "Cost of goods and services sold" and amounts["cogs"][2022] == 700000
    # two values for one period in one filing: the fact is left out
    assert 2022 in amounts["inv"] and 2021 not in amounts["inv"]
    assert "tax" not in amounts, "other units than USD do not count"
    assert "std" not in amounts, "no value for the latest year"


COMPANIES = (
    "Alder Freight Corp",
    "Birchline Foods, Inc.",
    "Cedarway Tools",
    "Dunmoor Glass plc",
    "Elmbrook Data",
    "Fernhill Mills",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six companies in companyfacts form, written from the generator's own consistent statements."""
    statements, sectors, reader = module("statements"), module("sectors"), module("companyfacts")
    from random import Random

    out = tmp_path / "facts"
    out.mkdir()
    for number, name in enumerate(COMPANIES):
        facts = statements.make_facts(Random(number), name, sectors.SECTORS[number])
        tags: dict[str, Any] = {}
        for concept, known in reader.TAGS.items():
            rows = []
            for year, amount in facts.amounts[concept].items():
                row = {
                    "end": f"{year}-06-30",
                    "val": amount * 1000,
                    "accn": f"9-{year}",
                    "fy": year,
                    "fp": "FY",
                    "form": "10-K",
                }
                if concept not in ("rev", "ni") and year not in facts.years and reader.STATEMENT[concept] != "balance":
                    continue
                if reader.STATEMENT[concept] != "balance":
                    row["start"] = f"{year - 1}-07-01"
                rows.append(row | {"filed": f"{year}-08-20"})
                rows.append(row | {"filed": f"{year + 1}-08-20", "accn": f"9-{year + 1}", "fy": year + 1})
            tags[known[0][0]] = {"label": known[0][1], "units": {"USD": rows}}
        (out / f"CIK{number:010}.json").write_text(
            json.dumps({"cik": number, "entityName": name, "facts": {"us-gaap": tags}})
        )
    return out


def test_real_facts_go_through_the_same_code(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tao_bench.make import make

    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "real_filings"
    (tmp_path / "out.txt").write_text("Elmbrook Data Holdings\n")
    said = make("sec_filings@2", out, ["n=120", f"companyfacts={folder}", f"exclude={tmp_path / 'out.txt'}"])
    assert "real_filings@1" in said[0]
    task = load_task("real_filings", [out])
    companies: dict[str, set[str]] = {}
    verifier, forms = FilingVerifier(), set()
    for split in ("train", "dev", "test"):
        labels = read_labels(task.data, split)  # type: ignore[arg-type]
        for item in task.items(split):  # type: ignore[arg-type]
            label = labels[item.prompt.id]
            name = re.search(r"^Report: (.+), in", item.prompt.messages[0].content, re.M)[1]  # type: ignore[index]
            companies.setdefault(name, set()).add(split)
            forms.add(label.gold["form"])
            assert verifier.grade(item.prompt, label.gold, label.target, "stop").status is Status.CORRECT
    assert all(len(splits) == 1 for splits in companies.values()) and forms >= {"number", "yes_no"}
    assert "Elmbrook Data" not in companies


def test_amounts_of_the_file_reach_the_question(folder: Path) -> None:
    reader = module("companyfacts")
    found = {facts.company: facts for facts in reader.read_companies(folder, "none")}
    assert set(found) == set(COMPANIES)
    raw = json.loads((folder / "CIK0000000000.json").read_text())["facts"]["us-gaap"]
    facts = found[COMPANIES[0]]
    year = facts.years[0]
    assets = {row["val"] for row in raw["Assets"]["units"]["USD"] if row["end"] == f"{year}-06-30"}
    scale = {"dollars": 1, "thousands": 1000, "millions": 10**6}[facts.unit]
    assert {facts.amounts["ta"][year] * scale} == assets


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Nordvale Corp", "NORDVALE CORPORATION", True), ("Nordvale", "Nordvale Holdings, Inc.", True),
        ("American Oak Mills", "AOM", True), ("Coral-Cove", "CORAL COVE CO", True), ("PayFern", "Pay Fern Inc", True),
        ("Nordvale", "Southvale", False), ("Block Mills", "Mills", False), ("Inc", "Corp", False),
    ],
)  # fmt: skip
def test_names_of_one_company(one: str, other: str, same: bool) -> None:
    assert module("companyfacts").same_company(one, other) is same


def test_bad_input_is_named(folder: Path, tmp_path: Path) -> None:
    reader = module("companyfacts")
    with pytest.raises(InputError, match="left out"):
        reader.read_companies(folder, None)
    with pytest.raises(InputError, match="no such folder"):
        reader.read_companies(tmp_path / "none", "none")
    with pytest.raises(InputError, match="cannot be read"):
        reader.read_companies(folder, str(tmp_path / "none.txt"))
    for text in (
        "{",
        "[]",
        '{"entityName": "x", "facts": {}}',
        '{"entityName": "x", "facts": {"us-gaap": {"Assets": 3}}}',
    ):
        (folder / "bad.json").write_text(text)
        with pytest.raises(InputError, match=r"bad\.json"):
            reader.read_companies(folder, "none")
    (folder / "bad.json").write_text(json.dumps({"entityName": "Empty Co", "facts": {"us-gaap": {}}}))
    assert "Empty Co" not in {facts.company for facts in reader.read_companies(folder, "none")}
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.json").write_text(SAMPLE.read_text())
    with pytest.raises(InputError, match="usable companies"):
        module("generate").generate(tmp_path, 1, None, str(tmp_path / "few"), "none")
