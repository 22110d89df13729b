"""Small scored groups for the training tests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tao.meaning import Outcome
from tao.prompts import Message, Prompt, Sample
from tao.scoring.combine import Score
from tao.scoring.score import ScoredRound

END = 1


def prompt(name: str, text: str) -> Prompt:
    return Prompt(name, (Message("user", text),))


def sample(
    name: str,
    index: int,
    answer: str | None,
    ids: Sequence[int] | None = None,
    *,
    text: str | None = None,
    strategy: str = "direct",
) -> Sample:
    """A sample whose tokens are the answer's bytes as the tiny tokenizer maps them, unless given."""
    tokens = tuple(ids) if ids is not None else (*range(20, 20 + len(answer or "")), END)
    return Sample(name, strategy, index, (answer or "") if text is None else text, answer, tokens, 9, "stop")


def score(advantage: float | None, *, reward: float | None = 0.5, label: bool = False) -> Score:
    return Score(Outcome.OK if reward is not None else Outcome.UNSCORED, "k", 0.5, reward, advantage, label)


def random_round(prompts: int, samples: int, seed: int = 0, vocab: int = 200) -> ScoredRound:
    """A round of random answers with random advantages that add up to zero in each group."""
    rng = random.Random(seed)
    pool: list[Prompt] = []
    drawn: dict[str, list[Sample]] = {}
    scored: dict[str, list[Score]] = {}
    for number in range(prompts):
        name = f"p{number}"
        pool.append(prompt(name, "ask " + "x" * rng.randrange(3, 30)))
        drawn[name] = [
            sample(name, i, f"a{i}", [*(rng.randrange(5, vocab) for _ in range(rng.randrange(1, 9))), END])
            for i in range(samples)
        ]
        raw = [rng.choice([0.0, 0.3, 1.0]) for _ in range(samples)]
        mean = sum(raw) / samples
        scored[name] = [score(value - mean, reward=value) for value in raw]
    return ScoredRound(pool, drawn, scored)


def weights_of(folder: Path) -> bytes:
    """The checkpoint's weights file."""
    return (folder / "model.safetensors").read_bytes()


def undecided(start: Path, prompts: Sequence[Prompt], out: Path) -> Path:
    """A model that says 1 half of the time, and 2 or x otherwise."""
    from tao.training.settings import Optim
    from tao.training.sft import Example, train_sft

    targets = ("1", "1", "2", "x")
    examples = [Example(f"{p.id}{i}", p.messages, target) for p in prompts for i, target in enumerate(targets)]
    train_sft(start, examples, Optim(learning_rate=5e-3, epochs=4, batch_size=12, max_row_tok=64), out, seed=0)
    return out
