"""Reports from stored rows: what they say, what they may not show, what they refuse."""

from __future__ import annotations

import csv
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from synthetic_results import COLLAPSE, Plan, build

from tao.errors import InputError
from tao_bench import stats
from tao_bench.report import render, summary_text
from tao_bench.report.__main__ import main
from tao_bench.report.analysis import TaskReport, analyse
from tao_bench.report.examples import ItemText, TaskTexts, registry_texts
from tao_bench.report.figures import _log_ticks, canvas
from tao_bench.report.load import load
from tao_bench.report.words import findings, flop_text, labels_text, percent, points, unit_of

TASKS = (("warehouse_sql@1", 240, 30), ("sec_filings@1", 120, 20))
SMALL = (("warehouse_sql@1", 90, 15),)
LONELY = Plan(tasks=SMALL, maj=None, sft=(), tao=((8, 1, 0.4),), headline_seeds=1)


def no_texts(_task: str, _full: bool) -> TaskTexts:
    return TaskTexts({}, "no data in this test")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("results") / "demo", Plan(tasks=TASKS))


@pytest.fixture(scope="module")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new" / "folder"
    render(results, out, texts=no_texts)
    return out


@pytest.fixture(scope="module")
def collapse(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskReport, ...]:
    return analyse(load(build(tmp_path_factory.mktemp("results") / "collapse", COLLAPSE)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def edit(folder: Path, name: str, change) -> None:
    """Rewrite a JSONL file row by row; a change may return None to drop the row."""
    path = folder / name
    kept = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept if row is not None), encoding="utf-8")


def test_all_parts_are_written_and_same_results_give_the_same_bytes(results, report, tmp_path):
    paths = render(results, tmp_path, texts=no_texts)
    names = {path.name for path in (paths.markdown, paths.html, *paths.figures, *paths.tables)}
    assert names >= {"report.md", "index.html", "curves.svg", "curves.png", "arms.csv", "cells.csv", "levels.csv"}
    assert {f"curve-{task}.{kind}" for task in ("warehouse-sql-1", "sec-filings-1") for kind in ("svg", "png")} <= names
    assert {path.name for path in report.iterdir()} == names
    for name in sorted(names):
        assert (report / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_arm_figures_are_those_of_the_stored_rows(results, report):
    table = {(r["task"], r["label"]): r for r in rows_of(report / "arms.csv")}
    assert len(table) == 20
    label = "TAO n=32 ×3"
    cells = [f"warehouse_sql--tao-n32-r3--seed{k}" for k in range(5)]
    base = [json.loads(x) for x in (results / "rows" / "warehouse_sql--base--seed0.jsonl").open(encoding="utf-8")]
    tuned = [[json.loads(x) for x in (results / "rows" / f"{c}.jsonl").open(encoding="utf-8")] for c in cells]
    items, clusters = tuple(r["item"] for r in base), tuple(r["cluster"] for r in base)
    scores = stats.Scores(np.array([[r["score"] for r in rows] for rows in tuned]), items, clusters, tuple(range(5)))
    gap = stats.difference(scores, stats.Scores(np.array([[r["score"] for r in base]]), items, clusters, (0,)))
    row = table["warehouse_sql@1", label]
    assert float(row["accuracy"]) == pytest.approx(scores.correct.mean())
    assert [float(row[f"vs_base{end}"]) for end in ("", "_low", "_high")] == pytest.approx(
        [gap.value, gap.low, gap.high]
    )
    charges = [json.loads(x) for x in (results / "ledger.jsonl").open(encoding="utf-8")]
    tuning = [c["model_flop"] for c in charges if c["cell"] in cells and c["stage"] != "evaluate"]
    assert float(row["model_flop"]) == pytest.approx(sum(tuning) / 5)
    tok = [r["completion_tok"] for rows in tuned for r in rows]
    assert float(row["answer_tok_mean"]) == pytest.approx(np.mean(tok))
    assert float(row["correct"]) == pytest.approx(scores.correct.sum() / 5)
    assert sum(float(row[s]) for s in ("correct", "wrong", "unparsable", "truncated", "timeout")) == pytest.approx(240)


def test_holm_runs_over_headlines_of_all_tasks_and_apart_over_the_rest(results, report):
    table = rows_of(report / "arms.csv")
    for headline in (True, False):
        family = {
            (r["task"], r["label"]): float(r["p"])
            for r in table
            if r["p"] and (r["label"] == "TAO n=32 ×3") is headline
        }
        assert len(family) == (2 if headline else 16)
        expected = stats.holm(family)
        found = {(r["task"], r["label"]): float(r["p_holm"]) for r in table if (r["task"], r["label"]) in family}
        assert found == pytest.approx(expected)


def test_the_headline_arm_is_chosen_without_looking_at_results(collapse):
    for task in collapse:
        assert task.headline.label == "TAO n=32 ×4"
        assert task.headline.accuracy.value < task.curve.peak.accuracy.value


def test_a_headline_that_the_experiment_names_is_taken(tmp_path):
    folder = build(tmp_path / "named", COLLAPSE)
    chosen = "TAO n=8 ×2"
    edit(folder, "cells.jsonl", lambda cell: {**cell, "headline": True} if cell["arm_label"] == chosen else cell)
    reports = analyse(load(folder))
    assert {report.headline.label for report in reports if report.headline} == {chosen}
    page = (render(folder, tmp_path / "out", texts=no_texts).html.parent / "report.md").read_text()
    assert "The headline arm is the one that the experiment file names." in page


def test_the_same_settings_once_more_are_no_further_budget(tmp_path):
    folder = build(tmp_path / "again", Plan(tao=((8, 2, 0.3), (9, 2, 0.1)), sft=(), seeds=2, headline_seeds=2))
    same = {"samples": 8, "rounds": 2}
    edit(
        folder,
        "cells.jsonl",
        lambda cell: (
            {**cell, "arm_label": "A/A", "arm_options": same, "budget": {"samples_per_prompt": 8, "rounds": 2}}
            if "tao-n9" in cell["cell"]
            else {**cell, "headline": cell["arm"] == "tao"}
        ),
    )
    for task in analyse(load(folder)):
        assert [arm.label for arm in task.curve.arms] == ["TAO n=8 ×2"] and task.curve.trend is None
        assert [[arm.label for arm in curve.arms] for curve in task.others] == [["A/A"]]
        assert "A/A" in task.versus


def test_a_collapse_is_reported_as_such(collapse):
    for task in collapse:
        found = {f.question: f for f in findings(task, (1e12, "TFLOP"))}
        rise = found["Does accuracy rise with tuning compute?"]
        assert rise.answer.startswith("No, it ")
        assert "The peak is" in rise.text and task.curve.peak.label in rise.text
        assert found["Recovery above 1?"].answer == "No"
    assert findings(collapse[0], (1e12, "TFLOP"))[1].answer == "No, it rises and then falls"


def test_a_rise_and_a_gain_are_reported_as_such(results):
    said = {f.question: f.answer for f in findings(analyse(load(results))[0], (1e12, "TFLOP"))}
    assert said["TAO above base?"] == "Yes"
    assert said["Recovery above 1?"] in ("Yes", "Not shown")


def test_tuning_that_harms_is_called_below_base(tmp_path):
    folder = build(tmp_path / "worse", Plan(tasks=TASKS[:1], tao=((8, 1, -0.9), (16, 2, -1.1))))
    said = {f.question: f for f in findings(analyse(load(folder))[0], (1e12, "TFLOP"))}
    assert said["TAO above base?"].answer == "No, below"
    assert said["How many labels does SFT need to match TAO?"].answer == "< 50 labels"


@pytest.mark.parametrize("values", [(4.95, 5.12), (9.9, 10.1), (4.9, 5.6), (1.5, 2.6), (1.5, 40.0)])
def test_marks_of_the_compute_axis_leave_room_for_their_numbers(values):
    with canvas([4.0], [1.0]) as (_, axes):
        _log_ticks(axes[0], values)
        low, high = axes[0].get_xlim()
        shown = [tick for tick in axes[0].get_xticks() if low <= tick <= high]
    gaps = [np.log(b / a) / np.log(high / low) for a, b in itertools.pairwise(shown)]
    assert len(shown) >= 2
    assert min(gaps) > 0.08


def test_a_report_is_called_by_what_was_compared(report, tmp_path):
    assert (report / "report.md").read_text(encoding="utf-8").splitlines()[0].endswith(": base, SFT and TAO")
    render(build(tmp_path / "unlabelled", Plan(tasks=TASKS[:1], sft=())), tmp_path / "report", texts=no_texts)
    assert (tmp_path / "report" / "report.md").read_text(encoding="utf-8").splitlines()[0].endswith(": base and TAO")


def test_markdown_holds_every_section_and_table_is_even(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    for title in ("Findings", "Recovery and labels-equivalent", "warehouse_sql@1", "Compute and time", "Provenance"):
        assert f"## {title}" in text
    assert "](curve-warehouse-sql-1.png)" in text
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


class Balance(HTMLParser):
    """Every tag closed in order."""

    VOID = frozenset(("meta", "link", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_valid_file_without_script_or_network(report):
    html = (report / "index.html").read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert parser.seen["svg"] == 2 and "script" not in parser.seen and "img" not in parser.seen
    headings = [i for i in parser.ids if i in {m for m in re.findall(r'href="#([^"]+)"', html)}]
    assert set(re.findall(r'<a href="#([^"]+)"', html)) <= set(headings)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert all(a.startswith("http://www.w3.org/") for a in addresses)  # namespaces, never fetched
    assert "default-src 'none'" in html and "prefers-color-scheme: dark" in html
    inside = html[html.index("<svg") : html.index("</svg>")]
    assert "var(--tao)" in inside and "#0067b1" not in inside and "DejaVu" not in inside


def test_figures_are_wellformed_and_their_text_is_text(report):
    for path in report.glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        words = " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "tuning compute" in words and "TAO" in words and "base maj@16" in words
        assert "2,000" in words  # label counts beside the SFT points
        assert not list(root.iter("{http://purl.org/dc/elements/1.1/}date"))
    for path in report.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size < 400_000


def test_missing_arms_are_named_and_do_no_harm(tmp_path):
    folder = build(tmp_path / "lonely", LONELY)
    paths = render(folder, tmp_path / "out", texts=no_texts)
    text = paths.markdown.read_text(encoding="utf-8")
    assert "(absent: base with voting, SFT)" in text
    assert text.count("**Absent.**") == 3
    assert "One seed: the interval says nothing about other seeds." in text
    assert re.search(r"TAO n=8 ×1\*\* \| 1 \| [\d.]+†", text)


def test_provenance_names_what_was_frozen_and_drift_is_in_the_lead(report, tmp_path):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "verifier dddddddddddd; as frozen" in text and "240 test items" in text and "stand apart" not in text
    folder = build(tmp_path / "drifted", replace(LONELY, drift=("verifier",)))
    text = render(folder, tmp_path / "out", texts=no_texts).markdown.read_text(encoding="utf-8")
    assert "Not what was frozen: warehouse_sql@1 (verifier); these results stand apart." in text[: text.index("##")]


@pytest.mark.parametrize(
    "plan",
    [
        Plan(tasks=SMALL, base=None),
        Plan(tasks=SMALL, tao=()),
        Plan(tasks=SMALL, tao=(), sft=(), maj=None),
        Plan(tasks=SMALL, base=None, maj=None, sft=((200, 0.1),), tao=()),
        Plan(tasks=(("one@1", 1, 1),), seeds=1, headline_seeds=1),
        Plan(tasks=(("cluster@1", 30, 1),)),
        Plan(tasks=SMALL, base=-9.0, maj=-9.0, sft=((50, -9.0), (200, 9.0)), tao=((4, 1, 9.0), (8, 1, 9.0))),
    ],
    ids=["no base", "no TAO", "base alone", "SFT alone", "one item", "one cluster", "none and all right"],
)
def test_any_subset_of_arms_and_items_renders(plan, tmp_path):
    folder = build(tmp_path / "odd", plan)
    paths = render(folder, tmp_path / "out", texts=no_texts)
    text = paths.markdown.read_text(encoding="utf-8")
    assert not re.search(r"\b(nan|None|inf)\b", text)
    assert summary_text(folder)


def test_longer_answers_are_flagged(tmp_path):
    folder = build(tmp_path / "long", Plan(tasks=SMALL, tuned_tok=1.8))
    task = analyse(load(folder))[0]
    assert task.headline.longer and not task.base.longer and not task.maj.longer
    assert "⚑" in summary_text(folder) and "times as long" in summary_text(folder, width=300)


def test_items_the_verifier_failed_on_are_dropped_for_all_and_named(tmp_path):
    folder = build(tmp_path / "failing", Plan(tasks=TASKS[:1]))
    name = "rows/warehouse_sql--tao-n4-r1--seed1.jsonl"

    def fail(*items):
        return lambda row: row | {"status": "verifier_error", "score": 0.0} if row["item"] in items else row

    edit(folder, name, fail("t-0007"))
    task = analyse(load(folder))[0]
    assert task.dropped == ("t-0007",) and task.n_items == 239
    assert all(len(arm.scores.items) == 239 for arm in task.arms)
    assert "t-0007" in render(folder, tmp_path / "out", texts=no_texts).markdown.read_text(encoding="utf-8")
    edit(folder, name, fail("t-0007", "t-0008"))
    with pytest.raises(InputError, match=r"2 of 240 items, more than 0\.5%"):
        render(folder, tmp_path / "out", texts=no_texts)


GOLD, QUESTION = "SELECT the_gold_itself", "what is the secret question?"


def secrets(task: str, full: bool) -> TaskTexts:
    known = {f"t-{i:04d}": ItemText(f"Schema:\n{QUESTION}", GOLD) for i in range(240)}
    return TaskTexts(known) if full else TaskTexts({}, "its data is not part of this project")


def test_external_data_stays_out_unless_rendered_in_full(tmp_path):
    results = build(tmp_path / "results", Plan(tasks=SMALL, sft=()))
    render(results, tmp_path / "public", texts=secrets)
    for path in (tmp_path / "public").iterdir():
        content = path.read_bytes()
        assert GOLD.encode() not in content and QUESTION.encode() not in content
    public = (tmp_path / "public" / "report.md").read_text(encoding="utf-8")
    assert "not part of this project" in public and "#### Mended: `t-" in public
    paths = render(results, tmp_path / "local", full=True, texts=secrets)
    for path in (paths.markdown, paths.html):
        assert GOLD in path.read_text(encoding="utf-8") and QUESTION in path.read_text(encoding="utf-8")


def test_a_task_with_external_data_is_recognised_by_its_spec(tmp_path, monkeypatch):
    task = tmp_path / "bought_data"
    task.mkdir()
    (task / "task.yaml").write_text(
        "name: bought_data\nversion: 1\ndescription: d\nlicence: l\nanswer: sql\nverifier: sql\ncluster: c\n"
        "chance_floor: 0\nlimits: {max_prompt_tok: 10, max_new_tok: 10}\nneeds: BOUGHT_DATA\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("TAO_BENCH_TASKS", str(task))
    monkeypatch.delenv("BOUGHT_DATA", raising=False)
    public = registry_texts("bought_data@1", full=False)
    assert not public.items and "not part of this project" in public.withheld
    local = registry_texts("bought_data@1", full=True)
    assert not local.items and "BOUGHT_DATA is not set" in local.withheld
    assert "no task is called" in registry_texts("unheard_of@1", full=False).withheld


def test_examples_are_mended_and_broken_items_over_all_levels(results, report):
    text = (report / "report.md").read_text(encoding="utf-8")
    part = text[text.index("## warehouse_sql@1") : text.index("## sec_filings@1")]
    shown = re.findall(r"#### (Mended|Broken): `(t-\d+)`, level (\d)", part)
    base = {r["item"]: r for r in map(json.loads, (results / "rows" / "warehouse_sql--base--seed0.jsonl").open())}
    for kind, item, level in shown:
        assert (base[item]["status"] == "correct") == (kind == "Broken")
        assert base[item]["level"] == level
    assert {level for kind, _, level in shown if kind == "Mended"} == {"1", "2", "3"}


def test_model_text_cannot_become_markup(tmp_path):
    folder = build(tmp_path / "hostile", Plan(tasks=SMALL))
    attack = "</pre><script>alert(1)</script>```\n# not a heading\n| a | b |\x1b[31m\ud800"
    for path in (folder / "rows").iterdir():
        edit(folder, f"rows/{path.name}", lambda row: row | {"answer": attack, "reason": "<b>x</b>"})
    paths = render(folder, tmp_path / "out", texts=no_texts)
    html = paths.html.read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html and "<b>x</b>" not in html and "\x1b" not in html
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    markdown = paths.markdown.read_text(encoding="utf-8")
    fences = [line for line in markdown.splitlines() if re.fullmatch(r"`{3,}(text)?", line)]
    assert fences and set(fences) == {"````text", "````"} and "\x1b" not in markdown


def test_summary_fits_a_terminal(results):
    text = summary_text(results, width=100)
    assert max(len(line) for line in text.splitlines()) <= 100
    for label in ("base maj@16", "SFT 2,000", "TAO n=32 ×3", "warehouse_sql@1", "sec_filings@1", "TAO above base?"):
        assert label in text
    assert "\x1b" not in text


def test_rows_in_one_file_read_the_same_and_timing_is_optional(results, tmp_path):
    folder = tmp_path / "single"
    folder.mkdir()
    for name in ("cells.jsonl", "ledger.jsonl"):
        (folder / name).write_bytes((results / name).read_bytes())
    (folder / "rows.jsonl").write_bytes(b"".join(p.read_bytes() for p in sorted((results / "rows").iterdir())))
    assert summary_text(folder) == summary_text(results)
    assert "not recorded" in render(folder, tmp_path / "out", texts=no_texts).markdown.read_text(encoding="utf-8")


def test_command_line(tmp_path, capsys):
    folder = build(tmp_path / "plain", replace(LONELY, tasks=(("not_installed@1", 30, 10),)))
    assert main([str(folder), str(tmp_path / "out")]) == 0
    assert "index.html" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert "no such folder of results" in capsys.readouterr().err


def test_importing_the_package_is_light():
    heavy = ("matplotlib", "pandas", "torch", "scipy", "jinja2")
    code = f"import tao_bench.report, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (percent(0.4567), "45.7"),
        (points(-0.0123), "−1.2"),
        (points(0.0004), "0.0"),
        (flop_text(2.345e12, 1e12), "2.35"),
        (flop_text(0, 1e12), "0"),
        (flop_text(3.2e9, 1e12), "0.00320"),
        (unit_of([0, 2e12, 9e13, 4e15]), (1e12, "TFLOP")),
        (unit_of([]), (1e12, "TFLOP")),
        (labels_text(643.0, stats.LabelsEquivalent(643, 500, 900, 50, 2000)), "640"),
        (labels_text(1449.0, stats.LabelsEquivalent(643, 500, 900, 50, 2000)), "1,400"),
        (labels_text(float("inf"), stats.LabelsEquivalent(643, 500, 900, 50, 2000)), "> 2,000"),
        (labels_text(float("-inf"), stats.LabelsEquivalent(643, 500, 900, 50, 2000)), "< 50"),
    ],
)
def test_figures_in_words(got, expected):
    assert got == expected
