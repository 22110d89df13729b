"""What `tao-bench run --dry-run` prints of an experiment that is planned for GPUs. Nothing in it was run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from tao.recipe import ScaleFields
from tao_bench.estimate import CHAR_PER_TOK, SHARE_OF_LIMIT, TRAINED_SHARE, Estimator
from tao_bench.gpu_plan import (
    DISK_BYTE_S,
    ENGINE_STEP_S,
    RUNTIME_BYTE,
    Hardware,
    Memory,
    Sampling,
    gpu,
    parameters,
    published,
    sampling,
    training_hours,
    training_memory,
)
from tao_bench.plan import Prepared, Run

COLUMNS = (
    "cell", "seeds", "tuning FLOP", "answer FLOP", "M tok sampled", "M tok trained", "h explore", "h train", "h answer",
    "GPU-h", "USD", "GB sampling", "GB training",
)  # fmt: skip
MIN_WIDTH = 172


@dataclass(frozen=True, slots=True)
class CellPlan:
    """A cell on GPUs.

    Attributes:
        tuning_flop: Model FLOPs of tuning.
        answer_flop: Model FLOPs of answering the evaluated split.
        sampled_tok: Tokens generated while tuning.
        trained_tok: Tokens trained on.
        hours: Wall hours of exploring, training and answering.
        sample: The engine while exploring (answering for arms that explore nothing).
        memory: A training process's memory; None for arms that train nothing.
        usd: Price.
        gpu_h: GPU-hours.
    """

    tuning_flop: int
    answer_flop: int
    sampled_tok: int
    trained_tok: int
    hours: tuple[float, float, float]
    sample: Sampling | None
    memory: Memory | None
    usd: float | None
    gpu_h: float


def plan_cell(prepared: Prepared, run: Run, estimator: Estimator, hardware: Hardware) -> CellPlan:
    """Plan one cell.

    Raises:
        InputError: The GPU is unknown, or the engine wants more of them than there are.
    """
    cost, options = estimator.cost(prepared), _options(prepared)
    if options.REMOTE:
        return CellPlan(0, 0, 0, 0, (0.0, 0.0, 0.0), None, None, cost.usd, 0.0)
    shape, engine = estimator.shape, prepared.cell.engine
    prompt, answer, items, pool = estimator.sizes(prepared.cell.task)
    limits = prepared.task.spec.limits
    params = parameters(shape, tied=_tied(run))
    longest = limits.max_prompt_tok + limits.max_new_tok
    common: dict[str, Any] = {"prompt_tok": prompt, "answer_tok": answer, "longest_tok": longest}
    answering = sampling(shape, params, hardware, engine, prompts=items, samples=options.inference_samples(), **common)
    tuning = estimator.tuning(prepared)
    if tuning is None:
        hours = (0.0, 0.0, answering.hours)
        gpu_h = hardware.count * answering.hours
        return CellPlan(0, cost.answer_flop, 0, 0, hours, answering, None, gpu_h * hardware.usd_per_gpu_h, gpu_h)
    explored, sampled, sample, stages = 0.0, 0, answering, 1
    scale: ScaleFields = options
    row_tok = longest
    if tuning.explore:
        recipe = options.made(limits)
        scale, stages, row_tok = recipe, options.rounds, recipe.max_row_tok
        each = min(pool, options.prompts or pool, recipe.prompts_per_round or pool)
        views = len(recipe.mix)
        sample = sampling(
            shape, params, hardware, engine, prompts=each * views, samples=options.samples / views, **common
        )
        explored = sample.hours * (options.rounds + recipe.watch_share(min(pool, options.prompts or pool)))
        sampled = round(options.rounds * each * options.samples * answer)
    elif options.max_row_tok:
        row_tok = options.max_row_tok
    trained = training_hours(tuning.train, tuning.layers, params=params, scale=scale, hardware=hardware, stages=stages)
    memory = training_memory(shape, params, scale, row_tok=row_tok, answer_share=tuning.answer_share)
    total = explored + trained + answering.hours
    gpu_h = hardware.count * total
    return CellPlan(
        tuning_flop=tuning.total,
        answer_flop=cost.answer_flop,
        sampled_tok=sampled,
        trained_tok=tuning.trained_tok,
        hours=(explored, trained, answering.hours),
        sample=sample,
        memory=memory,
        usd=gpu_h * hardware.usd_per_gpu_h,
        gpu_h=gpu_h,
    )


def _options(prepared: Prepared) -> Any:
    return prepared.cell.options


def _tied(run: Run) -> bool:
    config = json.loads((run.model.path / "config.json").read_text(encoding="utf-8"))
    return bool(config.get("tie_word_embeddings", False))


def print_gpu_plan(console: Console, run: Run, estimator: Estimator, hardware: Hardware) -> None:
    """Print every cell's FLOPs, tokens, GPU-hours, memory and price, and the rules behind them."""
    from rich.table import Table

    card = gpu(hardware.gpu)
    shape = estimator.shape

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    count = parameters(shape, tied=_tied(run))
    say(f"NOT RUN: a plan for {hardware.count} x {card.name}, from closed forms and the assumptions below")
    known = published(run.model.name)
    basis = "its files" if run.model.here else f"its published config ({known.source})" if known else "its config"
    say(f"{run.model.name}: {count / 1e9:.2f} billion weights, shape from {basis}")
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "cell" else "right", no_wrap=True)
    too_much: list[str] = []
    largest: Memory | None = None
    total_h = total_usd = 0.0
    for cells in _by_seed(run):
        name, plan = cells[0].cell.id.rpartition("--seed")[0], plan_cell(cells[0], run, estimator, hardware)
        total_h += len(cells) * plan.gpu_h
        total_usd += len(cells) * (plan.usd or 0.0)
        usd = "?" if plan.usd is None else f"{plan.usd:,.2f}"
        if plan.sample is None:
            table.add_row(name, str(len(cells)), *["–"] * 8, usd, "–", "–")
            continue
        for what, size, fits in _sizes(plan, card.memory_byte):
            if not fits:
                too_much.append(f"{name}: {what} takes {size / 1e9:,.0f} GB of {card.memory_byte / 1e9:.0f}")
        if plan.memory and (largest is None or plan.memory.total > largest.total):
            largest = plan.memory
        table.add_row(
            name,
            str(len(cells)),
            f"{plan.tuning_flop:.1e}",
            f"{plan.answer_flop:.1e}",
            f"{plan.sampled_tok / 1e6:,.1f}",
            f"{plan.trained_tok / 1e6:,.1f}",
            *(f"{hours:.2f}" for hours in plan.hours),
            f"{plan.gpu_h:,.1f}",
            usd,
            f"{plan.sample.memory_byte / 1e9:.0f}",
            "–" if plan.memory is None else f"{plan.memory.total / 1e9:.0f}",
        )
    # A table that is squeezed loses its figures: a narrow terminal wraps it instead.
    Console(file=console.file, width=max(console.width, MIN_WIDTH)).print(table, highlight=False)
    say("a row is one cell, hours are wall hours, GB are one GPU's")
    say(
        f"all: {total_h:,.1f} GPU-hours, ${total_usd:,.0f} at ${hardware.usd_per_gpu_h:.2f} a GPU-hour (yours to state)"
    )
    if largest:
        say(
            f"largest training process: weights, gradients and moments {largest.state / 1e9:.1f} GB, gathered layers "
            f"{largest.gathered / 1e9:.1f}, activations {largest.activations / 1e9:.1f}, logits "
            f"{largest.logits / 1e9:.1f}, the rest {RUNTIME_BYTE / 1e9:.0f}"
        )
    for fault in too_much:
        console.print(f"DOES NOT FIT: {fault}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if not too_much:
        say(f"all of it fits {card.memory_byte / 1e9:.0f} GB a GPU")
    say(
        f"assumed: {card.flop_s / 1e12:.0f} TFLOP/s dense bf16 at {hardware.train_mfu:.0%} in training and "
        f"{hardware.prefill_mfu:.0%} in prefill; decoding bound by {card.byte_s / 1e12:.2f} TB/s at "
        f"{hardware.bandwidth_share:.0%} (weights once a step, keys and values of every sequence) and "
        f"{1000 * ENGINE_STEP_S:.0f} ms a step; all "
        f"{hardware.count} GPUs paid while one works; checkpoints at {DISK_BYTE_S / 1e9:.0f} GB/s; answers "
        f"{SHARE_OF_LIMIT:.0%} of their limit; {TRAINED_SHARE:.0%} of prompts and answers trained on"
        + ("" if run.model.here else f"; {CHAR_PER_TOK:.0f} characters a token")
        + ". Executing and judging answers on the CPUs is not in it."
    )
    for name in dict.fromkeys(prepared.cell.task for prepared in run.cells):
        say(f"{name}: smallest detectable difference {estimator.detectable(name)}")
    if not run.model.here:
        say("its weights are not here: without --dry-run this experiment stops before anything is spent")


def _by_seed(run: Run) -> list[list[Prepared]]:
    """Cells that differ in nothing but their seed, together."""
    found: dict[str, list[Prepared]] = {}
    for prepared in run.cells:
        found.setdefault(prepared.cell.id.rpartition("--seed")[0], []).append(prepared)
    return list(found.values())


def _sizes(plan: CellPlan, memory_byte: float) -> list[tuple[str, float, bool]]:
    """What is held on a GPU at a time: name, bytes, whether it fits."""
    found = []
    if plan.sample:
        found.append(("sampling", plan.sample.memory_byte, plan.sample.fits))
    if plan.memory:
        found.append(("training", plan.memory.total, plan.memory.total <= memory_byte))
    return found
