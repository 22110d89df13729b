"""The enterprise suite: golds pass, splits share no cluster, bytes repeat, records add up, rules and clauses decide."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tao.answers.calls import meaning, run, typed
from tao.prompts import Prompt, read_prompts
from tao_bench.check import check_fixtures
from tao_bench.registry import Task, load_task, make_verifier
from tao_bench.suite import MONTHS, SIZES, UNSEEN, day_words
from tao_bench.task import Label, read_items, read_labels, read_spec
from tao_bench.verify.verdict import Status

TASKS = ("invoice_extract", "ticket_triage", "policy_qa", "tool_calls", "enterprise_arena")
FOLDER = Path(__file__).parents[1] / "tasks"
SPLITS = ("train", "dev", "test")


def module(task: str, name: str = "generate") -> ModuleType:
    """A module of a task folder, imported as the registry does: as part of a package made of the folder."""
    package = f"_test_suite_{task}"
    if package not in sys.modules:
        root = ModuleType(package)
        root.__path__ = [str(FOLDER / task)]
        sys.modules[package] = root
    return importlib.import_module(f"{package}.{name}")


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    module(request.param).generate(folder, read_spec(FOLDER / request.param).seed)
    return request.param, folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every task's data with a small pool; the labelled splits are the published ones."""
    found = {}
    for task in TASKS:
        found[task] = tmp_path_factory.mktemp(f"small_{task}")
        module(task).generate(found[task], read_spec(FOLDER / task).seed, n=20)
    return found


def rows(folder: Path, split: str) -> list[tuple[Prompt, str, str, Label]]:
    labels = read_labels(folder, split)  # type: ignore[arg-type]
    return [(i.prompt, i.cluster, i.level, labels[i.prompt.id]) for i in read_items(folder / f"{split}.jsonl")]


def digests(folder: Path, *names: str) -> list[str]:
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


def test_sizes_levels_and_clusters(made: tuple[str, Path]) -> None:
    task, folder = made
    homes: dict[str, str] = {}
    for split in SPLITS:
        found = rows(folder, split)
        assert len(found) == SIZES[split][0] * SIZES[split][1]
        for _, cluster, _, _ in found:
            assert homes.setdefault(cluster, split) == split, f"{task}: {cluster} is in two splits"
        assert (UNSEEN in {level for _, _, level, _ in found}) == (split == "test")
        assert len({prompt.messages[0].content for prompt, *_ in found}) == len(found)
    assert len(read_prompts(folder / "pool.jsonl")) == SIZES["pool"][0] * SIZES["pool"][1]


def test_every_target_passes_and_no_other_items_does(made: tuple[str, Path]) -> None:
    task, folder = made
    verifier = make_verifier(read_spec(FOLDER / task), folder, FOLDER / task)
    found = rows(folder, "test")
    passed = 0
    for place, (prompt, _, _, label) in enumerate(found):
        assert verifier.grade(prompt, label.gold, label.target, "stop").status is Status.CORRECT, prompt.id
        other = found[(place + 1) % len(found)][3].target
        passed += verifier.grade(prompt, label.gold, other, "stop").status is Status.CORRECT
    assert passed <= 0.08 * len(found)


def test_a_generator_writes_the_same_bytes_whatever_the_pool(data: dict[str, Path], tmp_path: Path) -> None:
    for task in TASKS:
        out = tmp_path / task
        out.mkdir()
        module(task).generate(out, read_spec(FOLDER / task).seed, n=9)
        names = [f"{kind}{split}.jsonl" for split in SPLITS for kind in ("", "labels/")]
        assert digests(out, *names) == digests(data[task], *names)
        assert len(read_prompts(out / "pool.jsonl")) == 9


def test_unseen_parts_stay_unseen(data: dict[str, Path]) -> None:
    banks = module("policy_qa", "words")
    kept = {matter.name for group in banks.HELD_OUT.values() for matter in group}
    nouns = {domain.noun for domain in module("tool_calls", "words").HELD_OUT}
    for split in ("train", "dev"):
        policies = "\n".join(prompt.messages[0].content for prompt, *_ in rows(data["policy_qa"], split))
        assert not [name for name in kept if name in policies]
        services = "\n".join(prompt.messages[0].content for prompt, *_ in rows(data["tool_calls"], split))
        assert not [noun for noun in nouns if f"a {noun}" in services]
        tickets = "\n".join(prompt.messages[0].content for prompt, *_ in rows(data["ticket_triage"], split))
        assert "public bodies" not in tickets and "announced maintenance" not in tickets


@pytest.mark.parametrize("task", TASKS)
def test_fixtures_hold(task: str, tmp_path: Path) -> None:
    spec = read_spec(FOLDER / task)
    found = check_fixtures(Task(spec, FOLDER / task, tmp_path, ""))
    assert found.ok, found.detail


def test_invoices_add_up_and_print_what_they_say(data: dict[str, Path]) -> None:
    for prompt, _, _, label in rows(data["invoice_extract"], "test"):
        gold = json.loads(json.dumps(label.gold), parse_float=Decimal)
        lines = sum(line["amount"] for line in gold["lines"])
        assert all(line["quantity"] * line["unit_price"] == line["amount"] for line in gold["lines"])
        assert lines == gold["subtotal"] and gold["subtotal"] - gold["discount"] + gold["tax"] == gold["total"]
        page = prompt.messages[0].content
        for name in ("invoice_number", "supplier", "customer"):
            assert gold[name] in page
        assert gold["order_number"] is None or gold["order_number"] in page
        wrapped = " ".join(page.split())
        assert all(line["item"] in wrapped for line in gold["lines"])


def test_ticket_labels_follow_from_the_policy_in_the_prompt(data: dict[str, Path]) -> None:
    # a second, plain reading of what no rule touches: level `table` has the owner and the starting priority
    for prompt, _, level, label in rows(data["ticket_triage"], "test"):
        text = prompt.messages[0].content
        owners = dict(re.findall(r"^- (.+): (\w+)$", text, re.MULTILINE))
        start = re.search(r"starts at p(\d)(?:, anything else at p(\d))?", text)
        assert start and set(label.gold[:-1]) <= set(module("ticket_triage").TEAMS)
        if level == "table":
            assert len(label.gold) == 2 and label.gold[0] in owners.values()
            assert label.gold[1] in {f"p{start[1]}", f"p{start[2]}"}


def _decided(text: str, clause: str) -> int:
    """The figure a clause gives, read from the policy's words alone."""
    clauses = dict(re.findall(r"^(\d\.\d+) (.*)$", text, re.MULTILINE))
    said = clauses[clause]
    refers = re.search(r"clause (\d\.\d+)", said)
    rest = re.sub(r"clause \d\.\d+|From \d+ \w+ \d{4} on|\d+(?: or more)? years", "", said)
    figures = [int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", rest)]
    if refers is None:
        return figures[-1]
    base = _decided(text, refers[1])
    if "twice" in said or "doubled" in said:
        return 2 * base
    if not figures:
        return base
    return base + figures[-1] if " more than" in said or "rises" in said else base - figures[-1]


def test_policy_golds_follow_from_the_clause_they_cite(data: dict[str, Path]) -> None:
    levels: Counter[str] = Counter()
    for prompt, _, level, label in rows(data["policy_qa"], "test"):
        levels[level] += 1
        if label.gold["value"] is not None:
            text = prompt.messages[0].content
            assert _decided(text, label.gold["clause"]) == int(label.gold["value"]), prompt.id
    assert set(levels) == {"lookup", "exception", "reference", "absent", UNSEEN}


def test_policy_value_and_clause_each_count(data: dict[str, Path]) -> None:
    verifier = load_task("policy_qa").verifier()
    for prompt, _, _, label in rows(data["policy_qa"], "dev"):
        if label.gold["value"] is None:
            continue
        value, clause = int(label.gold["value"]), label.gold["clause"]
        wrong = {f"{value + 1}; {clause}": "value", f"{value}; {clause}9": "citation", "not stated": "refusal"}
        for answer, reason in wrong.items():
            verdict = verifier.grade(prompt, label.gold, answer, "stop")
            assert (verdict.status, verdict.reason) == (Status.WRONG, reason)


def test_calls_run_and_their_order_counts(data: dict[str, Path]) -> None:
    verifier = load_task("tool_calls").verifier()
    for prompt, _, level, label in rows(data["tool_calls"], "dev"):
        service = json.loads(Path(prompt.handles["document"]).read_text(encoding="utf-8"))
        calls = typed(service["functions"], label.gold)
        before = json.dumps(service)
        assert run(service, calls)["records"] and meaning(service, calls) and json.dumps(service) == before
        if level == "several":
            turned: Any = json.dumps(label.gold[::-1])
            assert verifier.grade(prompt, label.gold, turned, "stop").status is Status.WRONG


def test_arena_replies_keep_their_rules_and_other_days_break_them(data: dict[str, Path]) -> None:
    verifier = load_task("enterprise_arena").verifier()
    for prompt, _, _, label in rows(data["enterprise_arena"], "dev"):
        days = re.findall(r"promised for (\d+) (\w+) (\d{4})", prompt.messages[0].content)
        for other in ("{} {} {}", "{}th of {}"):
            said = label.target.replace("will arrive", f"will not arrive on {other.format(*days[0])} but")
            assert verifier.grade(prompt, label.gold, said, "stop").status is Status.WRONG


def test_arena_replies_that_list_days_or_sums_break_them(data: dict[str, Path]) -> None:
    verifier = load_task("enterprise_arena").verifier()
    listed = 0
    for prompt, _, _, label in rows(data["enterprise_arena"], "dev"):
        page = prompt.messages[0].content
        promised = re.search(r"promised for (\d+) (\w+) (\d{4})", page)
        assert promised is not None
        start = date(int(promised[3]), MONTHS.index(promised[2]) + 1, int(promised[1]))
        spam = ", ".join(day_words(start + timedelta(ahead)) for ahead in range(3, 40))
        assert (
            verifier.grade(prompt, label.gold, label.target.replace("will arrive on", f"{spam}: "), "stop").score == 0
        )
        rate = re.search(r"agreed: (\d+) euros", page)
        if rate and "The credit comes to" in label.target:
            sums = " or ".join(f"{int(rate[1]) * count:,}" for count in (9, 14, 19, 24, 29, 34, 39))
            spammed = label.target.replace("The credit comes to", f"{sums} or")
            assert verifier.grade(prompt, label.gold, spammed, "stop").score == 0
            priced = label.target.replace("The credit comes to", f"At {rate[1]} euros a day the credit comes to")
            assert verifier.grade(prompt, label.gold, priced, "stop").score == 1
            listed += 1
    assert listed > 50


def test_arena_causes_may_be_said_in_other_words(data: dict[str, Path]) -> None:
    named = module("enterprise_arena").named
    for cause, said in (
        ("a cracked casting", "There was a crack in the casting."),
        ("a missing customs form", "A customs form was missing."),
        ("a strike at the port", "The port was on strike"),
        ("late steel", "The steel came late."),
    ):
        assert re.search(named(cause), said, re.IGNORECASE | re.DOTALL)
        assert not re.search(named(cause), "It is late.", re.IGNORECASE | re.DOTALL)


def test_policy_signal_tells_a_figure_from_what_is_added_to_another() -> None:
    cites = module("policy_qa", "signal").cites
    policy = (
        "2.1 Purchase limit: 1,200 euros.\n"
        "2.2 From 5 years of service on, the limit is 50 euros more than in clause 2.1.\n"
        "2.3 From 25 January 2025 on, the limit is 25 euros.\nQuestion: ..."
    )
    answers = ("1200; 2.1", "1,200 euros; clause 2.1", "1250; 2.2", "50; 2.2", "2025; 2.3", "25; 2.3", "7; 2.9")
    assert cites(policy, answers) == [1.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.0]
    assert cites(policy, ["not stated"]) == [0.5]


def test_percentages_change_by_points(data: dict[str, Path]) -> None:
    pages = "".join(p.messages[0].content for p in read_prompts(data["policy_qa"] / "pool.jsonl"))
    pages += "".join(prompt.messages[0].content for prompt, *_ in rows(data["policy_qa"], "dev"))
    assert re.search(r"\d percentage points? (?:more|less) than|by \d+ percentage points?", pages)
    assert not re.search(r"\d percent (?:more|less) than|by \d+ percent\.", pages)
