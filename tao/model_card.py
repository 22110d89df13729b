"""What a run hands over: a folder that transformers loads, with a card that says where the model comes from.

The folder shares its files with the round that trained it (hard links), so it takes no room of its own and the round
stays what its record says. The card counts what the model was tuned on and never quotes it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tao import __version__
from tao.compute import Ledger
from tao.report import STOPPED, ledger_rows, paid, part_rows, round_rows
from tao.rounds import Round

LIBRARIES = ("torch", "transformers", "trl", "peft", "vllm")
UNMEASURED = (
    "Tuned without labels: **the quality of this model was not measured here.** The figures below say how much its own "
    "answers agree and whether they work, not whether they are right. Measure it on labelled items, with `tao-bench`."
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: What the model is called.
        base: What the model it was tuned from is called.
        base_digest: Content hash of that model's files.
        prompts: Prompts it was tuned on.
        answers: Answer form, '' where rewards came from elsewhere.
        recipe: Fields of the recipe that differ from the defaults.
        ledger: Tokens and FLOPs.
        instructions: System message it was tuned with, if the run added one.
        rounds: The rounds, the watch of the last model included; empty for a single stage.
        stopped: Why it ended, a key of `tao.report.STOPPED`, or words.
        notes: Further sentences.
        timing: ``timing.jsonl`` of the run, if there is one.
    """

    name: str
    base: str
    base_digest: str
    prompts: int
    answers: str
    recipe: Mapping[str, Any]
    ledger: Ledger
    instructions: str = ""
    rounds: Sequence[Round] = ()
    stopped: str = ""
    notes: Sequence[str] = ()
    timing: Path | None = None


def base_name(model: Path) -> str:
    """A model folder's name; where that says nothing (``model``, ``checkpoint``), with what stands above it."""
    parts = [part for part in model.absolute().parts if part != os.sep]
    keep = 1
    while keep < len(parts) and parts[-keep].partition("-")[0] in ("model", "checkpoint", "round"):
        keep += 1
    return "-".join(parts[-keep:])


def publish(checkpoint: Path, folder: Path, card: str) -> Path:
    """Put a checkpoint's files and a card into a folder, which appears whole or not at all.

    Args:
        checkpoint: What a round trained; left as it is.
        folder: Made anew. Files are hard links where the disk can do that, else copies.
        card: Becomes ``README.md``.

    Returns:
        `folder`.
    """
    scratch = Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=folder.parent))
    try:
        for path in sorted(checkpoint.iterdir()):
            if not path.is_file() or path.name == "README.md":
                continue
            try:
                os.link(path, scratch / path.name)
            except OSError:
                shutil.copy2(path, scratch / path.name)
        (scratch / "README.md").write_text(card, encoding="utf-8")
        scratch.chmod(0o755)
        withdraw(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def withdraw(folder: Path) -> None:
    """Remove a published folder: the run's outcome is no longer the model in it."""
    if folder.exists():
        shutil.rmtree(folder)


def render_card(facts: CardFacts) -> str:
    """The card in Markdown, with the front matter that the Hugging Face hub reads."""
    front = {
        "base_model": facts.base,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["tao", "test-time-adaptive-optimization", "label-free", "reinforcement-learning"],
    }
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {facts.name}",
        UNMEASURED,
        "\n".join(_facts(facts)),
    ]
    if facts.instructions:
        quoted = "\n".join(f"> {line}" for line in facts.instructions.splitlines())
        parts.append(f"It was tuned with this system message, and wants it in deployment:\n\n{quoted}")
    parts += [f"## Recipe\n\nFields that differ from the defaults:\n\n```yaml\n{_recipe(facts.recipe)}```"]
    if facts.rounds:
        header, by_part = part_rows(facts.rounds)
        tables = [_markdown(*round_rows(facts.rounds)), *([_markdown(header, by_part)] if by_part else [])]
        parts += ["## Rounds", *tables, _alarms(facts.rounds)]
    usd = paid(facts.ledger)
    parts.append(f"## Cost\n\n{_markdown(*ledger_rows(facts.ledger))}")
    parts += [f"Paid to endpoints: ${usd:.4f}."] if usd is not None else []
    parts.append("## Made with\n\n" + "\n".join(f"- {line}" for line in [*_machine(), *_seconds(facts.timing)]))
    return "\n\n".join(parts) + "\n"


def _facts(facts: CardFacts) -> list[str]:
    lines = [
        f"- Tuned from `{facts.base}` (files `{facts.base_digest}`); licence and limits of that model apply.",
        f"- Tuned on {facts.prompts:,} prompts without an answer to any of them"
        + (f"; answers read as {facts.answers}." if facts.answers else "."),
    ]
    if facts.stopped:
        lines.append(f"- Rounds: {_tuned(facts.rounds)}. Ended: {STOPPED.get(facts.stopped, facts.stopped)}.")
    return [*lines, *(f"- {note}" for note in facts.notes)]


def _tuned(rounds: Sequence[Round]) -> str:
    return f"{sum(done.checkpoint is not None for done in rounds)} trained of {len(rounds)} sampled"


def _alarms(rounds: Sequence[Round]) -> str:
    # Names only: an alarm's message may quote an answer, a finding's the address of a server.
    found = [f"{alarm.name} (round {done.number})" for done in rounds for alarm in done.alarms]
    thin = [f"{one.name} (round {done.number})" for done in rounds for one in done.evidence]
    return f"Alarms: {', '.join(found) or 'none'}. Thin evidence: {', '.join(thin) or 'none'}."


def _recipe(fields: Mapping[str, Any]) -> str:
    shown = {name: _without_address(value) for name, value in fields.items()}
    return str(yaml.safe_dump(shown, sort_keys=True, allow_unicode=True, width=110))


def _without_address(value: Any) -> Any:
    """A setting without the addresses of servers and the places of files: a card travels."""
    if isinstance(value, Mapping):
        return {key: _without_address(inner) for key, inner in value.items() if key not in ("url", "key_env")}
    if isinstance(value, list | tuple):
        return [_without_address(inner) for inner in value]
    if isinstance(value, str) and os.sep in value:
        return Path(value).name
    return value


def _machine() -> list[str]:
    versions = [f"tao-bench {__version__}", f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return [", ".join(versions), f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{_accelerators()}"]


def _accelerators() -> str:
    import torch

    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return "".join(f", {names.count(name)} x {name}" for name in dict.fromkeys(names))


def _seconds(timing: Path | None) -> list[str]:
    """Wall seconds by stage. Stages that were resumed count every attempt that ended."""
    if timing is None or not timing.exists():
        return []
    spent: dict[str, float] = {}
    for line in timing.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            spent[row["stage"]] = spent.get(row["stage"], 0.0) + float(row["wall_s"])
        except (ValueError, KeyError, TypeError):
            continue  # a line torn by a kill: no figure depends on it
    return ["seconds: " + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in spent.items())] if spent else []


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
