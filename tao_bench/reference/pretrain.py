"""Pretrain the reference model from its seed: tokenizer, data and optimisation in one command.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m tao_bench.reference.pretrain --steps 3000 --out runs/reference

Data are generated on the fly (`tao_bench.reference.world`), one stream a process, and every
sequence has the same padded length, because varying shapes leak memory in CPU kernels. Hidden
matrices are trained with Muon, the rest with AdamW; constant learning rate, then a linear
decay to zero over the last part, so that a checkpoint of the constant part can be finished at
another length (``--resume``).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao_bench.reference.tokenizer import ASSISTANT, END, PAD, USER, train_tokenizer
from tao_bench.reference.world import conversations

if TYPE_CHECKING:
    import torch

SHAPE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 5, "num_attention_heads": 8}
VOCABULARY = 2048
SEQUENCE_TOK = 384
TOKENIZER_DOCUMENTS = 20_000
PHASES: tuple[tuple[int, float | None], ...] = ((0, None), (800, 0.7))
"""(first step, novelty of the words from there on); each phase reads a stream of its own."""
QUESTION_WEIGHT = 0.2
"""Loss weight of questions (not of contexts): the second half of a name is predictable once its first half stands,
so copying, which everything else builds on, is learned there as well."""
SCORED_SHARE = 0.8
"""Upper bound on the share of tokens that carry loss (what exceeds it is left out, the last rows first)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pretraining run is made of; written beside the weights."""

    seed: int
    steps: int
    decay: float
    batch: int
    lr_matrix: float
    lr_rest: float
    warmup: int = 100

    def scale(self, step: int) -> float:
        """Learning-rate multiplier at a step."""
        start = int(self.steps * (1 - self.decay))
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 1.0 if step < start else max(0.0, (self.steps - step) / max(1, self.steps - start))


def encoded(
    tokenizer: Any, seed: int, length: int, novelty: float | None = None
) -> Iterator[tuple[list[int], list[float]]]:
    """Token ids and loss weights, cut at a turn boundary and padded to `length`."""
    pad, end, user, assistant = (tokenizer.convert_tokens_to_ids(t) for t in (PAD, END, USER, ASSISTANT))
    for turns in conversations(seed, novelty):
        pieces = tokenizer([content for _, content in turns], add_special_tokens=False)["input_ids"]
        first_tok = len(tokenizer(turns[0][1].split("\nQuestion:")[0], add_special_tokens=False)["input_ids"])
        ids: list[int] = []
        weights: list[float] = []
        kept = 0
        for (role, _), piece in zip(turns, pieces, strict=True):
            if len(ids) + len(piece) + 2 > length:
                break
            ids += [user if role == "user" else assistant, *piece, end]
            weight = {"user": QUESTION_WEIGHT, "faulty": 0.0}.get(role, 1.0)
            context = first_tok if not weights else 0  # the first turn starts with the context
            weights += [0.0] * (1 + context) + [weight] * (len(piece) - context) + [float(role == "assistant")]
            kept += role == "assistant"
        if kept:
            yield ids + [pad] * (length - len(ids)), weights + [0.0] * (length - len(weights))


def batches(
    tokenizer: Any, seed: int, batch: int, novelty: float | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (ids, weights) pairs of shape (batch, SEQUENCE_TOK)."""
    import torch

    stream = encoded(tokenizer, seed, SEQUENCE_TOK, novelty)
    while True:
        rows = [next(stream) for _ in range(batch)]
        yield torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])


def build_model(vocabulary: int, eos: int, pad: int, seed: int) -> Any:
    """A freshly initialised Llama of the reference shape."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        rope_theta=10000.0,
        rms_norm_eps=1e-5,
        initializer_range=0.03,
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=pad,
        num_key_value_heads=SHAPE["num_attention_heads"],
        **SHAPE,
    )
    return LlamaForCausalLM(config)


def _loss(model: Any, ids: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(objective, mean loss of an answer token)."""
    import torch.nn.functional as F

    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    target, weight = ids[:, 1:].reshape(-1), weights[:, 1:].reshape(-1)
    # Only tokens with loss reach the vocabulary; a fixed number of rows, as varying shapes leak memory.
    room = int(SCORED_SHARE * len(weight))
    rows = weight.nonzero().squeeze(1)[:room]
    spare = room - len(rows)
    logits = model.lm_head(hidden.reshape(-1, hidden.shape[-1])[F.pad(rows, (0, spare))])
    losses = F.cross_entropy(logits.float(), F.pad(target[rows], (0, spare), value=-100), reduction="none")
    scale = F.pad(weight[rows], (0, spare))
    answers = scale == 1.0
    return (losses * scale).sum() / answers.sum(), (losses * answers).sum() / answers.sum()


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    import torch

    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def train(plan: Plan, out: Path, resume: bool, save_every: int) -> None:
    """Run (or go on with) a pretraining; rank 0 writes checkpoints and `log.jsonl`."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world > 1:
        dist.init_process_group("gloo")
    tokenizer = train_tokenizer(VOCABULARY, TOKENIZER_DOCUMENTS, plan.seed)
    model = build_model(VOCABULARY, tokenizer.eos_token_id, tokenizer.pad_token_id, plan.seed)
    # Weights run in bf16 (half the memory traffic, which is the limit here); float32 masters take the updates.
    masters = {n: p.detach().clone() for n, p in model.named_parameters()}
    model.to(torch.bfloat16)
    matrices = [p for n, p in masters.items() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in masters.items() if p.ndim != 2 or "embed" in n]
    optimizers = [
        torch.optim.Muon(matrices, lr=plan.lr_matrix, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=plan.lr_rest, weight_decay=0.0, betas=(0.9, 0.95)),
    ]
    first, state = 0, out / "state.pt"
    if resume and state.exists():
        saved = torch.load(state, weights_only=True)
        for name, master in masters.items():
            master.copy_(saved["model"][name])
        for optimizer, kept in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        first = saved["step"]
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, master in masters.items():
            parameters[name].copy_(master)
    out.mkdir(parents=True, exist_ok=True)
    # A phase, and a run resumed inside one, reads a fresh stream instead of replaying the old one: data are endless.
    stream = batches(tokenizer, 0, plan.batch)
    base = [plan.lr_matrix, plan.lr_rest]
    began, tokens = time.monotonic(), 0
    for step in range(first, plan.steps):
        if step == first or step in dict(PHASES):
            novelty = [share for start, share in PHASES if start <= step][-1]
            stream = batches(tokenizer, plan.seed * 1000 + 100 * step + rank + 1, plan.batch, novelty)
        for optimizer, lr in zip(optimizers, base, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = lr * plan.scale(step)
        ids, weights = next(stream)
        loss, answer_loss = _loss(model, ids, weights)
        torch.autograd.backward(loss)
        flat = torch.cat([p.grad.float().reshape(-1) for p in parameters.values()] + [answer_loss.detach().reshape(1)])
        if world > 1:
            dist.all_reduce(flat)
            flat /= world
        at = 0
        for name, master in masters.items():
            master.grad = flat[at : at + master.numel()].view_as(master)
            parameters[name].grad = None
            at += master.numel()
        torch.nn.utils.clip_grad_norm_(masters.values(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for name, master in masters.items():
                parameters[name].copy_(master)
        tokens += ids.numel() * world
        if rank == 0 and (step % 20 == 0 or step == plan.steps - 1):
            row = {
                "step": step,
                "loss": round(flat[-1].item(), 4),
                "tok": tokens,
                "wall_s": round(time.monotonic() - began, 1),
            }
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(row) + "\n")
        if rank == 0 and (step + 1) % save_every == 0:
            kept = {"model": masters, "optimizers": [o.state_dict() for o in optimizers], "step": step + 1}
            torch.save(kept, state.with_suffix(".tmp"))
            state.with_suffix(".tmp").replace(state)
    if rank == 0:
        (out / "plan.json").write_text(
            json.dumps(
                {
                    "plan": {k: getattr(plan, k) for k in plan.__slots__},
                    "shape": SHAPE,
                    "processes": world,
                    "sequence_tok": SEQUENCE_TOK,
                },
                indent=1,
            )
            + "\n"
        )
        _save(model, tokenizer, out / "model")


def export(out: Path, model_dir: Path) -> None:
    """Write the weights of the latest checkpoint of a running pretraining as a model folder."""
    import torch

    tokenizer = train_tokenizer(VOCABULARY, TOKENIZER_DOCUMENTS, json.loads((out / "args.json").read_text())["seed"])
    model = build_model(VOCABULARY, tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
    model.load_state_dict(torch.load(out / "state.pt", weights_only=True)["model"], strict=False)
    _save(model, tokenizer, model_dir)


def main() -> None:
    """Command line of the pretraining."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and the final model/")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument(
        "--decay", type=float, default=0.35, help="last share of the steps in which the learning rate falls to 0"
    )
    parser.add_argument("--batch", type=int, default=32, help="sequences a process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr-matrix", type=float, default=0.01)
    parser.add_argument("--lr-rest", type=float, default=0.004)
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument("--export", type=Path, help="write the last checkpoint as a model folder and stop")
    args = parser.parse_args()
    if args.export:
        export(args.out, args.export)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "args.json").write_text(json.dumps({"seed": args.seed}) + "\n")
    train(
        Plan(args.seed, args.steps, args.decay, args.batch, args.lr_matrix, args.lr_rest),
        args.out,
        args.resume,
        args.save_every,
    )


if __name__ == "__main__":
    main()
