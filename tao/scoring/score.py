"""Stage 2, from files to files: ``samples.jsonl`` -> ``scores.jsonl``, without knowing the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tao import __version__
from tao.compute import Entry, Ledger
from tao.errors import InputError
from tao.meaning import Interpreter, Outcome, Reading
from tao.prompts import Prompt, Sample, pool_digest
from tao.sampling.diversity import DiversityReport, diversity_report
from tao.sampling.samples import read_samples
from tao.scoring.combine import VERSION, Rewards, Score, combine
from tao.scoring.gate import refusal
from tao.scoring.mentions import left_out
from tao.scoring.signals import Pads, Served, Weighed, consult, distinct_answers, signals_digest, veto
from tao.scoring.stats import RoundStats, round_stats
from tao.stage import Stage, digest, file_digest

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ScoredRound:
    """What training gets: the pool, and by prompt id its samples and, aligned with them, their scores."""

    prompts: Sequence[Prompt]
    samples: Mapping[str, Sequence[Sample]]
    scores: Mapping[str, Sequence[Score]]

    def only(self, prompts: Sequence[Prompt]) -> ScoredRound:
        """The part of the round that belongs to some of its prompts."""
        ids = [prompt.id for prompt in prompts]
        return ScoredRound(prompts, {i: self.samples[i] for i in ids}, {i: self.scores[i] for i in ids})

    def stats(self) -> RoundStats:
        """Label-free summary."""
        return round_stats(self.samples, self.scores)

    def diversity(self) -> DiversityReport:
        """How different the samples are, and which strategy pays."""
        keys = {i: [s.key if s.share > 0 else None for s in scores] for i, scores in self.scores.items()}
        won = {i: [s.pseudo_label and s.share > 0 for s in scores] for i, scores in self.scores.items()}
        return diversity_report(self.samples, keys, won)


def handles_digest(prompts: Sequence[Prompt]) -> str:
    """Content hash of all that the prompts' handles point at: other data would mean other readings."""
    known: dict[str, str] = {}
    for prompt in prompts:
        for name, location in prompt.handles.items():
            path = Path(location)
            if location not in known:
                if not path.exists():
                    raise InputError(f"handle {name!r} points at nothing", f"{prompt.id}: {location}")
                known[location] = file_digest(path) if path.is_file() else path.name
    return digest([[p.id, sorted([n, known[v]] for n, v in p.handles.items())] for p in prompts])


def read_answers(
    prompt: Prompt, samples: Sequence[Sample], interpreter: Interpreter, *, rule: bool = True
) -> list[Reading]:
    """Gate and interpret one prompt's samples; equal answers are read once.

    Args:
        prompt: The prompt.
        samples: Its samples.
        interpreter: Says what an answer means.
        rule: Whether answers that leave out what the question mentions lose their vote.

    Raises:
        RuntimeError: The interpreter returned another number of readings than it was given answers.
    """
    refused = [refusal(sample) for sample in samples]
    pending = dict.fromkeys(str(s.answer) for s, no in zip(samples, refused, strict=True) if no is None)
    readings = interpreter.read(prompt, list(pending)) if pending else []
    if len(readings) != len(pending):
        raise RuntimeError(f"interpreter {interpreter.name} gave {len(readings)} readings for {len(pending)} answers")
    by_answer = dict(zip(pending, readings, strict=True))
    if rule:
        given = [str(s.answer) for s, no in zip(samples, refused, strict=True) if no is None]
        for answer, word in dict(zip(given, left_out(prompt, given), strict=True)).items():
            if word and by_answer[answer].outcome in (Outcome.OK, Outcome.EMPTY):
                by_answer[answer] = Reading(Outcome.INVALID, detail=f"leaves out {word}")
    return [no if no is not None else by_answer[str(s.answer)] for s, no in zip(samples, refused, strict=True)]


def _row(prompt_id: str, sample: Sample, score: Score) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "index": sample.index, **asdict(score), "outcome": str(score.outcome)}


def _score(row: Mapping[str, Any]) -> Score:
    rest = {key: value for key, value in row.items() if key not in ("prompt_id", "index", "outcome")}
    return Score(outcome=Outcome(row["outcome"]), **rest)


def _complete(
    rows: Sequence[Mapping[str, Any]], samples: Mapping[str, Sequence[Sample]]
) -> Iterator[tuple[str, list[Score]]]:
    """Prompts whose every sample has a row, in file order; an incomplete last prompt is owed again."""
    groups: dict[str, list[Score]] = {}
    for row in rows:
        groups.setdefault(row["prompt_id"], []).append(_score(row))
    for prompt_id, scores in groups.items():
        if len(scores) == len(samples[prompt_id]):
            yield prompt_id, scores


def score(
    prompts: Sequence[Prompt],
    samples_path: Path,
    interpreter: Interpreter,
    rewards: Rewards,
    *,
    out: Path,
    signals: Sequence[Weighed] = (),
    progress: Progress | None = None,
) -> ScoredRound:
    """Score a round's samples label-free, resumably.

    Args:
        prompts: The pool that was sampled.
        samples_path: Finished ``samples.jsonl`` of the round.
        interpreter: Reads what an answer means; sees prompts and their handles only.
        rewards: See `tao.scoring.combine.Rewards`.
        out: ``scores.jsonl`` to write. A prompt's rows are appended together.
        signals: Further signals beside the vote.
        progress: Called with ("score", prompts done, prompts in all).

    Returns:
        The scored round.

    Raises:
        InputError: Unreadable samples, a prompt without samples, missing handles, or `out` was made from
            something else.
    """
    samples = read_samples(samples_path)
    missing = [prompt.id for prompt in prompts if prompt.id not in samples]
    if missing or len(samples) != len(prompts):
        what = f"no samples for prompt {missing[0]!r}" if missing else "samples of prompts that are not in the pool"
        raise InputError(what, str(samples_path), "run the exploring stage to its end first")
    stage = Stage(
        out,
        {
            "samples": file_digest(samples_path),
            "pool": pool_digest(prompts),
            "handles": handles_digest(prompts),
            "interpreter": f"{interpreter.name}@{interpreter.version}",
            "rewards": rewards.as_record(),
            **({"signals": signals_digest(signals)} if signals else {}),
            "code": f"{__version__}/scoring@{VERSION}",
        },
    )
    scores = dict(_complete(stage.rows(), samples))
    for at, weighed_signal in enumerate(signals):
        if isinstance(weighed_signal.signal, Served):
            weighed_signal.signal.keep_replies(out.with_suffix(f".replies-{at}.jsonl"))
    if not stage.done:
        stage.keep(sum(map(len, scores.values())))
        for number, prompt in enumerate(prompts):
            if prompt.id not in scores:
                group = samples[prompt.id]
                readings = read_answers(prompt, group, interpreter, rule=rewards.mentions)
                weighed = None
                if signals:
                    vetoed, values = consult(prompt, distinct_answers(group), signals)
                    readings = [veto(r, str(s.answer), vetoed) for r, s in zip(readings, group, strict=True)]
                    weighed = [values.get(str(s.answer), []) for s in group]
                scores[prompt.id] = combine(group, readings, rewards, weighed)
                stage.append(_row(prompt.id, s, c) for s, c in zip(group, scores[prompt.id], strict=True))
            if progress:
                progress("score", number + 1, len(prompts))
        stage.finish()
    ordered = {prompt.id: scores[prompt.id] for prompt in prompts}
    return ScoredRound(prompts, samples, ordered)


def charge_signals(scored: ScoredRound, signals: Sequence[Weighed], ledger: Ledger, number: int) -> None:
    """Charge what the further signals computed for a round's distinct answers."""
    for at, weighed in enumerate(signals):
        signal = weighed.signal
        asked = [(prompt, distinct_answers(scored.samples[prompt.id])) for prompt in scored.prompts]
        flop = sum(signal.flop(*one) for one in asked)
        executed = sum(signal.device_flop(*one) for one in asked) if isinstance(signal, Pads) else flop
        if isinstance(signal, Served):
            prompt_tok, completion_tok, usd = signal.spent()
            note = f"{signal.name} {at}"
            ledger.charge(Entry("score", number, note, prompt_tok=prompt_tok, completion_tok=completion_tok, usd=usd))
        if flop:
            ledger.charge(Entry("score", number, signal.name, model_flop=flop, device_flop=executed))
