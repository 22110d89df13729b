"""Results in the schema of every_eval_ever (EvalEval Coalition, MIT licence), version 0.3.0.

One aggregate record a cell, ``OUT/data/TASK/DEVELOPER/MODEL/UUID.json``, and beside it one row an item,
``UUID_samples.jsonl``:
https://github.com/evaleval/every_eval_ever, `eval.schema.json` and `instance_level_eval.schema.json`. Items that could
not be judged are missing data here as everywhere: they are counted, and stand in neither the score nor the rows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tao.errors import InputError
from tao_bench import __version__
from tao_bench.models import SHIPPED
from tao_bench.report.examples import TaskTexts, TextSource, registry_texts
from tao_bench.report.load import REMOTE, Cell, Results, Row, load
from tao_bench.stats import Estimate, Scores, accuracy
from tao_bench.store import dump, read_rows
from tao_bench.verify.verdict import Status

SCHEMA = "0.3.0"


@dataclass(frozen=True, slots=True)
class Context:
    """What every record of an export shares.

    Attributes:
        organisation: Who ran the evaluation.
        now: When the export is made, seconds since 1970.
        withheld: Task to why its questions and golds are not written; '' where they are.
        texts: Task to the texts of its items.
    """

    organisation: str
    now: float
    withheld: Mapping[str, str]
    texts: Mapping[str, TaskTexts]


def export_results(
    folder: Path, out: Path, *, organisation: str, full: bool = False, now: float, source: TextSource = registry_texts
) -> list[Path]:
    """Write the records of a results folder.

    Args:
        folder: ``results/<experiment>``.
        out: Where they go; files of an earlier export of the same cells are replaced.
        organisation: Who ran the evaluation.
        full: Also questions and golds of external data.
        now: Seconds since 1970, which the schema wants in every record.
        source: Where questions and golds come from.

    Returns:
        The aggregate files.

    Raises:
        InputError: Results at fault.
    """
    results = load(folder)
    withheld = {task: "" if full else source(task, False).withheld for task in results.tasks}
    context = Context(organisation, now, withheld, {task: source(task, True) for task in results.tasks})
    return [_write(results, cell, out, context) for cell in results.cells]


def _write(results: Results, cell: Cell, out: Path, context: Context) -> Path:
    judged = [row for row in results.rows[cell.id] if row.status != Status.VERIFIER_ERROR]
    if not judged:
        raise InputError("no item of the cell could be judged", cell.id, "mend the verifier and run it again")
    developer, model = _model(cell, context.organisation)
    model_id = f"{developer}/{model}"
    benchmark = f"tao_bench_{_slug(cell.task)}"
    # the schema wants a UUID of version 4; made of the cell's name, so that a second export replaces the first
    name = str(uuid.UUID(bytes=hashlib.sha256(f"{cell.experiment}/{cell.id}".encode()).digest()[:16], version=4))
    place = out / "data" / benchmark / developer / model
    evaluation = f"{benchmark}/{model_id}/{context.now}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    details = place / f"{name}_samples.jsonl"
    raw = {row["item"]: row for row in read_rows(results.folder / "rows" / f"{cell.id}.jsonl")}
    rows = [
        _instance(cell, row, raw.get(row.item, {}), context, model_id=model_id, evaluation=evaluation, name=name)
        for row in judged
    ]
    details.write_text("".join(map(dump, rows)), encoding="utf-8")
    record = _record(results, cell, judged, context) | {
        "evaluation_id": evaluation,
        "model_info": _model_info(cell, developer, model),
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": details.relative_to(out).as_posix(),
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(details.read_bytes()).hexdigest(),
            "total_rows": len(rows),
        },
    }
    record["evaluation_results"][0]["evaluation_result_id"] = name
    path = place / f"{name}.json"
    path.write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _record(results: Results, cell: Cell, judged: Sequence[Row], context: Context) -> dict[str, Any]:
    scores = Scores(
        np.array([[float(row.status == Status.CORRECT) for row in judged]]),
        tuple(row.item for row in judged),
        tuple(row.cluster for row in judged),
        (cell.seed,),
    )
    finished = [
        float(t["started"]) + float(t["wall_s"]) for t in results.timing if t.get("cell") == cell.id and "started" in t
    ]
    lost = len(results.rows[cell.id]) - len(judged)
    return {
        "schema_version": SCHEMA,
        "retrieved_timestamp": str(context.now),
        **({"evaluation_timestamp": str(max(finished))} if finished else {}),
        "source_metadata": {
            "source_name": f"TAO-Bench experiment {cell.experiment}",
            "source_type": "evaluation_run",
            "source_organization_name": context.organisation,
            "evaluator_relationship": "first_party" if cell.labels_arm or cell.budget else "third_party",
        },
        "eval_library": {"name": "tao-bench", "version": __version__, "additional_details": _texts(cell.versions)},
        "evaluation_results": [
            {
                "evaluation_name": cell.task,
                "source_data": _source(cell, len(judged), context.withheld[cell.task]),
                "metric_config": {
                    "evaluation_description": "Share of items answered correctly, all items counted",
                    "metric_id": "accuracy",
                    "metric_name": "Accuracy",
                    "metric_kind": "accuracy",
                    "metric_unit": "proportion",
                    "lower_is_better": False,
                    "score_type": "continuous",
                    "min_score": 0,
                    "max_score": 1,
                },
                "score_details": _score(accuracy(scores), lost),
                "generation_config": _generation(cell),
            }
        ],
    }


def _score(estimate: Estimate, lost: int) -> dict[str, Any]:
    return {
        "score": estimate.value,
        "details": _texts({"clusters": estimate.n_clusters, "items_without_verdict": lost}),
        "uncertainty": {
            "standard_error": {"value": estimate.se, "method": "analytic, between clusters"},
            "confidence_interval": {
                "lower": estimate.low,
                "upper": estimate.high,
                "confidence_level": 0.95,
                "method": estimate.method,
            },
            "num_samples": estimate.n_items,
        },
    }


def _generation(cell: Cell) -> dict[str, Any]:
    temperature = cell.options.get("temperature", 1.0) if cell.inference_samples > 1 else 0.0
    arguments: dict[str, Any] = {"temperature": float(temperature)}
    most = cell.raw.get("limits", {}).get("max_new_tok")
    if most:
        arguments["max_tokens"] = int(most)
    return {
        "generation_args": arguments,
        "additional_details": _texts({"samples_per_answer": cell.inference_samples, "decoding": _decoding(cell)}),
    }


def _decoding(cell: Cell) -> str:
    return "majority vote over meanings" if cell.inference_samples > 1 else "greedy"


def _source(cell: Cell, items: int, withheld: str) -> dict[str, Any]:
    evaluated = cell.raw.get("eval", {})
    about = {"split": evaluated.get("split", ""), "limit": evaluated.get("limit"), "items": items}
    frozen = cell.raw.get("frozen", {})
    return {
        "dataset_name": cell.task,
        "source_type": "other",
        "additional_details": _texts({**about, **{f"hash_{k}": v for k, v in frozen.items()}, "withheld": withheld}),
    }


def _model(cell: Cell, organisation: str) -> tuple[str, str]:
    """Developer and name: the model's own where it answers as it is, the evaluator's where an arm made it."""
    named = str(cell.raw.get("model", "model")).removeprefix("endpoint ")
    owner, _, plain = named.rpartition("/")
    if cell.arm in ("base", REMOTE):
        return _slug(owner or "tao-bench"), _slug(plain)
    stem = cell.id.partition("--")[2] or cell.id
    return _slug(organisation), f"{_slug(plain)}--{_slug(stem)}"


def _model_info(cell: Cell, developer: str, model: str) -> dict[str, Any]:
    versions = cell.versions
    opened = "open_weights" if cell.arm == "base" and cell.raw.get("model") in SHIPPED else "unknown"
    details = {
        "deployment_type": "externally_managed" if cell.arm == REMOTE else "self_deployed",
        "model_availability": opened,
        "arm": cell.arm,
        "arm_label": cell.label,
        "arm_options": json.dumps(dict(cell.options), sort_keys=True, default=str),
        "starts_from": cell.raw.get("model", ""),
        "seed": cell.seed,
        "labels_in_base": cell.labels_base,
        "labels_of_arm": cell.labels_arm,
        "labels_of_dev": cell.labels_dev,
        "weights_hash": cell.raw.get("frozen", {}).get("model", ""),
    }
    info: dict[str, Any] = {"name": model, "id": f"{developer}/{model}", "developer": developer}
    if cell.arm == REMOTE:
        info["inference_platform"] = str(cell.options.get("url", "unknown"))
    else:
        engine = str(cell.raw.get("sampler", "transformers"))
        info["inference_engine"] = {"name": engine, "version": str(versions.get(engine, "unknown"))}
    return info | {"additional_details": _texts(details)}


def _instance(
    cell: Cell, row: Row, raw: Mapping[str, Any], context: Context, *, model_id: str, evaluation: str, name: str
) -> dict[str, Any]:
    text = context.texts[cell.task].items.get(row.item)
    hidden = context.withheld[cell.task]
    prompt = text.prompt if text and not hidden else f"[item {row.item}: {hidden or 'its text is not here'}]"
    read, written = int(raw.get("prompt_tok", 0)), row.completion_tok
    right = row.status == Status.CORRECT
    return {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation,
        "model_id": model_id,
        "evaluation_name": cell.task,
        "evaluation_result_id": name,
        "sample_id": row.item,
        "sample_hash": hashlib.sha256(f"{text.prompt}{text.gold}".encode()).hexdigest() if text else None,
        "interaction_type": "single_turn",
        "input": {"raw": prompt, "reference": [text.gold] if text and not hidden else []},
        "output": {"raw": [row.answer]},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": str(raw.get("extracted", "")),
                "extraction_method": "verifier of the task",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(right), "is_correct": right, "num_turns": 1},
        "token_usage": {"input_tokens": read, "output_tokens": written, "total_tokens": read + written},
        "metadata": _texts(
            {"status": row.status.value, "reason": row.reason, "cluster": row.cluster, "level": row.level}
        ),
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Every value as text, as the schema wants additional details; what is None or empty is left out."""
    return {key: str(value) for key, value in values.items() if value not in (None, "")}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def run_export(options: argparse.Namespace) -> int:
    """The command ``tao-bench export every-eval-ever``."""
    folder = Path(options.experiment)
    if not folder.is_dir():
        folder = options.results / options.experiment
    paths = export_results(
        folder, options.out, organisation=options.organisation, full=options.full, now=round(time.time(), 3)
    )
    print(f"{len(paths)} records in the every_eval_ever schema {SCHEMA}: {options.out}")
    return 0
