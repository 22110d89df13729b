"""sec_filings: statements that tie out, golds that recompute, splits that share nothing, policies that know nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import itertools
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tao.answers.document import load_document
from tao.answers.interpreter import NumberInterpreter
from tao.meaning import Outcome
from tao.prompts import Prompt, read_prompts
from tao_bench.task import Label, TaskSpec, read_items, read_labels, read_spec
from tao_bench.verify.number import NumberVerifier, printed_tolerance
from tao_bench.verify.verdict import Status

FOLDER = Path(__file__).parents[1] / "tasks" / "sec_filings"
SPLITS = ("pool", "train", "dev", "test")
SPEC: TaskSpec = read_spec(FOLDER)


def module(name: str) -> ModuleType:
    """A module of the task folder, imported as the registry does: as part of a package made of the folder."""
    package = "_test_sec_filings"
    if package not in sys.modules:
        root = ModuleType(package)
        root.__path__ = [str(FOLDER)]
        sys.modules[package] = root
    return importlib.import_module(f"{package}.{name}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sec_filings")
    module("generate").generate(folder, SPEC.seed)
    return folder


@pytest.fixture(scope="module")
def labelled(data: Path) -> dict[str, list[tuple[Prompt, Label]]]:
    """Split to its prompts with their labels."""
    found = {}
    for split in SPLITS:
        labels = read_labels(data, split)
        prompts = (
            read_prompts(data / "pool.jsonl")
            if split == "pool"
            else [i.prompt for i in read_items(data / f"{split}.jsonl")]
        )
        assert [prompt.id for prompt in prompts] == list(labels)
        found[split] = [(prompt, labels[prompt.id]) for prompt in prompts]
    return found


def everything(labelled: dict[str, list[tuple[Prompt, Label]]]) -> Iterator[tuple[Prompt, Label]]:
    for pairs in labelled.values():
        yield from pairs


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generate = module("generate")
    monkeypatch.setattr(generate, "SPLITS", {"pool": (4, 6), "train": (3, 6), "dev": (3, 6), "test": (3, 6)})
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / name).mkdir()
        generate.generate(tmp_path / name, seed)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a")["pool.jsonl"] != tree(tmp_path / "c")["pool.jsonl"]


def test_statements_tie_out() -> None:
    sectors = set()
    for _, company in module("generate").companies(SPEC.seed):
        sectors.add(company.sector)
        years = list(company.years.items())
        for (_, year), (_, last) in itertools.pairwise(years):
            assert year["rev"] == year["seg_a"] + year["seg_b"]
            assert year["gp"] == year["rev"] - year["cogs"]
            assert year["oi"] == year["gp"] - year["opx"] - year["sga"]
            assert year["pbt"] == year["oi"] - year["int"] + year["oth"]
            assert year["ni"] == year["pbt"] - year["tax"]
            assert year["tca"] == year["cash"] + year["sti"] + year["rec"] + year["inv"] + year["pre"]
            assert year["ta"] == year["tca"] + year["ppe"] + year["gw"] + year["ota"]
            assert year["tcl"] == year["pay"] + year["acc"] + year["std"]
            assert year["tl"] == year["tcl"] + year["ltd"] + year["otl"]
            assert year["ta"] == year["tl"] + year["te"], "the balance sheet balances"
            assert year["re"] == last["re"] + year["ni"] - year["div"], "retained earnings roll forward"
            assert year["ppe"] == last["ppe"] + year["capex"] - year["da"], "plant rolls forward"
            assert year["fcf"] == year["brw"] - year["div"] - year["buy"] + year["iss"]
            assert year["chg"] == year["ocf"] + year["icf"] + year["fcf"]
            assert year["cash"] == last["cash"] + year["chg"], "cash rolls forward"
            assert year["cash"] > 0 and year["ltd"] > 0
    assert len(sectors) >= 8


def test_sizes_levels_and_clusters(data: Path) -> None:
    assert len(read_prompts(data / "pool.jsonl")) == 1600
    for split, size in (("train", 2000), ("dev", 360), ("test", 720)):
        items = read_items(data / f"{split}.jsonl")
        levels = Counter(item.level for item in items)
        assert len(items) == size and set(levels) == {"1", "2", "3"}
        assert max(levels.values()) - min(levels.values()) <= 1
        if split == "test":
            assert len({item.cluster for item in items}) >= 60


def test_splits_share_no_company_and_no_question(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    owners: dict[str, set[str]] = {}
    texts: set[str] = set()
    for split, pairs in labelled.items():
        owners[split] = {re.match(r"Report: (.+), in", prompt.messages[0].content).group(1) for prompt, _ in pairs}  # type: ignore[union-attr]
        texts |= {prompt.messages[0].content for prompt, _ in pairs}
    assert sum(len(names) for names in owners.values()) == len(set().union(*owners.values()))
    assert len(texts) == sum(len(pairs) for pairs in labelled.values())


def test_prompts_show_their_document_and_nothing_of_the_label(
    data: Path, labelled: dict[str, list[tuple[Prompt, Label]]]
) -> None:
    for prompt, label in everything(labelled):
        (message,) = prompt.messages
        document = load_document(Path(prompt.handles["document"]))
        head, *rows, question = message.content.split("\n")[0:1] + message.content.split("\n")[2:]
        assert message.content.split("\n")[1] == document.header()
        assert rows == document.lines() == list(prompt.context)
        assert head.startswith("Report: ") and question.startswith("Question: ")
        assert label.target not in message.content
        assert 5 <= len(rows) <= 11 and 2 <= len(document.columns) <= 3
    for name, text in ((path.name, path.read_text()) for path in data.glob("*.jsonl")):
        for word in ('"gold"', '"target"', '"program"', '"shape"', '"tolerance"'):
            assert word not in text, name
    allowed = {"id", "messages", "context", "handles"}
    rows_of = {path.stem: [json.loads(line) for line in path.open()] for path in data.glob("*.jsonl")}
    assert all(set(row) == allowed for row in rows_of.pop("pool"))
    assert all(set(row) == allowed | {"cluster", "level"} for found in rows_of.values() for row in found)


def test_every_gold_recomputes_from_program_and_operands(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    for prompt, label in everything(labelled):
        gold: dict[str, Any] = label.gold
        printed = load_document(Path(prompt.handles["document"]))
        assert gold["program"] == label.target
        code = gold["program"]
        for cell, value in gold["operands"].items():
            assert printed.cell(cell) == value
            code = code.replace(f"[{cell}]", f"Fraction({value})")
        value = eval(re.sub(r"(?<![(\d])(\d+)(?![\d)])", r"Fraction(\1)", code), {"Fraction": Fraction})
        assert float(value) == gold["value"], prompt.id
        if gold["unit"] == "amount":
            assert gold["tolerance"] == 0.5 and abs(value) >= 100
        else:
            assert gold["tolerance"] == float(printed_tolerance(gold["printed"]))
            assert len(gold["printed"].lstrip("-0.").replace(".", "")) >= 3, "three significant digits"


def test_every_target_passes_and_votes_for_itself(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    verifier, reader = NumberVerifier(), NumberInterpreter()
    for prompt, label in everything(labelled):
        verdict = verifier.grade(prompt, label.gold, label.target, "stop")
        assert verdict.status is Status.CORRECT, prompt.id
        assert reader.read(prompt, [label.target])[0].outcome is Outcome.OK, prompt.id


def test_misreading_one_cell_is_never_correct(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    verifier = NumberVerifier()
    for prompt, label in labelled["dev"]:
        document = load_document(Path(prompt.handles["document"]))
        cells = [f"[{name} {column}]" for name, _ in document.rows for column in document.columns]
        for cited in dict.fromkeys(re.findall(r"\[[^\]]+\]", label.target)):
            for other in cells[::2]:
                if other != cited:
                    wrong = verifier.grade(prompt, label.gold, label.target.replace(cited, other), "stop")
                    assert wrong.status is Status.WRONG, (prompt.id, cited, other)


def first_cell(prompt: Prompt) -> str:
    document = load_document(Path(prompt.handles["document"]))
    return f"[{document.rows[0][0]} {document.columns[0]}]"


def question(prompt: Prompt) -> str:
    return prompt.messages[0].content.split("\n")[-1]


POLICIES: dict[str, Callable[[Prompt], str]] = {
    "empty": lambda prompt: "",
    "zero": lambda prompt: "0",
    "hundred percent": lambda prompt: "100 %",
    "first number": lambda prompt: re.findall(r"[\d,]+", prompt.context[0].split("|")[1])[0],
    "first line, first column": first_cell,
    "question echo": question,
    "question without its label": lambda prompt: question(prompt).removeprefix("Question: "),
    "prompt echo": lambda prompt: prompt.messages[0].content,
    "refusal": lambda prompt: "The report does not say.",
    "first over second line": lambda prompt: f"{first_cell(prompt)} / {first_cell(prompt)} * 100",
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_that_know_nothing_stay_at_the_floor(name: str, data: Path) -> None:
    verifier = NumberVerifier()
    right: dict[str, list[bool]] = defaultdict(list)
    for split in ("dev", "test"):
        labels = read_labels(data, split)  # type: ignore[arg-type]
        for item in read_items(data / f"{split}.jsonl"):
            verdict = verifier.grade(item.prompt, labels[item.prompt.id].gold, POLICIES[name](item.prompt), "stop")
            right[split].append(verdict.status is Status.CORRECT)
    for split, marks in right.items():
        assert sum(marks) / len(marks) <= SPEC.chance_floor, (name, split)


def test_all_shapes_are_asked_in_several_ways(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    knobs, shapes = module("knobs"), module("shapes")
    weighted = {name for level in knobs.LEVELS.values() for name, weight in level.shapes.items() if weight}
    assert weighted <= set(shapes.SHAPES) and len(weighted) >= 30
    asked: dict[str, set[str]] = defaultdict(set)
    for prompt, label in everything(labelled):
        asked[label.gold["shape"]].add(re.sub(r"\d", "9", question(prompt)))
    assert set(asked) == weighted
    wording = module("wording")
    for name in weighted:
        common, rare = wording.frames(shapes.SHAPES[name])
        assert len(common) + len(rare) >= 4
        assert len(asked[name]) >= 4


def test_lengths_fit_the_limits(labelled: dict[str, list[tuple[Prompt, Label]]]) -> None:
    count = module("generate").estimated_tok
    longest = max(count(prompt.messages[0].content) for prompt, _ in everything(labelled))
    assert longest + 20 <= SPEC.limits.max_prompt_tok
    assert max(count(label.target) for _, label in everything(labelled)) + 8 <= SPEC.limits.max_new_tok


def test_knobs_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generate = module("generate")
    monkeypatch.setattr(generate, "SPLITS", {"pool": (3, 6), "train": (2, 6), "dev": (2, 6), "test": (2, 6)})
    easy = {
        level: dataclasses.replace(
            knobs, light=0.0, synonym=0.0, as_printed=1.0, near_duplicates=(0, 0), three_columns=0.0
        )
        for level, knobs in generate.LEVELS.items()
    }
    monkeypatch.setattr(generate, "LEVELS", easy)
    generate.generate(tmp_path, 1)
    for split in ("train", "test"):
        labels = read_labels(tmp_path, split)  # type: ignore[arg-type]
        for item in read_items(tmp_path / f"{split}.jsonl"):
            text = question(item.prompt)
            assert all(cell[:-5] in text for cell in labels[item.prompt.id].gold["operands"]), (
                "lines are named verbatim"
            )
            assert item.prompt.messages[0].content.split("\n")[1].count("|") == 2
