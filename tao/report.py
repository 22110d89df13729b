"""A run as text: what its rounds looked like without labels, what they cost, what a plan would cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tao.compute import Ledger, ModelShape, forward_flop
from tao.prompts import Prompt
from tao.recipe import Recipe
from tao.rounds import WATCH_ROUND, Round, TuneResult, read_round
from tao.sampling.forecast import CHAR_PER_TOK, forecast
from tao.scoring.evidence import Finding
from tao.scoring.judge import pairs_of
from tao.scoring.stats import RoundStats

if TYPE_CHECKING:
    from tao.flywheel.promote import Promotion

STOPPED = {
    "rounds": "all rounds done",
    "budget": "the next round would exceed the budget",
    "alarm": "an alarm went off; the model before is kept",
    "kl_base": "the cap on the drift from the first model is reached",
    "no_signal": "nothing left to train on: every prompt abstains or agrees",
    "thin_evidence": "too little label-free evidence to train on (`thin_evidence: warn` in the recipe trains anyway)",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain text table, the first column to the left, the others to the right."""
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def _rounds(run: Path) -> list[Round]:
    found: list[Round] = []
    while (done := read_round(run / f"round-{len(found)}")) is not None:
        found.append(done[0])
    return found


def round_rows(rounds: Sequence[Round]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows of the rounds' label-free figures. The watch of the last model is a row without training."""
    header = "round runs clusters share abstain reward top-answer length steps kl clipped".split()
    rows: list[tuple[str, ...]] = []
    for done in rounds:
        training = done.training
        rows.append(
            (
                str(done.number),
                *_figures(done.stats),
                f"{training.get('steps', 0):.0f}",
                f"{training['kl']:.4f}" if "kl" in training else "-",
                f"{training['clip_fraction']:.1%}" if "clip_fraction" in training else "-",
            )
        )
    return header, rows


def _figures(stats: RoundStats) -> tuple[str, ...]:
    return (
        f"{stats.run_rate:.0%}",
        f"{stats.mean_clusters:.2f}",
        f"{stats.mean_share:.2f}",
        f"{stats.abstained:.0%}",
        f"{stats.mean_reward:.3f}",
        f"{stats.top_answer_share:.0%}",
        f"{stats.mean_answer_char:.0f}",
    )


def part_rows(rounds: Sequence[Round]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows of the figures by part, where the pool is a mixture (`tao.mixture`); no rows elsewhere."""
    header = ["round part", *"prompts runs clusters share abstain reward top-answer length".split()]
    parts = [(done.number, part, stats) for done in rounds for part, stats in done.parts.items()]
    return header, [(f"{at} {part}", f"{stats.prompts:,}", *_figures(stats)) for at, part, stats in parts]


def render_rounds(rounds: Sequence[Round]) -> str:
    """The rounds as a table, by part where they have parts, the alarms, and where the evidence was thin."""
    alarms = [(done.number, alarm) for done in rounds for alarm in done.alarms]
    lines = [f"alarm in round {number}: {alarm.name} ({alarm.message})" for number, alarm in alarms]
    lines += [line for done in rounds for line in render_evidence(done.evidence, f" in round {done.number}")]
    header, parts = part_rows(rounds)
    return "\n".join([table(*round_rows(rounds)), *(["", table(header, parts), ""] if parts else []), *lines]).rstrip()


def render_evidence(found: Sequence[Finding], where: str = "", refused: str = "not trained on") -> list[str]:
    """What is thin about the evidence, a line a finding.

    Args:
        found: The findings.
        where: Put behind the first words, e.g. `` in round 2``.
        refused: What becomes of a round that is refused.
    """
    return [f"thin evidence{where}: {one.message}{f' - {refused}' if one.level == 'refuse' else ''}" for one in found]


def render_strategies(rounds: Sequence[Round]) -> str:
    """How the first and the last round's samples differ, by strategy: which one pays, without labels.

    ``won`` is the share of a strategy's votes that carry the winning meaning, ``of-wins`` its share of all winning
    votes, ``wins/1k-tok`` winning votes per 1,000 generated tokens, ``alone`` answers that no other strategy gave.
    """
    known = [done for done in rounds if done.diversity is not None]
    header = "round strategy samples form works answers meanings alone won of-wins tokens wins/1k-tok".split()
    rows = []
    for done in [*known[:1], *known[1:][-1:]]:
        assert done.diversity is not None
        for name, one in done.diversity.strategies.items():
            rows.append(
                (
                    f"{done.number} {name}",
                    f"{one.samples:,}",
                    f"{one.kept_form:.0%}",
                    f"{one.votes:.0%}",
                    f"{one.answers:.2f}",
                    f"{one.meanings:.2f}",
                    f"{one.alone:.0%}",
                    f"{one.won:.0%}",
                    f"{one.won_share:.0%}",
                    f"{one.completion_tok:.0f}",
                    f"{one.won_per_1k:.1f}",
                )
            )
    return table([f"{header[0]} {header[1]}", *header[2:]], rows) if rows else ""


def ledger_rows(ledger: Ledger) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows of a ledger, tuning's sum last. What a stage is charged in parts for is named by part."""
    entries = ledger.entries()
    notes: dict[tuple[int, str], set[str]] = {}
    for entry in entries:
        notes.setdefault((entry.round, entry.stage), set()).add(entry.note)
    rows: list[tuple[str, ...]] = [
        (
            f"{entry.round if entry.round < WATCH_ROUND else 'watch'} {entry.stage}"
            + (f" ({entry.note.removesuffix('.jsonl')})" if len(notes[entry.round, entry.stage]) > 1 else ""),
            f"{entry.prompt_tok:,}",
            f"{entry.completion_tok:,}",
            f"{entry.train_tok:,}",
            f"{entry.model_flop:.3g}",
            f"{entry.device_flop:.3g}",
        )
        for entry in entries
    ]
    rows.append(("tuning", "", "", "", f"{ledger.tuning_flop():.3g}", ""))
    return ["round, stage", "prompt tok", "completion tok", "train tok", "model FLOP", "device FLOP"], rows


def paid(ledger: Ledger) -> float | None:
    """Price of all that endpoints did, in dollars; None where none is known."""
    prices = [entry.usd for entry in ledger.entries() if entry.usd is not None]
    return sum(prices) if prices else None


def render_ledger(ledger: Ledger) -> str:
    """Tokens and FLOPs by round and stage, work lost to kills apart."""
    text, usd = table(*ledger_rows(ledger)), paid(ledger)
    text += f"\npaid to endpoints: ${usd:.4f}" if usd is not None else ""
    lost = sum(entry.device_flop for entry in ledger.lost())
    return text + (f"\nlost to interruptions: {lost:.3g} device FLOP" if lost else "")


def render_run(run: Path) -> str:
    """A finished or interrupted run."""
    rounds = _rounds(run)
    parts = [f"run {run}: {len(rounds)} rounds complete"]
    if rounds:
        last = read_round(run / "watch" / f"round-{len(rounds)}")
        parts.append(render_rounds([*rounds, *(last[:1] if last else [])]))
        parts += filter(None, [render_strategies(rounds)])
    parts.append(render_ledger(Ledger(run / "ledger.jsonl")))
    path = run / "result.json"
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
        model = run / result["checkpoint"] if result["checkpoint"] else "the starting model"
        if (run / "model").is_dir():
            model = run / "model"
        parts.append(f"{STOPPED[result['stopped']]}\nmodel: {model}")
    else:
        parts.append("not finished: the same 'tao tune' command goes on")
    return "\n\n".join(parts)


def render_result(result: TuneResult, model: Path) -> str:
    """What a run gave, and where the model to serve is."""
    return "\n\n".join(
        [
            render_rounds([*result.rounds, *([result.last] if result.last else [])]),
            f"{STOPPED[result.stopped]}; {result.tuning_flop:.3g} model FLOP\nmodel: {model}",
        ]
    )


def render_scores(stats: RoundStats) -> str:
    """Label-free figures of scored samples, one a line, each with what it says."""
    lines = [
        (f"{stats.prompts:,}", f"prompts, {stats.samples:,} samples"),
        (f"{stats.answer_rate:.0%}", "of the samples hold an answer in deployment form"),
        (f"{stats.run_rate:.0%}", f"of the answers work ({stats.empty_rate:.0%} of them all, but say nothing)"),
        (f"{stats.unscored:,}", "could not be judged, and count neither way"),
        (f"{stats.mean_clusters:.2f}", "different meanings a prompt, where any is valid (1: nothing to choose from)"),
        (f"{stats.mean_share:.2f}", "of the valid votes go to the winner"),
        (f"{stats.trusted:.0%}", "of the prompts have a trusted vote: these give examples to imitate"),
        (f"{1 - stats.abstained:.0%}", "of the prompts have answers to tell apart: these give a gradient"),
        (f"{stats.mean_reward:.3f}", "mean reward"),
        (f"{stats.top_answer_share:.0%}", "of the trusted prompts are won by one and the same answer"),
        (f"{stats.mean_answer_char:.0f}", "characters an answer"),
    ]
    return "\n".join(f"{figure:>8}  {words}" for figure, words in lines)


def render_promotion(promotion: Promotion, serve: Path) -> str:
    """The decision on a new model, with both models' figures on the watched prompts, and what to serve."""
    lines = [f"{'promoted' if promotion.promote else 'not promoted'}: {promotion.reason}"]
    if promotion.before is not None and promotion.after is not None:
        header = "model prompts runs clusters share top-answer length".split()
        rows = [
            (
                name,
                str(stats.prompts),
                f"{stats.run_rate:.0%}",
                f"{stats.mean_clusters:.2f}",
                f"{stats.mean_share:.2f}",
                f"{stats.top_answer_share:.0%}",
                f"{stats.mean_answer_char:.0f}",
            )
            for name, stats in (("in service", promotion.before), ("new", promotion.after))
        ]
        lines.append(table(header, rows))
    return "\n".join([*lines, f"serve: {serve}"])


def explored_prompts(recipe: Recipe, pool: int) -> list[int]:
    """Prompts whose answers each round can train on: its own, or with `restart` those of all rounds so far."""
    each = min(pool, recipe.prompts_per_round or pool)
    return [min(pool, each * number) if recipe.restart else each for number in range(1, recipe.rounds + 1)]


def render_plan(model: Path, prompts: Sequence[Prompt], recipe: Recipe, budget_flop: float | None) -> str:
    """What a run would cost, before anything is spent."""
    shape = ModelShape.from_config(model)
    chars = sum(len(message.content) for prompt in prompts for message in prompt.messages) / len(prompts)
    prompt_tok = min(chars / CHAR_PER_TOK, recipe.max_prompt_tok)
    answer_tok = recipe.max_new_tok / 2
    each = min(len(prompts), recipe.prompts_per_round or len(prompts))
    own = recipe.reworder is None
    one = forecast(shape, recipe.exploring(), prompt_tok, answer_tok, rewords=own)
    explore = recipe.rounds * each * one.model_flop
    explore += round(explore / recipe.rounds * recipe.watch_share(len(prompts)))
    if recipe.sampler == "endpoint":
        explore = 0  # the server's compute is not known
    # A training row holds a prompt once and its answers behind it; imitation trains on the winners alone.
    behind = round(answer_tok * (recipe.per_prompt if recipe.objective == "rft" else recipe.samples))
    passes = 3 * recipe.epochs + (recipe.objective != "rft")
    rows = sum(explored_prompts(recipe, len(prompts)))
    train = rows * passes * forward_flop(shape, round(prompt_tok) + behind, behind)
    mix = ", ".join(f"{count} {name}" for name, count in recipe.counts().items())
    lines = [
        f"{len(prompts):,} prompts, {each:,} a round, {recipe.samples} samples each ({mix}), {recipe.rounds} rounds, "
        f"{recipe.objective}",
        f"{each * recipe.samples * recipe.rounds:,} samples of at most {recipe.max_new_tok} tokens",
        f"about {explore + train:.2g} model FLOP: explore {explore:.2g}, train at most {train:.2g}",
        f"(guessed: {prompt_tok:.0f} tokens a prompt, {answer_tok:.0f} an answer; equal answers are trained on once)",
    ]
    if recipe.adaptive:
        held = recipe.samples - sum(recipe.exploring().first().values())
        lines.append(f"adaptive: {held} of the {recipe.samples} go where the first answers disagree, or unspent")
    if recipe.endpoint:
        asked = each * recipe.rounds
        usd = recipe.endpoint.usd(asked * one.prompt_tok, asked * one.completion_tok)
        price = "at a price that was not given" if usd is None else f"for about ${usd:.2f}"
        lines.append(f"explored by {recipe.endpoint.model} at {recipe.endpoint.url}, {price}; its FLOPs are not known")
    for signal in recipe.signals:
        if signal.endpoint:
            per = 2 * len(pairs_of(recipe.samples, signal.pairs)) if signal.mode == "pairwise" else recipe.samples
            lines.append(
                f"judged by {signal.endpoint.model} at {signal.endpoint.url}: about {per * each * recipe.rounds:,} "
                "questions, fewer where answers are equal, priced in the ledger"
            )
    if recipe.reworder:
        lines.append(f"questions reworded by {recipe.reworder.model} at {recipe.reworder.url}, priced in the ledger")
    if budget_flop is not None:
        lines.append(f"budget {budget_flop:.2g} model FLOP: the first round always runs, no later one begins beyond it")
    return "\n".join(lines)
