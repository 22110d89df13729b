"""Stage 1, from prompts to ``samples.jsonl``; and the same machinery for greedy answers in evaluation.

Files, beside what `tao.stage.Stage` keeps for each:

- ``<name>.jsonl``: one `tao.prompts.Sample` a row, chunk after chunk (`tao.sampling.samples.MeasuredSample` where
  self-certainty was asked for);
- ``<name>.chunks.jsonl``: one line a finished chunk (id, samples, tokens, FLOPs), written after its
  rows. Rows without their chunk's line are owed again, so a killed stage ends with the same bytes;
- ``<name>.inflight``: the chunk being generated. If it is found on resuming, that work was lost,
  and the ledger is told;
- ``<name>.responses.jsonl``: every single response of an endpoint as it arrived, so that none is asked
  (and paid) for twice; removed when the stage is finished.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tao import __version__
from tao.compute import Entry, Ledger, StageName
from tao.errors import InputError
from tao.prompts import Prompt, pool_digest
from tao.sampling.protocol import Chunk, ChunkPlan, KeepsResponses, Request, Sampler, Settings
from tao.sampling.strategies import VERSION, Supplies, View, build_views, check_mix, deployment_form, parse
from tao.sampling.wording import WORDINGS, Wording, WordingName
from tao.stage import Stage, digest, write_atomic

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, samples done, samples in all."""


def explore(
    prompts: Sequence[Prompt],
    sampler: Sampler,
    mix: Mapping[str, int],
    settings: Settings,
    *,
    seed: int,
    round: int,
    out: Path,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    supplies: Supplies | None = None,
    stage: StageName = "explore",
    note: str = "",
    wording: WordingName = "terse",
) -> Path:
    """Sample every prompt in the mix's ways, resumably.

    Args:
        prompts: The pool.
        sampler: Holds the round-start policy.
        mix: Samples per prompt and strategy, e.g. ``{"direct": 8, "plan": 4}``.
        settings: How to sample; the limits hold for every view, so leave room for longer views.
        seed: The cell's seed; each round draws afresh.
        round: 0-based round.
        out: The ``.jsonl`` file to write; a finished one is left alone.
        ledger: Charged once, when the stage is complete.
        progress: See `Progress`.
        supplies: Exemplars and failures for the strategies that need them.
        stage: Where the ledger books it.
        note: The ledger's note; the file's name unless given.
        wording: What strategies say to the model.

    Returns:
        `out`.

    Raises:
        InputError: Bad mix, a prompt that is too long (before anything is generated), `out` was made
            from something else, or the disk is full (what is finished is kept).
    """
    said = WORDINGS[wording]
    views = build_views(prompts, mix, draw_seed(seed, round, stage), supplies, said)
    asked = {"pool": pool_digest(prompts), "mix": check_mix(mix)}
    return sample_views(
        views,
        sampler,
        settings,
        asked if wording == "terse" else {**asked, "wording": wording},
        seed=seed,
        round=round,
        out=out,
        ledger=ledger,
        progress=progress,
        stage=stage,
        note=note,
        wording=said,
    )


def sample_views(
    views: Sequence[View],
    sampler: Sampler,
    settings: Settings,
    asked: Mapping[str, Any],
    *,
    seed: int,
    round: int,
    out: Path,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    stage: StageName = "explore",
    note: str = "",
    part: str = "",
    wording: Wording = WORDINGS["terse"],
) -> Path:
    """Sample ready views, resumably; strategies with a temperature of their own at that one.

    Args:
        views: All requests; may be none.
        sampler: As for `explore`.
        settings: As for `explore`.
        asked: What else the views were made from, for the record.
        seed: As for `explore`.
        round: As for `explore`.
        out: As for `explore`.
        ledger: As for `explore`.
        progress: As for `explore`.
        stage: As for `explore`.
        note: As for `explore`.
        part: Which pass of the round this is: passes draw independently.
        wording: What the views say to the model.

    Returns:
        `out`.

    Raises:
        InputError: As `explore`.
    """
    made_from = {
        "sampler": sampler.name,
        "weights": sampler.weights_hash,
        **asked,
        "settings": settings.as_record(),
        "seed": seed,
        "round": round,
        "stage": stage,
        "code": f"{__version__}/strategies@{VERSION}",
        "requests": digest([asdict(view) for view in views]),
    }
    with _disk(out):
        work = _Work(
            stage=stage,
            round=round,
            sampler=sampler,
            views={view.request.key: view for view in views},
            rows=Stage(out, made_from),
            finished=Stage(out.with_suffix(".chunks.jsonl"), made_from),
            ledger=ledger,
            progress=progress or _silent,
            wording=wording,
        )
        if not work.rows.done:
            _run(work, plan_views(views, sampler, settings, draw_seed(seed, round, stage, part)))
        if ledger:
            ledger.charge(_entry(work, note or out.name))
    return out


def greedy_answers(
    prompts: Sequence[Prompt],
    sampler: Sampler,
    settings: Settings,
    out: Path,
    *,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    note: str = "",
) -> Path:
    """One greedy answer a prompt, on the deployment prompt; for evaluation.

    The same machinery as `explore` with temperature 0. Process-wide random state is left as found.

    Args:
        prompts: Prompts of the split.
        sampler: The model under test.
        settings: Its temperature is replaced by 0.
        out: ``answers.jsonl`` to write.
        ledger: Charged under ``evaluate``.
        progress: See `Progress`.
        note: The ledger's note; by default the file and its folder, e.g. ``test/answers.jsonl``.

    Raises:
        InputError: As `explore`.
    """
    greedy = replace(settings, temperature=0.0, certainty=False)
    name = note or f"{out.parent.name}/{out.name}"
    return explore(
        prompts,
        sampler,
        {"direct": 1},
        greedy,
        seed=0,
        round=0,
        out=out,
        ledger=ledger,
        progress=progress,
        stage="evaluate",
        note=name,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    stage: StageName
    round: int
    sampler: Sampler
    views: Mapping[str, View]
    rows: Stage
    finished: Stage
    ledger: Ledger | None
    progress: Progress
    wording: Wording


def _silent(stage: str, done: int, everything: int) -> None:
    """Tell nobody."""


def draw_seed(seed: int, round: int, stage: str, part: str = "") -> int:
    """Rounds, stages and passes draw independently even where weights and requests are equal."""
    return int(digest([seed, round, stage, *([part] if part else [])]), 16)


def plan_views(views: Sequence[View], sampler: Sampler, settings: Settings, seed: int) -> list[ChunkPlan]:
    """The chunks of views: those of the settings' temperature first, then one temperature after another.

    Raises:
        InputError: A view is too long (`tao.sampling.protocol.TooLong`).
    """
    by_temperature: dict[float | None, list[Request]] = {}
    for view in views:
        by_temperature.setdefault(parse(view.strategy)[1], []).append(view.request)
    plans: list[ChunkPlan] = []
    for temperature in sorted(by_temperature, key=lambda own: own or 0.0):
        own = settings if temperature is None else replace(settings, temperature=temperature)
        plans += sampler.chunks(by_temperature[temperature], own, seed)
    return plans


def _run(work: _Work, plans: Sequence[ChunkPlan]) -> None:
    """Generate the chunks that are not finished yet, in the plan's order."""
    done = work.finished.rows()
    work.rows.rows()  # cuts off a torn last line
    if [line["id"] for line in done] != [plan.id for plan in plans[: len(done)]]:
        raise InputError(
            "the finished chunks are not those of the plan",
            str(work.finished.path),
            f"remove {work.rows.path.parent} to start over",
        )
    count, everything = sum(line["samples"] for line in done), sum(plan.samples for plan in plans)
    work.rows.keep(count)
    work.progress(work.stage, count, everything)
    inflight = work.rows.path.with_suffix(".inflight")
    lost = _lost_attempts(inflight)
    responses = work.rows.path.with_suffix(".responses.jsonl")
    if isinstance(work.sampler, KeepsResponses):
        work.sampler.keep_responses(responses)
        lost = {}
    for plan in plans[len(done) :]:
        attempts = lost.get(plan.id, 0)
        write_atomic(inflight, f"{plan.id} {attempts + 1}\n")
        chunk = work.sampler.run(plan)
        line = _chunk_line(chunk, work.sampler)
        if work.ledger:
            _charge_lost(work.ledger, line, attempts, work)
        work.rows.append(_sample_rows(chunk, work.views, work.wording))
        work.finished.append([line])
        count += len(chunk.completions)
        work.progress(work.stage, count, everything)
    inflight.unlink(missing_ok=True)
    work.finished.finish()
    work.rows.finish()
    responses.unlink(missing_ok=True)


def _lost_attempts(inflight: Path) -> dict[str, int]:
    """How often the chunk that was being generated had been started."""
    if not inflight.exists():
        return {}
    chunk_id, attempts = inflight.read_text(encoding="utf-8").split()
    return {chunk_id: int(attempts)}


def _sample_rows(chunk: Chunk, views: Mapping[str, View], wording: Wording) -> Iterator[dict[str, Any]]:
    for completion in chunk.completions:
        view = views[completion.key]
        yield {
            "prompt_id": view.prompt_id,
            "strategy": view.strategy,
            "index": view.first_index + completion.index,
            "text": completion.text,
            "answer": deployment_form(view.strategy, completion.text, wording),
            "token_ids": list(completion.token_ids),
            "prompt_tok": completion.prompt_tok,
            "finish_reason": completion.finish_reason,
            **({} if completion.certainty is None else {"certainty": completion.certainty}),
        }


def _chunk_line(chunk: Chunk, sampler: Sampler) -> dict[str, Any]:
    return {
        "id": chunk.id,
        "samples": len(chunk.completions),
        "prompt_tok": chunk.prompt_tok,
        "completion_tok": chunk.completion_tok,
        "model_flop": chunk.model_flop(sampler.shape),
        "device_flop": chunk.device_flop(sampler.shape),
        **({"remote": asdict(chunk.remote)} if chunk.remote else {}),
    }


def _entry(work: _Work, note: str) -> Entry:
    lines = work.finished.rows()
    amounts = ("model_flop", "device_flop", "prompt_tok", "completion_tok")
    prices = [line["remote"]["usd"] for line in lines if "remote" in line]
    usd = None if not prices or None in prices else round(sum(prices), 9)
    return Entry(work.stage, work.round, note, **{name: sum(line[name] for line in lines) for name in amounts}, usd=usd)


def _charge_lost(ledger: Ledger, line: Mapping[str, Any], attempts: int, work: _Work) -> None:
    """Charge every killed attempt at a chunk in full: how far it came is unknown, more it cannot have cost."""
    for attempt in range(1, attempts + 1):
        ledger.charge_lost(
            Entry(
                work.stage,
                work.round,
                f"chunk {line['id']}, attempt {attempt}",
                device_flop=line["device_flop"],
                prompt_tok=line["prompt_tok"],
                completion_tok=line["completion_tok"],
            )
        )


@contextmanager
def _disk(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        raise InputError(
            f"cannot be written ({error.strerror})",
            str(error.filename or out),
            "free space, then run the same command again: finished chunks are kept",
        ) from error
