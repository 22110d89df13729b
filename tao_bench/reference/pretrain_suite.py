r"""Pretrain reference@2: reference@1 goes on, with the enterprise suite's kind of documents beside its old world.

    python -m tao_bench.reference.extend --out runs/reference2/start
    OMP_NUM_THREADS=1 python -m tao_bench.reference.pretrain_suite --from runs/reference2/start \
        --out runs/reference2 --minutes 70
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m tao_bench.reference.pretrain_suite --from ... --minutes 35

Data are generated on the fly, one stream a process. Rows have two lengths only, since varying shapes leak memory in CPU
kernels. The learning rate is constant and then falls linearly to zero over the last share of the wall time, so a run
ends with a finished decay whatever the machine's speed. A stopped run goes on with ``--resume``, with other shares of
tasks (``--share``) if wanted; with fewer ``--minutes`` than planned it decays from where it stands.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao_bench.reference.pretrain import SEQUENCE_TOK, encoded
from tao_bench.reference.suite_rows import LENGTH_TOK, TASKS, Batch, batch, rows
from tao_bench.reference.suite_world import SHARES

if TYPE_CHECKING:
    import torch

OLD_NOVELTY = 0.7
"""Novelty of the old world's words, as in the last phase of reference@1's pretraining."""
SCORED_SHARE = {True: 0.4, False: 0.8}
"""Upper bound on the share of tokens with loss, of suite rows and of old ones: the vocabulary sees a fixed number."""
LOG_EVERY = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pretraining run is made of; written beside the weights.

    Attributes:
        seed: All randomness.
        minutes: Wall time of training, resumed parts included.
        decay: Last share of it in which the learning rate falls to 0.
        old_every: Every so many-th step is one of the old world.
        batch_tok: Tokens of a step in each process.
        lr_matrix: Learning rate of hidden matrices (Muon).
        lr_rest: Learning rate of embeddings and norms (AdamW).
        warmup: Steps in which both rise.
        shares: Of the suite's tokens by task, since the last resume.
    """

    seed: int
    minutes: float
    decay: float
    old_every: int
    batch_tok: int
    lr_matrix: float
    lr_rest: float
    shares: Mapping[str, float]
    warmup: int = 30

    def scale(self, step: int, elapsed_s: float) -> float:
        """Learning-rate multiplier at a step and a wall time; 0 at the end."""
        left = (60 * self.minutes - elapsed_s) / (60 * self.minutes * self.decay)
        return max(0.0, min(1.0, (step + 1) / self.warmup, left))


def suite_batches(tokenizer: Any, seed: str, tokens: int, shares: Mapping[str, float]) -> Iterator[Batch]:
    """Endless batches of suite rows."""
    stream = rows(tokenizer, seed, shares=shares)
    while True:
        yield batch(list(islice(stream, max(1, tokens // LENGTH_TOK))))


def old_batches(tokenizer: Any, seed: int, tokens: int) -> Iterator[Batch]:
    """Endless batches of the old world."""
    import torch

    stream = encoded(tokenizer, seed, SEQUENCE_TOK, OLD_NOVELTY)
    while True:
        made = list(islice(stream, max(1, tokens // SEQUENCE_TOK)))
        yield Batch(torch.tensor([ids for ids, _ in made]), torch.tensor([weights for _, weights in made]))


def loss_of(model: Any, one: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(objective, figures).

    The figures are, for every task and then the old world, four sums: answer tokens, their loss, answers, and answers
    whose every token is the likeliest one given the right tokens before (an upper guess at greedy accuracy).
    """
    import torch
    import torch.nn.functional as F

    # The mask goes in as it is; position ids restart behind every document.
    hidden = model.model(input_ids=one.ids, attention_mask=one.mask, position_ids=one.positions).last_hidden_state
    hidden = hidden[:, :-1].reshape(-1, hidden.shape[-1])
    target, weight = one.ids[:, 1:].reshape(-1), one.weights[:, 1:].reshape(-1)
    room = int(SCORED_SHARE[one.mask is not None] * len(weight))
    found = weight.nonzero().squeeze(1)[:room]
    spare = room - len(found)
    logits = model.lm_head(hidden[F.pad(found, (0, spare))]).float()
    losses = F.cross_entropy(logits, F.pad(target[found], (0, spare), value=-100), reduction="none")
    scale = F.pad(weight[found], (0, spare))
    objective = (losses * scale).sum() / scale.sum().clamp(min=1e-6)
    figures = torch.zeros(len(TASKS) + 1, 4)
    with torch.no_grad():
        losses, right = losses[: len(found)].detach(), logits.argmax(-1)[: len(found)] == target[found]
        if one.answers is None:
            answer = weight[found] == 1.0
            figures[-1, 0], figures[-1, 1] = answer.sum(), losses[answer].sum()
            return objective, figures
        task = one.answers[:, 1:].reshape(-1)[found]
        # A new answer starts where the token before carries no answer: questions stand between.
        starts = (one.answers[:, 1:] >= 0) & (one.answers[:, :-1] < 0)
        number = starts.reshape(-1).cumsum(0)[found]
        for index in range(len(TASKS)):
            mine = task == index
            names, place = torch.unique(number[mine], return_inverse=True)
            wrong = torch.zeros(len(names)).index_add_(0, place, (~right[mine]).float())
            figures[index] = torch.tensor(
                [float(mine.sum()), float(losses[mine].sum()), float(len(names)), float((wrong == 0).sum())]
            )
    return objective, figures


def summary(figures: torch.Tensor) -> dict[str, Any]:
    """Mean answer loss by task, and share of answers right given the right tokens before."""
    names = (*TASKS, "old")
    sums = [dict(zip(("tok", "loss", "answers", "right"), row.tolist(), strict=True)) for row in figures]
    return {
        "loss": {n: round(s["loss"] / s["tok"], 4) for n, s in zip(names, sums, strict=True) if s["tok"]},
        "right": {n: round(s["right"] / s["answers"], 4) for n, s in zip(names, sums, strict=True) if s["answers"]},
    }


def _forget(log: Path, step: int) -> None:
    """Drop rows of steps behind the checkpoint that a resumed run starts from."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        log.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")


def _optimizers(plan: Plan, masters: dict[str, Any]) -> list[Any]:
    import torch

    matrices = [p for n, p in masters.items() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in masters.items() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=plan.lr_matrix, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=plan.lr_rest, weight_decay=0.0, betas=(0.9, 0.95)),
    ]


def train(plan: Plan, start: Path, out: Path, *, resume: bool, save_every: int) -> None:
    """Run (or go on with) a pretraining; rank 0 writes checkpoints, `log.jsonl`, `plan.json` and `model/`."""
    import torch
    import torch.distributed as dist
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world > 1:
        dist.init_process_group("gloo")
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    # Weights run in bf16 (half the memory traffic, which is the limit here); float32 masters take the updates.
    masters = {n: p.detach().clone() for n, p in model.named_parameters()}
    model.to(torch.bfloat16)
    parameters = dict(model.named_parameters())
    optimizers = _optimizers(plan, masters)
    first, before_s, tokens, state = 0, 0.0, 0, out / "state.pt"
    if resume and state.exists():
        saved = torch.load(state, weights_only=True)
        for name, master in masters.items():
            master.copy_(saved["model"][name])
        for optimizer, kept in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        first, before_s, tokens = saved["step"], saved["elapsed_s"], saved["tok"]
        if rank == 0:
            _forget(out / "log.jsonl", first)
    with torch.no_grad():
        for name, master in masters.items():
            parameters[name].copy_(master)
    out.mkdir(parents=True, exist_ok=True)
    # A resumed run reads a fresh stream instead of replaying the old one: data are endless.
    suite = suite_batches(tokenizer, f"{plan.seed}:{first}:{rank}", plan.batch_tok, plan.shares)
    old = old_batches(tokenizer, plan.seed * 100_000 + 10 * first + rank, plan.batch_tok)
    base = [plan.lr_matrix, plan.lr_rest]
    began, step, elapsed_s = time.monotonic(), first, before_s
    figures = torch.zeros(len(TASKS) + 1, 4)
    while (factor := plan.scale(step, elapsed_s)) > 0:
        for optimizer, lr in zip(optimizers, base, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = lr * factor
        one = next(old) if step % plan.old_every == 0 else next(suite)
        objective, seen = loss_of(model, one)
        torch.autograd.backward(objective)
        # Rank 0's clock rides along, so that every process has the same learning rate and the same end.
        clock = torch.tensor([before_s + time.monotonic() - began if rank == 0 else 0.0])
        flat = torch.cat([p.grad.float().reshape(-1) for p in parameters.values()] + [seen.reshape(-1), clock])
        if world > 1:
            dist.all_reduce(flat)
        elapsed_s = flat[-1].item()
        figures += flat[-1 - seen.numel() : -1].view_as(seen)
        at = 0
        for name, master in masters.items():
            master.grad = flat[at : at + master.numel()].view_as(master) / world
            parameters[name].grad = None
            at += master.numel()
        torch.nn.utils.clip_grad_norm_(masters.values(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for name, master in masters.items():
                parameters[name].copy_(master)
        tokens += one.ids.numel() * world
        step += 1
        ends = plan.scale(step, elapsed_s) <= 0
        if rank == 0 and (step % LOG_EVERY == 0 or ends):
            row = {"step": step, "tok": tokens, "wall_s": round(elapsed_s, 1), "lr": round(factor, 4)}
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({**row, "processes": world, "shares": plan.shares, **summary(figures)}) + "\n")
            figures.zero_()
        if rank == 0 and (step % save_every == 0 or ends):
            body = {"model": masters, "optimizers": [o.state_dict() for o in optimizers], "step": step}
            torch.save({**body, "elapsed_s": elapsed_s, "tok": tokens}, state.with_suffix(".tmp"))
            state.with_suffix(".tmp").replace(state)
    if rank == 0:
        about = {"plan": asdict(plan), "processes": world, "steps": step, "tok": tokens, "rows_tok": LENGTH_TOK}
        (out / "plan.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        model.save_pretrained(out / "model")
        tokenizer.save_pretrained(out / "model")


def export(start: Path, out: Path, model_dir: Path) -> None:
    """Write the latest checkpoint of a running pretraining as a model folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    model.load_state_dict(torch.load(out / "state.pt", weights_only=True)["model"], strict=False)
    model.to(torch.bfloat16).save_pretrained(model_dir)
    AutoTokenizer.from_pretrained(start).save_pretrained(model_dir)


def _share(text: str) -> tuple[str, float]:
    """``TASK=X`` of the command line."""
    name, _, share = text.partition("=")
    if name not in SHARES:
        raise argparse.ArgumentTypeError(f"{name!r} is no suite task; there are {', '.join(SHARES)}")
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no share above 0 and up to 1: write {name}=0.3")
    return name, value


def main() -> None:
    """Command line of the pretraining."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", type=Path, required=True, help="model folder made by extend")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and the final model/")
    parser.add_argument("--minutes", type=float, default=60, help="wall time, earlier parts of a resumed run included")
    parser.add_argument("--decay", type=float, default=0.4, help="last share of it in which the learning rate falls")
    parser.add_argument("--old-every", type=int, default=4, help="every so many-th step is one of the old world")
    parser.add_argument("--batch-tok", type=int, default=6_144, help="tokens of a step in each process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr-matrix", type=float, default=0.008)
    parser.add_argument("--lr-rest", type=float, default=0.004)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument(
        "--share", type=_share, action="append", default=[], metavar="TASK=X", help="its share of tokens"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument("--export", type=Path, help="write the last checkpoint as a model folder and stop")
    args = parser.parse_args()
    if not (args.start / "config.json").is_file():
        parser.error(f"--from: no model in {args.start}; make it by python -m tao_bench.reference.extend --out DIR")
    if args.export:
        export(args.start, args.out, args.export)
        return
    shares = SHARES | dict(args.share)
    plan = Plan(
        args.seed, args.minutes, args.decay, args.old_every, args.batch_tok, args.lr_matrix, args.lr_rest, shares
    )  # fmt: skip
    train(plan, args.start, args.out, resume=args.resume, save_every=args.save_every)


if __name__ == "__main__":
    main()
