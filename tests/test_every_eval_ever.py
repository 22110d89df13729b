"""Results in the every_eval_ever schema are valid by its own schema files, and say what the report says."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
import synthetic_results

from tao_bench.cli import main
from tao_bench.every_eval_ever import export_results
from tao_bench.report.analysis import analyse
from tao_bench.report.examples import ItemText, TaskTexts
from tao_bench.report.load import load

SCHEMAS = Path(__file__).resolve().parent / "schemas" / "every_eval_ever"
AGGREGATE = jsonschema.Draft7Validator(json.loads((SCHEMAS / "eval.schema.json").read_text()))
INSTANCE = jsonschema.Draft7Validator(json.loads((SCHEMAS / "instance_level_eval.schema.json").read_text()))
NOW = 1_800_000_000.5


@pytest.fixture
def results(tmp_path):
    plan = synthetic_results.Plan(sft=((50, -0.1),), tao=((4, 1, 0.1),), seeds=2, headline_seeds=2)
    return synthetic_results.build(tmp_path / "results" / "made", plan)


def texts_of(folder, withheld=""):
    items = {row.item: ItemText(f"What of {row.item}?", f"gold {row.item}")
             for rows in load(folder).rows.values() for row in rows}  # fmt: skip

    def source(task, full):
        return TaskTexts({}, withheld) if withheld and not full else TaskTexts(items)

    return source


def samples(path):
    return path.with_name(f"{path.stem}_samples.jsonl")


def read(path):
    return json.loads(path.read_text()), [json.loads(line) for line in samples(path).read_text().splitlines()]


def test_every_record_and_row_is_valid_and_tells_the_cells_accuracy(results, tmp_path):
    out = tmp_path / "out"
    paths = export_results(results, out, organisation="Some Lab", now=NOW, source=texts_of(results))
    loaded = load(results)
    assert len(paths) == len(set(paths)) == len(loaded.cells)
    for cell, path in zip(loaded.cells, paths, strict=True):
        record, rows = read(path)
        AGGREGATE.validate(record)
        for row in rows[:40]:
            INSTANCE.validate(row)
        right = [row.status == "correct" for row in loaded.rows[cell.id]]
        result = record["evaluation_results"][0]
        assert result["score_details"]["score"] == pytest.approx(sum(right) / len(right))
        assert [row["evaluation"]["is_correct"] for row in rows] == right
        assert {row["evaluation_id"] for row in rows} == {record["evaluation_id"]}
        assert {row["evaluation_result_id"] for row in rows} == {result["evaluation_result_id"]}
        details = record["detailed_evaluation_results"]
        assert details["checksum"] == hashlib.sha256((out / details["file_path"]).read_bytes()).hexdigest()
        assert details["total_rows"] == len(rows)
        assert path.relative_to(out).parts[:3] == (
            "data", f"tao_bench_{cell.task.replace('@', '-')}", record["model_info"]["developer"]
        )  # fmt: skip
    base = next(i for i, cell in enumerate(loaded.cells) if cell.arm == "base")
    told = read(paths[base])[0]["evaluation_results"][0]["score_details"]["uncertainty"]["confidence_interval"]
    estimate = analyse(loaded)[0].base.accuracy
    assert (told["lower"], told["upper"]) == pytest.approx((estimate.low, estimate.high))


def test_what_is_not_ours_to_publish_is_not_written_unless_asked(results, tmp_path):
    source = texts_of(results, withheld="not part of this project")
    path = export_results(results, tmp_path / "a", organisation="x", now=NOW, source=source)[0]
    text = samples(path).read_text()
    assert "What of" not in text and "gold" not in text and "not part of this project" in text
    full = export_results(results, tmp_path / "b", organisation="x", now=NOW, source=source, full=True)[0]
    assert "What of" in samples(full).read_text()
    assert read(path)[1][0]["sample_hash"] == read(full)[1][0]["sample_hash"]


def test_items_without_a_verdict_are_counted_and_left_out(results, tmp_path):
    cell = load(results).cells[0].id
    path = results / "rows" / f"{cell}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0] |= {"status": "verifier_error", "score": 0.0}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = export_results(results, tmp_path / "out", organisation="x", now=NOW, source=texts_of(results))[0]
    record, told = read(made)
    assert len(told) == len(rows) - 1
    assert record["evaluation_results"][0]["score_details"]["details"]["items_without_verdict"] == "1"


def test_the_command_replaces_what_it_wrote_before(results, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["export", "every-eval-ever", "made", "--results", str(tmp_path / "results"), "--out", str(out)]
    assert main(command) == 0
    first = sorted(path.relative_to(out) for path in out.rglob("*.json*"))
    assert main(command) == 0
    assert sorted(path.relative_to(out) for path in out.rglob("*.json*")) == first
    assert "every_eval_ever schema 0.3.0" in capsys.readouterr().out
    assert main([*command[:2], "nowhere"]) == 2
