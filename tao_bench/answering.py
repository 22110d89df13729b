"""How a model answers a split: one greedy response, or the majority of n sampled ones (maj@n).

Both write `samples.jsonl` chunk by chunk (resumable) and then `answers.jsonl`, one row an item in the
split's order. Nothing here knows a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tao.compute import Ledger
from tao.meaning import Interpreter
from tao.prompts import Prompt, Sample
from tao.sampling.protocol import Sampler
from tao.scoring.combine import VERSION as SCORING
from tao.scoring.consensus import elected
from tao.scoring.score import read_answers
from tao.stage import Stage, file_digest
from tao_bench.lm_eval.borrowed import borrowed_requests
from tao_bench.task import Limits

Progress = Callable[[str, int, int], None]


def make_sampler(folder: Path, name: str = "transformers", engine: Mapping[str, Any] | None = None) -> Sampler:
    """The sampler every arm answers with: same precision and chunks for all, so that only weights differ."""
    from tao.sampling.samplers import local_sampler

    return local_sampler(folder, name, engine)


def elect(prompt: Prompt, samples: Sequence[Sample], interpreter: Interpreter) -> Sample:
    """The maj@n answer: gate, read, vote by the same rule as tuning's consensus."""
    return samples[elected(read_answers(prompt, samples, interpreter))]


def answer(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    decode: Literal["greedy", "majority"],
    *,
    options: Any,
    limits: Limits,
    seed: int,
    folder: Path,
    ledger: Ledger,
    interpreter: Callable[[], Interpreter],
    progress: Progress,
) -> None:
    """Answer a split into `answers.jsonl`.

    Args:
        sampler: The model.
        prompts: The split's prompts, in order.
        decode: One greedy response, or the majority of `options.samples` sampled ones.
        options: The arm's options (`samples`, `temperature` where decode is majority).
        limits: Generation limits in tokens.
        seed: Seeds the chunks; greedy answers do not depend on it.
        folder: ``eval/<split>``.
        ledger: Charged once.
        interpreter: Makes the label-free reader for votes.
        progress: Called with a stage's name, done, in all.
    """
    from tao.sampling.explore import explore, greedy_answers
    from tao.sampling.protocol import Settings
    from tao.sampling.samples import read_samples

    greedy = decode == "greedy"
    out = folder / "samples.jsonl"
    if borrowed := borrowed_requests(prompts):
        from tao_bench.lm_eval.likelihood import answer_choices, fit_limits

        if "choices" in borrowed[prompts[0].id]:
            answer_choices(sampler, prompts, borrowed, folder=folder, ledger=ledger, progress=progress)
            return
        limits = fit_limits(limits, prompts, sampler)
    settings = Settings(limits.max_prompt_tok, limits.max_new_tok, 0.0 if greedy else options.temperature)
    if greedy:
        greedy_answers(prompts, sampler, settings, out, ledger=ledger, progress=progress)
    else:
        mix, note = {"direct": options.samples}, f"{folder.name}/{out.name}"
        explore(
            prompts, sampler, mix, settings,
            seed=seed, round=0, out=out, ledger=ledger, progress=progress, stage="evaluate", note=note,
        )  # fmt: skip
    samples = read_samples(out)
    reader = None if greedy else interpreter()
    voter = f"{reader.name}@{reader.version}/scoring@{SCORING}" if reader else ""
    stage = Stage(folder / "answers.jsonl", {"samples": file_digest(out), "decode": decode, "voter": voter})
    try:
        rows = stage.rows()
        if not stage.done:
            for number, prompt in enumerate(prompts):
                if number < len(rows):
                    continue
                group = samples[prompt.id]
                chosen = elect(prompt, group, reader) if reader else group[0]
                stage.append([_row(chosen, group)])
                progress("vote", number + 1, len(prompts))
            stage.finish()
    finally:
        if reader:
            reader.close()


def _row(chosen: Sample, group: Sequence[Sample]) -> dict[str, Any]:
    """Tokens are those the deployment pays for: all samples of a vote, the prompt once."""
    return {
        "item": chosen.prompt_id,
        "answer": chosen.text,
        "finish_reason": chosen.finish_reason,
        "prompt_tok": chosen.prompt_tok,
        "completion_tok": sum(sample.completion_tok for sample in group),
    }
