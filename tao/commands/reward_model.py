"""`tao reward-model`: a reward model from the votes of finished runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from tao.commands.shared import Verbs, add_verb

ABOUT = """\
Learns to tell answers that won a vote from answers that lost it, on the prompts of finished runs. Use runs on other
tasks than the one it will score: the checkpoint remembers its prompts and refuses to score them. Name it in a recipe:

  signals: [{signal: reward_model, model: FOLDER, weight: 0.5}]
"""
EXAMPLE = """\
example:
  tao reward-model --run runs/finance --run runs/tickets --model my-model --out reward-model
"""


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    help = "train a reward model on the votes of finished runs"
    parser = add_verb(verbs, "reward-model", run, help=help, about=ABOUT, example=EXAMPLE)
    parser.add_argument(
        "--run", dest="runs", type=Path, action="append", required=True, metavar="DIR", help="a run; may be repeated"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="pool of the runs that kept none (cells of tao-bench); of a mixture all pools in one file",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="checkpoint its body starts from")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the reward model")
    parser.add_argument("--per-prompt", type=int, default=2, metavar="N", help="most pairs a prompt and round (2)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, metavar="R", help="default 1e-4")
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="passes over the pairs (1)")
    parser.add_argument("--max-tok", type=int, default=1024, metavar="N", help="longest conversation (1024)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from tao.compute import Ledger
    from tao.scoring.reward_training import all_pairs, train_reward_model

    pairs = all_pairs(args.runs, args.per_prompt, args.seed, args.prompts)
    figures = train_reward_model(
        args.model,
        pairs,
        args.out,
        learning_rate=args.learning_rate,
        epochs=args.epochs,
        max_tok=args.max_tok,
        seed=args.seed,
    )
    print(f"{figures['pairs']:.0f} pairs, {figures['left_out']:.0f} left out as too long")
    print(f"last batch: loss {figures['loss']:.3f}, {figures['accuracy']:.0%} ordered as the votes did")
    cost = Ledger(args.out / "ledger.jsonl").entries()[-1]
    print(f"reward model: {args.out} (training took {cost.model_flop:.3g} model FLOPs; charged to no run)")
    return 0
