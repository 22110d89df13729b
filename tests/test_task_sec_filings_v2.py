"""sec_filings@2: statements that tie out, golds that recompute, no second defensible answer, floors, splits, bytes."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tao.answers.document import Document, load_document
from tao.answers.filing import Wanted, read_form
from tao.answers.filing_interpreter import FilingInterpreter
from tao.errors import InputError
from tao.meaning import Outcome
from tao.prompts import Prompt, read_prompts
from tao_bench.task import Label, read_items, read_labels, read_spec
from tao_bench.verify.filing import FilingVerifier
from tao_bench.verify.number import grade_text, read_gold
from tao_bench.verify.verdict import Status

FOLDER = Path(__file__).parents[1] / "tasks" / "sec_filings_v2"
SPLITS = ("pool", "train", "dev", "test")
SPEC = read_spec(FOLDER)
Rows = dict[str, list[tuple[Prompt, Label, str]]]


def module(name: str) -> ModuleType:
    """A module of the task folder, imported as the registry does: as part of a package made of the folder."""
    package = "_test_sec_filings_v2"
    if package not in sys.modules:
        root = ModuleType(package)
        root.__path__ = [str(FOLDER)]
        sys.modules[package] = root
    return importlib.import_module(f"{package}.{name}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sec_filings_v2")
    module("generate").generate(folder, SPEC.seed)
    return folder


@pytest.fixture(scope="module")
def rows(data: Path) -> Rows:
    """Split to (prompt, label, level); the pool has no levels."""
    found: Rows = {}
    for split in SPLITS:
        labels = read_labels(data, split)  # type: ignore[arg-type]
        if split == "pool":
            pairs = [(prompt, "") for prompt in read_prompts(data / "pool.jsonl")]
        else:
            pairs = [(item.prompt, item.level) for item in read_items(data / f"{split}.jsonl")]
        assert [prompt.id for prompt, _ in pairs] == list(labels)
        found[split] = [(prompt, labels[prompt.id], level) for prompt, level in pairs]
    return found


def everything(rows: Rows) -> Iterator[tuple[Prompt, Label, str]]:
    for found in rows.values():
        yield from found


def question(prompt: Prompt) -> str:
    return prompt.messages[0].content.split("\n")[-1].removeprefix("Question: ")


def document(prompt: Prompt) -> Document:
    return load_document(Path(prompt.handles["document"]))


# --- the same bytes -------------------------------------------------------------------------------

MAKE = """
import sys, hashlib, pathlib
sys.path.insert(0, sys.argv[1])
import test_task_sec_filings_v2 as t
g = t.module("generate")
g.SPLITS = {"test": (5, 7), "dev": (3, 6), "train": (3, 6), "pool": (4, 6)}
out = pathlib.Path(sys.argv[2]); out.mkdir()
g.generate(out, 5)
print(t.tree(out))
"""


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    def made(name: str, hash_seed: str) -> str:
        command = [sys.executable, "-c", MAKE, str(Path(__file__).parent), str(tmp_path / name)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert made("a", "1") == made("b", "77")


def test_the_size_of_the_pool_moves_no_other_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generate = module("generate")
    monkeypatch.setattr(generate, "SPLITS", {"test": (3, 6), "dev": (2, 6), "train": (2, 6), "pool": (2, 6)})
    for name, seed, n in (("a", 3, None), ("b", 3, 40), ("c", 4, None)):
        (tmp_path / name).mkdir()
        generate.generate(tmp_path / name, seed, n)
    assert (tmp_path / "a" / "test.jsonl").read_bytes() != (tmp_path / "c" / "test.jsonl").read_bytes()
    assert len(read_prompts(tmp_path / "b" / "pool.jsonl")) == 40
    for split in ("train", "dev", "test"):
        assert (tmp_path / "a" / f"{split}.jsonl").read_bytes() == (tmp_path / "b" / f"{split}.jsonl").read_bytes()


@pytest.mark.parametrize("n", [0, -3, "7200", True, 2.5])
def test_a_size_that_is_none_is_refused(n: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number of questions"):
        module("generate").generate(tmp_path, 1, n)


# --- sizes and splits -----------------------------------------------------------------------------


def test_sizes_shares_and_clusters(data: Path, rows: Rows) -> None:
    assert {split: len(found) for split, found in rows.items()} == {"pool": 800, "train": 1000, "dev": 400, "test": 800}
    generate = module("generate")
    for split in ("pool", "train", "dev"):
        forms = Counter(label.gold["form"] for _, label, _ in rows[split])
        size = len(rows[split])
        assert forms["yes_no"] == round(0.12 * size) and forms["choice"] == round(0.04 * size)
        assert forms["unanswerable"] == round(0.05 * size)
        levels = Counter(_level(label, generate) for _, label, _ in rows[split] if label.gold["form"] == "number")
        for level, share in (("extract", 1 / 3), ("formula", 1 / 2), ("multi_year", 1 / 6)):
            assert abs(levels[level] - share * forms["number"]) <= 1
    assert len({item.cluster for item in read_items(data / "test.jsonl")}) >= 70


def _level(label: Label, generate: ModuleType) -> str:
    family = generate.FAMILIES[label.gold["family"]]
    return "family" if family.held_out else family.level


def test_yes_and_no_are_balanced(rows: Rows) -> None:
    by_family: dict[str, Counter[str]] = defaultdict(Counter)
    for split, found in rows.items():
        answers = Counter(label.gold["answer"] for _, label, _ in found if label.gold["form"] == "yes_no")
        assert answers["Yes"] == answers["No"], split
        for _, label, _ in found:
            if label.gold["form"] == "yes_no":
                by_family[label.gold["family"]][label.gold["answer"]] += 1
    assert set(by_family) == set(module("families").TESTS)
    for family, counts in by_family.items():  # the words of a question must not give its answer away
        assert min(counts["Yes"], counts["No"]) >= 0.2 * counts.total(), (family, counts)


def test_splits_share_no_company_and_no_prompt(rows: Rows) -> None:
    owners: dict[str, set[str]] = {}
    for split, found in rows.items():
        owners[split] = {re.search(r"^Report: (.+), in", p.messages[0].content, re.M)[1] for p, _, _ in found}  # type: ignore[index]
    assert sum(map(len, owners.values())) == len(set().union(*owners.values()))
    texts = [prompt.messages[0].content for prompt, _, _ in everything(rows)]
    assert len(set(texts)) == len(texts)


def test_held_out_families_are_asked_in_test_only_as_their_own_level(rows: Rows) -> None:
    families = module("families")
    held = {n for n, f in families.FAMILIES.items() if f.held_out} | {
        n for n, t in families.TESTS.items() if t.held_out
    }
    assert len(held) >= 6
    for split in ("pool", "train", "dev"):
        assert not held & {label.gold["family"] for _, label, _ in rows[split]}
    for _, label, level in rows["test"]:
        assert (label.gold["family"] in held) == (level == "family")
    counts = Counter(level for *_, level in rows["test"])
    assert counts["family"] == 96 and set(counts) == {
        "extract", "formula", "multi_year", "yes_no", "choice", "unanswerable", "family",
    }  # fmt: skip
    assert {label.gold["family"] for _, label, level in rows["test"] if level == "family"} == held


@pytest.mark.skipif(
    not (Path(os.environ.get("TAO_BENCH_SHARED_DATA", "/nowhere")) / "financebench").is_dir(),
    reason="TAO_BENCH_SHARED_DATA names no folder with financebench",
)
def test_no_company_is_one_of_financebench() -> None:
    folder = Path(os.environ["TAO_BENCH_SHARED_DATA"]) / "financebench"
    reader = module("companyfacts")
    taken = reader.read_excluded(folder / "financebench_open_source.jsonl")
    assert len(taken) == 32
    for _, facts in module("generate").companies(SPEC.seed, 7200):
        assert not [name for name in taken if reader.same_company(facts.company, name)], facts.company


SECTION_10 = {
    1: "line line_rescaled", 2: "days_payable", 3: "capex_share_mean", 4: "cash_flow_ratio", 5: "growth",
    6: "return_on_assets return_on_assets_year_end", 7: "plant_turnover", 8: "asset_turnover",
    9: "inventory_turnover inventory_turnover_year_end", 10: "current_ratio",
    11: "working_capital operating_working_capital",
    12: "ebitda", 13: "ebitda_margin ebitda_margin_mean", 14: "ebitda_less_capex",
    15: "operating_margin operating_margin_change operating_margin_mean",
    16: "gross_margin gross_margin_change gross_margin_moved",
    17: "cost_margin cost_margin_mean", 18: "net_margin_mean", 19: "depreciation_share",
    20: "free_cash_flow cash_conversion",
    21: "payout retention", 22: "cash_conversion_cycle", 23: "cagr",
    24: "quick_less_inventory quick_less_inventory_prepaid quick_liquid cash_ratio", 25: "tax_rate tax_rate_change",
    26: "debt_change debt_rose", 27: "capex_share plant_share capital_intensity", 28: "segment_share segment_above",
    29: "largest_cash_flow segment_growth", 30: "interest_coverage line_rose",
}  # fmt: skip
"""FinanceBench's formulas, by their number in the list of the task's README, to families."""


def test_every_formula_of_financebench_is_asked_in_several_ways(rows: Rows) -> None:
    asked: dict[str, set[str]] = defaultdict(set)
    for prompt, label, _ in everything(rows):
        asked[label.gold["family"]].add(re.sub(r"\d", "9", question(prompt)))
    for number, names in SECTION_10.items():
        for name in names.split():
            assert len(asked[name]) >= 4, (number, name)
    openings = Counter(re.split(r"[.:,?]", question(prompt))[0] for prompt, _, _ in everything(rows))
    assert openings.most_common(1)[0][1] < 0.1 * sum(openings.values()), "no way to begin dominates"


# --- prompts --------------------------------------------------------------------------------------


def test_prompts_show_their_document_and_nothing_of_the_label(data: Path, rows: Rows) -> None:
    for prompt, label, _ in everything(rows):
        shown = document(prompt)
        lines = prompt.messages[0].content.split("\n")
        table = [line.split(" | ", 1) for line in prompt.context]
        assert [line for _, line in table] == shown.lines()
        assert {tag for tag, _ in table} <= {"income", "balance", "cash flow", "note"}
        assert lines[-len(table) - 2 : -1] == [" | ".join(("Statement", "Line", *shown.columns)), *prompt.context]
        assert lines[1].startswith("Report: ") and " ended " in lines[1]
        assert label.gold["form"] != "number" or label.target not in prompt.messages[0].content
        assert 2 <= len(shown.columns) <= 5 and len(table) >= 5
    for path in data.glob("*.jsonl"):
        text = path.read_text()
        for word in ('"gold"', '"target"', '"program"', '"family":', '"tolerance"', '"answer"'):
            assert word not in text, path.name


def test_questions_state_form_unit_rounding_formula_and_statement(rows: Rows) -> None:
    statement = re.compile(r"income statement|statement of income|P&L|balance sheet|financial position|cash flow", re.I)
    wanted = {"number": Wanted.NUMBER, "unanswerable": Wanted.NUMBER, "yes_no": Wanted.YES_NO, "choice": Wanted.CHOICE}
    for prompt, label, _ in everything(rows):
        asked, gold = question(prompt), label.gold
        form = read_form(prompt)
        assert form.wanted == wanted[gold["form"]] and statement.search(asked), asked
        assert list(form.options) == gold.get("options", []), asked
        assert "{" not in asked and "  " not in asked
        if gold["form"] == "number":
            if gold["unit"] == "amount":
                assert re.search(r"Answer in (USD|US dollars)", asked), asked
            else:
                assert re.search(r"to (one|two|three|four) decimal", asked), asked
                assert len(gold["printed"].lstrip("-0.").replace(".", "")) >= 3, "three significant digits"
        family = module("families").FAMILIES.get(gold["family"])
        if family is not None and family.level != "extract":
            assert re.search(r"defined as|Define it as|it means|Formula:|Calculate it as", asked), asked


# --- golds ----------------------------------------------------------------------------------------


def compute(program: str, operands: dict[str, int]) -> float:
    """A program's value by Python itself: exact, but for roots."""
    code = program.replace("^", "**")
    for cell, amount in operands.items():
        code = code.replace(f"[{cell}]", f"Fraction({amount})")
    code = re.sub(r"(?<![\w(.-])(\d+)(?![\w).])", r"Fraction(\1)", code)
    return float(eval(code, {"Fraction": Fraction}))


def test_every_gold_recomputes_from_program_and_operands(rows: Rows) -> None:
    for prompt, label, _ in everything(rows):
        gold, shown = label.gold, document(prompt)
        for cell, amount in gold.get("operands", {}).items():
            assert shown.cell(cell) == amount
        if gold["form"] == "number":
            assert label.target == gold["program"]
            value = compute(gold["program"], gold["operands"])
            assert value == pytest.approx(gold["value"], rel=1e-12), prompt.id
            if "printed" in gold:
                decimals = len(gold["printed"].partition(".")[2])
                assert abs(float(gold["printed"]) - value) <= 0.5000001 * 10**-decimals
                assert gold["tolerance"] >= 0.9999 * 10**-decimals
        elif gold["form"] == "yes_no":
            value = compute(gold["program"], gold["operands"])
            assert value == pytest.approx(gold["value"], rel=1e-9)
            assert label.target == gold["answer"] == ("Yes" if value > gold["limit"] else "No")
            for program, printed in zip(gold["programs"], gold["numbers"], strict=True):
                number = float(printed.replace(",", "").removesuffix(" %"))
                assert number == pytest.approx(compute(program, gold["operands"]), abs=0.0051, rel=1e-4)
        elif gold["form"] == "choice":
            values = {option: compute(program, gold["operands"]) for option, program in gold["programs"].items()}
            best = (max if gold["most"] == "highest" else min)(values, key=values.__getitem__)
            assert label.target == gold["answer"] == best and set(gold["options"]) == set(values)
            assert sorted(values.values()).count(values[best]) == 1
        else:
            assert label.target == gold["answer"] == "cannot be determined"


def test_what_is_missing_is_neither_shown_nor_derivable(rows: Rows) -> None:
    """By the rank of the identities' matrix: no combination of missing amounts lies in its row space."""
    lines = module("lines")
    by_company = {facts.company: facts for _, facts in module("generate").companies(SPEC.seed)}
    checked = 0
    for prompt, label, _ in everything(rows):
        if label.gold["form"] != "unanswerable":
            continue
        facts = by_company[re.search(r"^Report: (.+), in", prompt.messages[0].content, re.M)[1]]  # type: ignore[index]
        concept_of = {name.casefold(): concept for concept, name in facts.printed.items()}
        cells = {(c, y) for c in lines.CONCEPTS for y in range(min(facts.years) - 2, max(facts.years) + 1)}
        shown = document(prompt)
        known = {
            (concept_of[name.casefold()], int(column))
            for name, _ in shown.rows
            if name.casefold() in concept_of
            for column in shown.columns
        }
        missing = {(concept_of[text[:-5].casefold()], int(text[-4:])) for text in label.gold["missing"]}
        assert missing and not missing & known
        unknown = sorted(cells - known)
        at = {cell: index for index, cell in enumerate(unknown)}
        matrix = []
        for year in range(min(facts.years) - 1, max(facts.years) + 1):
            for identity in lines.IDENTITIES:
                row = np.zeros(len(unknown))
                for factor, concept, back in identity:
                    if (concept, year - back) in at:
                        row[at[concept, year - back]] += factor
                matrix.append(row)
        full = np.array(matrix)
        others = [at[cell] for cell in unknown if cell not in missing]
        assert np.linalg.matrix_rank(full) == np.linalg.matrix_rank(full[:, others]), prompt.id
        checked += 1
    assert checked >= 100


def test_every_target_passes_and_votes_for_itself(rows: Rows) -> None:
    verifier, reader = FilingVerifier(), FilingInterpreter()
    for prompt, label, _ in list(everything(rows))[::4]:  # `tao-bench check` judges all
        assert verifier.grade(prompt, label.gold, label.target, "stop").status is Status.CORRECT, prompt.id
        assert reader.read(prompt, [label.target])[0].outcome is Outcome.OK, prompt.id


def neighbours(cell: str, shown: Document) -> list[str]:
    """Cells of the same row or column."""
    row, column = cell[1:-6], cell[-5:-1]
    same_row = [f"[{row} {other}]" for other in shown.columns if other != column]
    return same_row + [f"[{name} {column}]" for name, _ in shown.rows if name.casefold() != row.casefold()]


def test_no_near_miss_is_correct(rows: Rows) -> None:
    verifier, tried = FilingVerifier(), 0
    for prompt, label, _ in [*rows["dev"], *rows["test"]][::3]:
        if label.gold["form"] != "number":
            continue
        shown, target = document(prompt), label.target
        cells = list(dict.fromkeys(re.findall(r"\[[^\]]+\]", target)))
        misread = [target.replace(cell, other) for cell in cells for other in neighbours(cell, shown)]
        for step in (-1, 1):  # every cell in the neighbouring year
            shifted = re.sub(r" (\d{4})\]", lambda match, step=step: f" {int(match[1]) + step}]", target)
            misread.append(shifted)
        gold = read_gold(label.gold)
        for answer in misread:
            if "^" in answer:
                verdict = verifier.grade(prompt, label.gold, answer, "stop")
            else:  # what the verifier calls, without reading the document anew
                verdict = grade_text(answer, "stop", gold, shown)
            assert verdict.status is not Status.CORRECT, (prompt.id, answer)
            tried += 1
    assert tried > 5000


def test_no_other_reading_of_a_formula_is_correct() -> None:
    """Average or year-end, with or without inventory change, pooled or yearly: the variants miss by two tolerances."""
    generate, questions = module("generate"), module("questions")
    checked = 0
    for number, (_, facts) in enumerate(generate.companies(21)):
        rng = Random(number)
        names = [name for name, family in generate.FAMILIES.items() if family.variants]
        name = names[number % len(names)]
        family = generate.FAMILIES[name]
        try:
            item = questions.draw_number(rng, facts, "formula", name)
        except questions.TryAgain:
            continue
        by_name = {printed: concept for concept, printed in facts.printed.items()}
        for variant in family.variants:
            operands = next(o for o in family.operands if {facts.printed[c] for c in o} >= {
                cell[:-5] for cell in item.gold["operands"]})  # fmt: skip
            latest = max(int(cell[-4:]) for cell in item.gold["operands"])
            for span in family.spans or (0,):
                if family.spans and f"( 1 / {span} )" not in item.target:
                    continue
                program = questions.fill(variant, facts, operands, latest, span)
                if not set(re.findall(r"\[[^\]]*?(\d{4})\]", program)) <= set(item.document["columns"]):
                    continue  # the report does not show what this reading needs
                amounts = {
                    cell: facts.shown(by_name[cell[:-5]], int(cell[-4:]))
                    for cell in re.findall(r"\[([^\]]+)\]", program)
                }
                value = compute(program, amounts)
                assert abs(value - item.gold["value"]) > 1.99 * item.gold["tolerance"], (name, item.target, variant)
                checked += 1
    assert checked > 60


MUTANTS = {
    "by 1000": lambda target, gold: f"( {target} ) * 1000",
    "sign": lambda target, gold: f"- ( {target} )",
    "beyond the printed precision": lambda target, gold: f"{gold['value'] + 2.01 * gold['tolerance']:.6f}",
    "a hundredth": lambda target, gold: f"( {target} ) / 100",
    "refusal plus number": lambda target, gold: f"It cannot be determined, but {gold['value']:.2f}",
    "several": lambda target, gold: f"{gold['value']:.2f}; {gold['value'] + 7:.2f}",
    "evidence after": lambda target, gold: f"{gold['value']:.2f}\nSee 4,512 of 2023 and 4,100 of 2022",
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_golds_fail(name: str, rows: Rows) -> None:
    verifier = FilingVerifier()
    for prompt, label, _ in rows["dev"]:
        if label.gold["form"] == "number":
            answer = MUTANTS[name](label.target, label.gold)
            assert verifier.grade(prompt, label.gold, answer, "stop").status is not Status.CORRECT, (prompt.id, answer)


# --- chance ---------------------------------------------------------------------------------------


def form_aware(prompt: Prompt) -> str:
    """Knows what form is wanted, not what the table says: the best that a policy without reading can do."""
    form = read_form(prompt)
    return {Wanted.YES_NO: "Yes", Wanted.CHOICE: (*form.options, "")[0]}.get(form.wanted, "cannot be determined")


POLICIES = {
    "always Yes": (lambda prompt: "Yes", 0.07),
    "always No": (lambda prompt: "No", 0.07),
    "always cannot be determined": (lambda prompt: "cannot be determined", 0.06),
    "always 0": (lambda prompt: "0", 0.01),
    "question echo": (question, 0.01),
    "all forms at once": (lambda prompt: "Yes; No; cannot be determined; 0", 0.01),
    "form-aware": (form_aware, SPEC.chance_floor),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_that_do_not_read_stay_at_the_floor(name: str, rows: Rows) -> None:
    policy, floor = POLICIES[name]
    verifier = FilingVerifier()
    for split in ("train", "dev", "test") if floor > 0.01 else ("dev",):
        found = rows[split]
        right = sum(verifier.grade(p, label.gold, policy(p), "stop").status is Status.CORRECT for p, label, _ in found)
        assert right / len(found) <= floor, split
