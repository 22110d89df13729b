"""FinanceBench, TAT-QA and FinQA as tasks: on own small files in the published layouts, and on the real ones."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tao.errors import InputError
from tao_bench.check import check_task
from tao_bench.cli import main
from tao_bench.qa.financebench import Options, answer_kind
from tao_bench.qa.pages import Page, find_filings, read_pages
from tao_bench.qa.retrieve import CHUNK_CHARS, OVERLAP_CHARS, make_search, split_page
from tao_bench.qa.rows import Question, deal_published
from tao_bench.registry import Task, load_task, open_task, task_folder
from tao_bench.task import LABELLED_SPLITS, read_labels, read_spec

FIXTURES = Path(__file__).parent / "fixtures" / "published_qa"
SHARED = os.environ.get("TAO_BENCH_SHARED_DATA", "")
SETS = ("financebench", "tatqa", "finqa")
SPLITS = ("pool", *LABELLED_SPLITS)
VARIANTS = tuple(read_spec(task_folder("financebench")).variants)


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAO_BENCH_RETRIEVER", raising=False)
    for name in SETS:
        monkeypatch.setenv(f"TAO_BENCH_{name.upper()}", str(FIXTURES / name))


def prompts(task: Task) -> dict[str, str]:
    found = [*task.pool(), *(item.prompt for split in LABELLED_SPLITS for item in task.items(split))]
    return {prompt.id: prompt.messages[-1].content for prompt in found}


def published() -> list[dict[str, Any]]:
    text = (FIXTURES / "financebench" / "financebench_open_source.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# -- FinanceBench --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_shows_its_context_in_its_order(variant: str) -> None:
    if "store" in variant:
        pytest.importorskip("bm25s", reason="the store modes search with bm25s: pip install 'tao-bench[retrieval]'")
    task = load_task(f"financebench:{variant}")
    assert task.version_name == f"financebench:{variant}@1" and f"-{variant}-" in task.data.name
    mode = variant.removesuffix("_question_first")
    assert task.about()["mode"] == mode
    for name, text in prompts(task).items():
        row = next(row for row in published() if row["financebench_id"] == name)
        evidence = row["evidence"][0]["evidence_text_full_page"]
        asked = text.index(f"Question: {row['question']}")
        if mode == "closed_book":
            assert "[START OF FILING]" not in text and evidence not in text
            continue
        shown = text.index("[START OF FILING]")
        assert (asked < shown) is variant.endswith("_question_first")
        if mode != "shared_store":
            assert evidence in text  # pages of these filings are shorter than a chunk
        whole = "For the fiscal year ended" in text
        assert whole if mode == "in_context" else not whole or "store" in mode
        if "store" in mode:
            assert text.count(", page ") == (4 if mode == "shared_store" else 3)
            assert task.about()["k"] == 4 and task.about()["retriever"] == "bm25"


def test_without_a_variant_the_first_is_meant_and_rows_say_which() -> None:
    task = load_task("financebench")
    assert task.version_name == "financebench:oracle@1" == load_task("financebench:oracle").version_name
    again = open_task(task.folder, task.data, task.hash, task.variant)
    assert again.spec == task.spec
    long = load_task("financebench:in_context")
    assert long.hash != task.hash and long.spec.limits.max_prompt_tok > task.spec.limits.max_prompt_tok
    with pytest.raises(InputError, match="did you mean 'oracle'"):
        load_task("financebench:orcle")
    with pytest.raises(InputError, match="it has none"):
        load_task("tatqa:oracle")


def test_no_company_is_in_two_splits_and_most_is_for_judging() -> None:
    task = load_task("financebench:closed_book")
    company = {row["financebench_id"]: row["company"] for row in published()}
    homes = {split: {company[item.prompt.id] for item in task.items(split)} for split in LABELLED_SPLITS}
    homes["pool"] = {company[prompt.id] for prompt in task.pool()}
    assert sum(map(len, homes.values())) == len(set().union(*homes.values())) == 8
    assert len(homes["test"]) == 5 and all(homes.values())


def test_labels_hold_question_answer_and_kind() -> None:
    task = load_task("financebench:closed_book")
    rows = {row["financebench_id"]: row for row in published()}
    labels = {name: label for split in SPLITS for name, label in read_labels(task.data, split).items()}  # type: ignore[arg-type]
    assert set(labels) == set(rows)
    for name, label in labels.items():
        assert label.gold == {
            "question": rows[name]["question"],
            "answer": rows[name]["answer"],
            "kind": "text" if rows[name]["answer"].startswith("No") else "number",
        }
        assert label.target == rows[name]["answer"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("$1600.00", "number"), ("24.26", "number"), ("65.4%", "number"), ("-3.7", "number"), ("Yes", "text"),
     ("$5 million", "text"), ("12 of 14", "text"), ("2 and 3", "text")],
)  # fmt: skip
def test_kinds_of_answers(answer: str, kind: str) -> None:
    assert answer_kind(answer) == kind


def test_without_the_filings_stores_say_so_and_whole_filings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(FIXTURES / "financebench" / "financebench_open_source.jsonl", alone)
    monkeypatch.setenv("TAO_BENCH_FINANCEBENCH", str(alone))
    with pytest.raises(
        InputError, match=r"needs the filings' pages; 8 of 8 are missing: ARDENT_2021_10K, .*\n  fix: put DOC.pdf"
    ):
        load_task("financebench:in_context")
    shutil.copy(FIXTURES / "financebench" / "pages" / "HOLM_2021_10K.txt", alone)
    with pytest.raises(InputError, match="7 of 8 are missing"):
        load_task("financebench:single_store")
    (alone / "HOLM_2021_10K.txt").unlink()
    pytest.importorskip("bm25s", reason="pip install 'tao-bench[retrieval]'")
    task = load_task("financebench:shared_store")
    assert task.about()["pages"].startswith("evidence pages of the sample only")
    assert "fiscal year ended" not in "".join(prompts(task).values())


def test_embeddings_of_a_named_model_search_too(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_RETRIEVER", str(tiny_model))
    task = load_task("financebench:shared_store")
    assert task.about()["retriever"] == str(tiny_model)
    texts = [f"page about {word}" for word in ("stone", "glass", "tiles")]
    search = make_search(texts, str(tiny_model))
    assert [search(text, 1)[0] for text in texts] == [0, 1, 2]  # a text is nearest to itself
    assert sorted(search("cloth", 9)) == [0, 1, 2]
    monkeypatch.setenv("TAO_BENCH_RETRIEVER", "nobody/no-such-model")
    with pytest.raises(InputError, match="retriever nobody/no-such-model: cannot be loaded"):
        load_task("financebench:shared_store")


def test_bm25_finds_the_page_that_names_what_is_asked() -> None:
    pytest.importorskip("bm25s", reason="pip install 'tao-bench[retrieval]'")
    texts = ["sales of stone rose", "sales of glass fell", "the works council met", "sales of glass fell"]
    search = make_search(texts, "bm25")
    assert search("What happened to sales of glass?", 2) == [1, 3]  # equal scores: the earlier text first
    assert search("zebra", 2) == [0, 1]
    assert make_search(["the", "of"], "bm25")("the", 1) == [0]


@given(st.text("ab \n", max_size=4000), st.integers(40, 300))
def test_chunks_cover_a_page_and_keep_their_size(text: str, size: int) -> None:
    chunks = split_page(Page("doc", 3, text), size, OVERLAP_CHARS)
    assert all(0 < len(chunk.text) <= size and chunk.page == 3 for chunk in chunks)
    at = 0
    for chunk in chunks:
        place = text.find(chunk.text, max(0, at - OVERLAP_CHARS))
        assert place >= 0 and not text[at:place].strip()  # nothing but white space is left out
        at = place + len(chunk.text)
    assert not text[at:].strip()


def test_chunks_are_as_stated() -> None:
    chunks = split_page(Page("doc", 0, "word " * 1000))
    assert max(len(chunk.text) for chunk in chunks) <= CHUNK_CHARS == 1024 and OVERLAP_CHARS == 30


def test_pages_are_read_from_rows_text_and_pdf(tmp_path: Path) -> None:
    (tmp_path / "A.jsonl").write_text('{"page": 4, "text": "five"}\n{"page": 0, "text": "one"}\n')
    (tmp_path / "B.txt").write_text("one\f\fthree")
    assert [(p.number, p.text) for p in read_pages(tmp_path / "A.jsonl")] == [(0, "one"), (4, "five")]
    assert [(p.number, p.text) for p in read_pages(tmp_path / "B.txt")] == [(0, "one"), (2, "three")]
    (tmp_path / "A.pdf").write_bytes(b"%PDF-1.4 broken")
    assert find_filings(tmp_path, ["A", "C"]) == {"A": tmp_path / "A.jsonl"}
    for name, body, match in (
        ("C.jsonl", '{"page": 1}', "C.jsonl:1: a page needs text"),
        ("D.jsonl", '{"page": 1, "text": "a"}\n{"page": 1, "text": "b"}', "D.jsonl:2: page 1 occurs twice"),
        ("E.txt", " \f ", "holds no text"),
    ):
        (tmp_path / name).write_text(body)
        with pytest.raises(InputError, match=match):
            read_pages(tmp_path / name)


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pip install 'tao-bench[retrieval]'")
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with PdfPages(tmp_path / "F.pdf") as pages:
        for text in ("Revenue of 1204", "Cost of 800"):
            figure = Figure()
            figure.text(0.1, 0.5, text)
            pages.savefig(figure)
    assert len(pypdf.PdfReader(tmp_path / "F.pdf").pages) == 2
    assert [page.text for page in read_pages(tmp_path / "F.pdf")] == ["Revenue of 1204", "Cost of 800"]
    (tmp_path / "G.pdf").write_bytes(b"%PDF-1.4 broken")
    with pytest.raises(InputError, match="cannot be read as PDF"):
        read_pages(tmp_path / "G.pdf")


def test_unknown_options_are_refused() -> None:
    for options in ({"mode": "open_book"}, {"order": "first"}, {"k": 0}):
        with pytest.raises(InputError, match="variant of financebench"):
            Options(**options)  # type: ignore[arg-type]


# -- all three -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS[1:])
def test_small_sets_pass_the_check(name: str) -> None:
    assert [finding for finding in check_task(load_task(name)) if not finding.ok] == []


@pytest.mark.parametrize("name", ["financebench:oracle", "tatqa", "finqa"])
def test_the_same_files_give_the_same_bytes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_task(name)
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "other"))
    second = load_task(name)
    assert first.files() == second.files() and first.data != second.data


def test_prompts_show_table_text_and_question() -> None:
    tatqa = prompts(load_task("tatqa"))["own-1-1"].splitlines()
    assert tatqa[:3] == ["Table:", " | 2019 | 2018", "Sales of glass | $1,205.5 | $1,224.9"]
    assert tatqa[4] == "Text:" and tatqa[-2].startswith("Question: What was the change in Other")
    finqa = prompts(load_task("finqa"))["BAY/2019/page_1.pdf-3"].splitlines()
    assert finqa[:2] == ["Text:", "the mill reports in millions ."] and "Question: did sales of bay rise?" in finqa


def test_programs_run_over_the_report_of_the_prompt(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    rows = [
        {"id": "BAY/2019/page_1.pdf-2", "answer": "table_average(bay margin, none)"},
        {"id": "BOX/2019/page_1.pdf-2", "answer": "table_average(bay margin, none)"},
        {"id": "BAY/2019/page_1.pdf-3", "answer": "No"},
        {"finqa_id": "BOX/2019/page_1.pdf-3", "answer": "yes", "model": "m"},
        {"id": "nowhere", "answer": "1"},
        {"id": "BAY/2019/page_1.pdf-4", "answer": None},
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl"
    assert main(["grade", "finqa", str(answers), "-o", str(out)]) == 1  # two rows could not be judged
    graded = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["status"] for row in graded] == ["correct", "wrong", "correct", "wrong"]
    assert graded[1]["reason"] == "bad_citation" and graded[3]["model"] == "m"


def test_the_published_rule_can_judge_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golds = {name: label.gold for name, label in read_labels(load_task("tatqa").data, "test").items()}
    name, value = next((name, gold["answer"]) for name, gold in golds.items() if gold["scale"] == "percent")
    answers, out = tmp_path / "answers.jsonl", tmp_path / "out.jsonl"
    answers.write_text(json.dumps({"id": name, "answer": f"{value}"}) + "\n")
    judged = {}
    for policy in ("strict", "official"):
        assert main(["grade", "tatqa", str(answers), "-o", str(out), "--policy", policy]) == 0
        judged[policy] = json.loads(out.read_text())["status"]
    assert judged == {"strict": "correct", "official": "wrong"}  # a percentage without its sign
    assert main(["grade", "tatqa", str(answers), "--policy", "bird_ex"]) == 2
    assert "unknown policy 'bird_ex'" in capsys.readouterr().err


def question(name: str, cluster: str, home: str) -> Question:
    return Question(name, name, cluster, "1", {}, "1", home)


@given(st.sets(st.sampled_from(("train", "dev", "test")), min_size=1), st.integers(4, 40), st.booleans())
def test_published_splits_are_kept_and_what_is_dealt_is_dealt_by_cluster(
    names: set[str], count: int, shared: bool
) -> None:
    parts = {
        name: [
            question(f"{name}-{n}", f"c{n % 9}" if shared else f"{name}-c{n % 9}", f"{name}-{n}") for n in range(count)
        ]
        for name in names
    }
    splits, left = deal_published(parts)
    assert left == 0 and sum(map(len, splits.values())) == count * len(names)
    if {"dev", "test"} <= names:
        assert [q.id for q in splits["test"]] == [q.id for q in parts["test"]]
    if {"train", "dev", "test"} == names:
        assert [q.id for q in splits["dev"]] == [q.id for q in parts["dev"]]
    for name, questions in parts.items():
        homes = Counter((q.cluster, split) for split in SPLITS for q in splits[split] if q.id.startswith(name))  # type: ignore[index]
        assert len(homes) == len({q.cluster for q in questions})


def test_what_shares_a_page_with_dev_or_test_leaves_the_pool() -> None:
    parts = {
        "train": [question("a", "x", "page 1"), question("b", "y", "page 2"), question("c", "z", "page 3")],
        "dev": [question("d", "x", "page 1")],
        "test": [question("e", "w", "page 3")],
    }
    splits, left = deal_published(parts)
    assert left == 2 and [q.id for s in ("pool", "train") for q in splits[s]] == ["b"]  # type: ignore[index]


@pytest.mark.parametrize(
    "case",
    yaml.safe_load((FIXTURES / "malformed.yaml").read_text()),
    ids=lambda case: f"{case['task']}: {case['error']}",
)
def test_malformed_files_are_named_with_their_row(
    case: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / case["file"]).write_bytes(case["text"].encode("latin-1"))
    monkeypatch.setenv(f"TAO_BENCH_{case['task'].upper()}", str(source))
    with pytest.raises(InputError) as caught:
        load_task(case["task"])
    assert case["error"] in str(caught.value).replace(f"{source}/", "")


@pytest.mark.parametrize("name", SETS)
def test_a_folder_without_the_set_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.md").write_text("something else")
    monkeypatch.setenv(f"TAO_BENCH_{name.upper()}", str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}: holds no"):
        load_task(name)


def test_the_layout_of_the_hub_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        rows = []
        for row in json.loads((FIXTURES / "finqa" / f"{name}.json").read_text()):
            qa = row["qa"]
            rows.append(
                {"id": row["id"], "pre_text": row["pre_text"], "post_text": row["post_text"], "table": row["table"],
                 "question": qa["question"], "answer": qa["answer"], "final_result": str(qa["exe_ans"]),
                 "program_re": qa["program"], "gold_inds": []}
            )  # fmt: skip
        (source / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ours = {name: label.gold for name, label in read_labels(load_task("finqa").data, "test").items()}
    monkeypatch.setenv("TAO_BENCH_FINQA", str(source))
    assert {name: label.gold for name, label in read_labels(load_task("finqa").data, "test").items()} == ours


# -- the real files ------------------------------------------------------------------------------------------------

needs_data = pytest.mark.skipif(
    not SHARED, reason="TAO_BENCH_SHARED_DATA does not name the folder of the published sets"
)


@needs_data
@pytest.mark.parametrize("name", SETS)
def test_published_files_pass_the_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TAO_BENCH_{name.upper()}", str(Path(SHARED) / name))
    assert [finding for finding in check_task(load_task(name), sample=40) if not finding.ok] == []


@needs_data
def test_the_published_sample_of_financebench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_BENCH_FINANCEBENCH", str(Path(SHARED) / "financebench"))
    task = load_task("financebench")
    items = {split: task.items(split) for split in LABELLED_SPLITS}
    assert len(task.pool()) + sum(map(len, items.values())) == 150
    companies = {split: {item.cluster for item in found} for split, found in items.items()}
    assert {split: len(found) for split, found in companies.items()} == {"train": 4, "dev": 4, "test": 20}
    kinds = Counter(label.gold["kind"] for split in SPLITS for label in read_labels(task.data, split).values())  # type: ignore[arg-type]
    assert kinds == {"number": 52, "text": 98}
    disputed = [line.split()[0] for line in (task.folder / "disputed.txt").read_text().splitlines() if line[0] != "#"]
    assert set(disputed) <= set(prompts(task)) and len(disputed) == len(set(disputed)) == 14
