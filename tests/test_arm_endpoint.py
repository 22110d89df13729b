"""The arm `endpoint`: a served model beside local ones, from the experiment file to the report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, Raw, completion, fault
from test_runner import Bench

from tao.errors import InputError
from tao_bench.experiment import parse_experiment

pytest.importorskip("aiohttp", reason="needs the endpoint extra")
ARMS = """\
  - arm: base
  - arm: endpoint
    url: {url}
    model: big/model-1
    key_env: SOME_KEY
    usd_per_m_in: 2.5
    usd_per_m_out: 10
    instructions: Answer with the number alone.
    attempts: 1
    concurrency: 1
"""
CELL = "toy_task--endpoint-big-model-1--seed0"


def knows(body: dict[str, Any], choice: int) -> str:
    """The right answer to a question of the toy task."""
    text = body["messages"][-1]["content"]
    asked = re.search(r"Question: (\w)\?", text)
    assert asked
    return next(line.split("|")[1] for line in text.splitlines() if line.startswith(f"{asked[1]}|"))


def test_a_served_model_is_evaluated_resumed_and_reported(
    taught_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mortal(body: dict[str, Any], before: int) -> Raw:
        return completion(body, knows) if sum(server.answered.values()) < 4 else fault(503, "gone")

    with FakeEndpoint(mortal) as server:
        bench = Bench(tmp_path / "bench", taught_model, ARMS.format(url=server.url))
        code, text = bench.run("--dry-run")
        assert code == 0 and re.search(rf"{CELL} +– +– +< \$0.01", text) and not server.asked

        code, text = bench.run()
        assert code == 2 and "environment variable SOME_KEY: holds no key" in text and not server.asked
        assert not bench.cell(CELL).joinpath("log.txt").exists()

        bench.environment["SOME_KEY"] = "sk-secret"
        code, text = bench.run()
        assert code == 1 and "no answer after 1 attempt (HTTP 503: gone)" in text, text
        assert "go on with: tao-bench run" in text
        assert len(server.asked) == 5

        # It comes back at another address, and its price was wrong: the cell goes on.
        with FakeEndpoint(lambda body, before: completion(body, knows)) as moved:
            again = bench.file.read_text().replace(server.url, moved.url)
            bench.file.write_text(again.replace("usd_per_m_in: 2.5", "usd_per_m_in: 3.5"))
            code, text = bench.run()
        assert code == 0, text
        bench.file.write_text(bench.file.read_text().replace("big/model-1", "big/model_1"))  # another model, one id
        code, told = bench.run()
        assert code == 2 and 'arm_options.model ("big/model-1" before, "big/model_1" now)' in told
    assert sorted((server.answered + moved.answered).values()) == [1] * 10, "asked twice"
    server.asked += moved.asked
    assert server.keys == {"Bearer sk-secret"}
    assert all(
        body["messages"][0] == {"role": "system", "content": "Answer with the number alone."} for body in server.asked
    )
    assert all(body["temperature"] == 0 and body["max_tokens"] == 12 for body in server.asked)

    config = json.loads((bench.cell(CELL) / "cell.json").read_text())
    assert config["model"] == "endpoint big/model-1" and config["labels_base"] == 0
    rows = [json.loads(line) for line in (bench.cell(CELL) / "eval/test/rows.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["correct"] * 10
    (entry,) = [json.loads(line) for line in (bench.cell(CELL) / "ledger.jsonl").read_text().splitlines()]
    words = sum(len(m["content"].split()) for body in server.asked for m in body["messages"]) * 10 // len(server.asked)
    assert (entry["model_flop"], entry["device_flop"], entry["completion_tok"]) == (0, 0, 20)
    assert entry["prompt_tok"] == pytest.approx(words, abs=2)
    assert entry["usd"] == pytest.approx((3.5 * entry["prompt_tok"] + 10 * 20) / 1e6)

    report = (bench.folder / "reports/trial/report.md").read_text()
    (line,) = [row for row in report.splitlines() if row.startswith("| big/model-1 (endpoint) | 1 |")]
    assert "| 100.0" in line and "| – | – |" in line
    assert f"| {entry['usd']:.4f} |" in report
    assert "big/model-1 (endpoint)" in text
    with (bench.folder / "reports/trial/arms.csv").open() as handle:
        (arm,) = [row for row in csv.DictReader(handle) if row["arm"] == "endpoint"]
    assert arm["model_flop"] == "" and float(arm["accuracy"]) == 1.0
    kept = [
        path
        for folder in ("runs", "results", "reports")
        for path in (bench.folder / folder).rglob("*")
        if path.is_file()
    ]
    assert kept and not [path for path in kept if b"sk-secret" in path.read_bytes()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("url: https://h/v1, model: m, key_evn: K", "(?s)key_evn.*did you mean.*key_env"),
        ("url: h/v1, model: m", "url"),
        ("model: m", "url"),
        ("url: https://h/v1, model: m, key_env: sk-1234", "key_env"),
    ],
)
def test_faults_in_the_file_are_named(options: str, message: str) -> None:
    text = f"name: t\ntasks: [warehouse_sql]\narms:\n  - {{arm: endpoint, {options}}}\n"
    with pytest.raises(InputError, match=message):
        parse_experiment(text, "t.yaml")


def test_all_arms_can_answer_with_vllm_and_the_default_is_not_written_down() -> None:
    text = "name: t\ntasks: [warehouse_sql]\nsampler: {}\narms: [{{arm: base}}, {{arm: tao}}]\n"
    _, cells = parse_experiment(text.format("vllm"), "t.yaml")
    assert {cell.sampler for cell in cells} == {"vllm"}
    _, cells = parse_experiment(text.format("vllm\nvllm: {tensor_parallel_size: 4}"), "t.yaml")
    assert [cell.engine for cell in cells] == [{"tensor_parallel_size": 4}] * 2
    with pytest.raises(InputError, match="sampler"):
        parse_experiment(text.format("vlm"), "t.yaml")
