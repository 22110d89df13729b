"""What tuning costs: closed-form FLOPs of Llama-shaped models, the ledger, and budgets planned ahead.

Two figures stand side by side everywhere:

- ``model_flop``: what the method needs. No padding; a prompt is prefilled once per round and view,
  however many samples are drawn from it. This is the budget.
- ``device_flop``: what the machine executed, padding and fill rows included.

Only matrix products are counted, one multiply-add = 2 FLOPs, as `torch.utils.flop_counter` does.
**Attention is dense**: S query tokens cost ``a * S**2``, with no discount for the causal half, as
the kernels' own formulas count it. The backward pass is twice the forward pass; a flash kernel
computes the scores once more there, which `flash_recompute_flop` adds to the device figure.

The tests hold these forms equal to `FlopCounterMode` to the last FLOP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tao.errors import InputError

_log = logging.getLogger(__name__)

StageName = Literal["explore", "score", "judge", "train", "evaluate"]
STAGES: tuple[StageName, ...] = get_args(StageName)
LLAMA_SHAPED = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The seven numbers that fix the FLOPs of a gated-MLP decoder with full attention.

    Attributes:
        layers: Decoder layers (L).
        hidden: Width (d).
        heads: Query heads (nh).
        kv_heads: Key and value heads (nkv).
        head_dim: Size of a head (dh).
        ffn: Inner size of the gated MLP (f).
        vocab: Rows of the output head (V).
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int

    @classmethod
    def from_config(cls, source: Any) -> ModelShape:
        """Read the shape from a model folder, a ``config.json``, a mapping or a transformers config.

        Raises:
            InputError: No such file, or an architecture these closed forms do not cover.
        """
        where = ""
        if isinstance(source, str | Path):
            path = Path(source)
            path = path / "config.json" if path.is_dir() else path
            where = str(path)
            try:
                source = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise InputError(f"cannot be read ({error.strerror})", where, "name a model folder") from error
            except ValueError as error:
                raise InputError("not JSON", where) from error
        config: Mapping[str, Any] = source if isinstance(source, Mapping) else source.to_dict()
        kind = config.get("model_type")
        if kind not in LLAMA_SHAPED:
            raise InputError(
                f"no closed-form FLOPs for model type {kind!r}", where, f"covered: {', '.join(LLAMA_SHAPED)}"
            )
        try:
            heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
            return cls(
                layers=int(config["num_hidden_layers"]),
                hidden=hidden,
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                ffn=int(config["intermediate_size"]),
                vocab=int(config["vocab_size"]),
            )
        except KeyError as error:
            raise InputError(f"the config lacks {error.args[0]!r}", where) from error

    @property
    def matrix_params(self) -> int:
        """W: weights of all layers' matrices; a token costs 2 W."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.ffn)

    @property
    def attention_flop(self) -> int:
        """a: FLOPs per (query token, key token) pair, all layers."""
        return 4 * self.layers * self.heads * self.head_dim

    @property
    def head_flop(self) -> int:
        """h: FLOPs of one token's logits."""
        return 2 * self.vocab * self.hidden


def forward_flop(shape: ModelShape, seq_tok: int, logits_tok: int | None = None) -> int:
    """One forward pass over one sequence; also a reference or old log-probability pass.

    Args:
        shape: The model.
        seq_tok: Tokens of the sequence (S).
        logits_tok: Positions whose logits are computed; None for all.
    """
    logits = seq_tok if logits_tok is None else logits_tok
    return seq_tok * 2 * shape.matrix_params + shape.attention_flop * seq_tok**2 + logits * shape.head_flop


def training_flop(shape: ModelShape, seq_tok: int, logits_tok: int | None = None) -> int:
    """Forward and backward over one sequence: three forward passes (full fine-tuning, no checkpointing)."""
    return 3 * forward_flop(shape, seq_tok, logits_tok)


def flash_recompute_flop(shape: ModelShape, seq_tok: int) -> int:
    """What a flash or memory-efficient attention kernel adds to one sequence's backward pass.

    It forms query-key products again: half of the forward attention. Part of ``device_flop`` when
    training with sdpa; never of ``model_flop``.
    """
    return shape.attention_flop * seq_tok**2 // 2


def decode_flop(shape: ModelShape, prompt_tok: int, completion_tok: int) -> int:
    """Tokens 2 to G of one cached completion (the first comes out of the prefill).

    Equals ``sum_{i=1..G-1} (2W + h + a (P + i))``.
    """
    steps = max(completion_tok - 1, 0)
    keys = steps * prompt_tok + steps * (steps + 1) // 2
    return steps * (2 * shape.matrix_params + shape.head_flop) + shape.attention_flop * keys


def generation_flop(shape: ModelShape, prompt_tok: int, completion_tok: Sequence[int]) -> int:
    """Cached generation of several samples from one prompt that is prefilled once.

    Args:
        shape: The model.
        prompt_tok: Tokens of the prompt (P).
        completion_tok: Tokens of each sample, end-of-text included.
    """
    return forward_flop(shape, prompt_tok, 1) + sum(decode_flop(shape, prompt_tok, g) for g in completion_tok)


def generation_device_flop(
    shape: ModelShape, prefill_rows: int, pad_tok: int, decode_rows: Sequence[int], prefix_rows: Sequence[int]
) -> int:
    """Cached generation of one chunk as executed.

    Args:
        shape: The model.
        prefill_rows: Prompts prefilled, fill rows included.
        pad_tok: Length they were padded to.
        decode_rows: Rows of each decoding step; step i attends to i generated tokens.
        prefix_rows: Rows of each step's attention over the prompts (more than `decode_rows` where
            prompts with fewer live samples are filled up to a rectangle).
    """
    flop = prefill_rows * forward_flop(shape, pad_tok, 1)
    for step, (rows, prefix) in enumerate(zip(decode_rows, prefix_rows, strict=True), 1):
        flop += rows * (2 * shape.matrix_params + shape.head_flop)
        flop += shape.attention_flop * (prefix * pad_tok + rows * step)
    return flop


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    Attributes:
        stage: explore, score, judge, train or evaluate.
        round: 0-based round; 0 for what has no rounds.
        note: Tells entries of one stage and round apart; (stage, round, note) is charged once.
        model_flop: See the module's docstring; 0 for endpoints, which have tokens only.
        device_flop: As executed.
        prompt_tok: Prompt tokens read, each prompt once per round and view.
        completion_tok: Tokens generated, what was thrown away included.
        train_tok: Tokens that went through forward and backward, without padding.
        usd: Price of an endpoint's tokens; None (and not written) for local work and unknown prices.
    """

    stage: StageName
    round: int
    note: str
    model_flop: int = 0
    device_flop: int = 0
    prompt_tok: int = 0
    completion_tok: int = 0
    train_tok: int = 0
    usd: float | None = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise InputError(f"unknown ledger stage {self.stage!r}", fix=f"use one of {', '.join(STAGES)}")
        negative = [name for name in (*AMOUNTS, "usd") if (getattr(self, name) or 0) < 0]
        if negative or self.round < 0:
            raise InputError(f"a ledger entry cannot be negative ({', '.join(negative) or 'round'})")


AMOUNTS = tuple(field.name for field in fields(Entry) if field.name not in ("stage", "round", "note", "usd"))


@dataclass(frozen=True, slots=True)
class Total:
    """Summed entries; same units as `Entry`; `usd` sums the prices that are known."""

    model_flop: int = 0
    device_flop: int = 0
    prompt_tok: int = 0
    completion_tok: int = 0
    train_tok: int = 0
    usd: float = 0.0


def total(entries: Iterable[Entry]) -> Total:
    """Sum of entries."""
    listed = list(entries)
    amounts = {name: sum(getattr(entry, name) for entry in listed) for name in AMOUNTS}
    return Total(**amounts, usd=sum(entry.usd or 0.0 for entry in listed))


class Ledger:
    """Append-only ``ledger.jsonl``: every token and FLOP of every stage of a run.

    A stage charges itself once when it ends, under a (stage, round, note) that its inputs fix, so a
    resumed run writes the same bytes. Work that a kill threw away is charged apart, in ``lost.jsonl``
    beside it, as device FLOPs and tokens only: it cost the machine something, it is no part of the method.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost_path = path.with_name("lost.jsonl")

    def charge(self, entry: Entry) -> bool:
        """Append an entry unless its (stage, round, note) is there already.

        Dollars are no amount of work: an entry that stands there keeps the price that held when it was charged.

        Returns:
            Whether it was appended.

        Raises:
            InputError: The same entry stands there with other amounts, or the file cannot be written.
        """
        return self._append(self.path, entry)

    def charge_lost(self, entry: Entry) -> bool:
        """Append work that was done and lost; its model_flop must be 0.

        Raises:
            InputError: The entry claims model FLOPs, or see `charge`.
        """
        if entry.model_flop:
            raise InputError("lost work has no model_flop", entry.note, "charge device_flop and tokens only")
        return self._append(self.lost_path, entry)

    def entries(self) -> list[Entry]:
        """All charged entries, in order; a torn last line is not one yet."""
        return _read(self.path)

    def lost(self) -> list[Entry]:
        """Work that kills threw away."""
        return _read(self.lost_path)

    def totals(self, rounds: Iterable[int] | None = None) -> dict[StageName, Total]:
        """Sums by stage, without lost work; stages that charged nothing are left out.

        Args:
            rounds: Count these rounds only; None for all.
        """
        wanted = None if rounds is None else set(rounds)
        entries = [entry for entry in self.entries() if wanted is None or entry.round in wanted]
        return {stage: total(e for e in entries if e.stage == stage) for stage in STAGES if _any(entries, stage)}

    def tuning_flop(self) -> int:
        """Model FLOPs of tuning: every stage but evaluation. What a budget limits."""
        return total(entry for entry in self.entries() if entry.stage != "evaluate").model_flop

    def _append(self, path: Path, entry: Entry) -> bool:
        for known in _read(path, repair=True):
            if (known.stage, known.round, known.note) == (entry.stage, entry.round, entry.note):
                if replace(known, usd=None) != replace(entry, usd=None):
                    raise InputError(
                        f"{entry.stage} of round {entry.round} ({entry.note}) was charged with other amounts",
                        str(path),
                        "the stage's files changed under the ledger: start the run over in another folder",
                    )
                if known.usd != entry.usd:
                    _log.warning(
                        "%s of round %d (%s) stays in the ledger at %s, not %s: the price has changed since",
                        *(entry.stage, entry.round, entry.note, _dollars(known.usd), _dollars(entry.usd)),
                    )
                return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as handle:
                body = {name: value for name, value in asdict(entry).items() if value is not None}
                handle.write(json.dumps(body, sort_keys=True, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(
                f"cannot be written ({error.strerror})", str(path), "free space, then run the same command again"
            ) from error
        return True


def _dollars(usd: float | None) -> str:
    return "no price" if usd is None else f"${usd:.6g}"


def _any(entries: Iterable[Entry], stage: StageName) -> bool:
    return any(entry.stage == stage for entry in entries)


def _read(path: Path, repair: bool = False) -> list[Entry]:
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if repair and len(whole) != len(data):
        with path.open("r+b") as handle:
            handle.truncate(len(whole))
    entries = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InputError(f"malformed ledger entry ({error})", f"{path}:{number}") from error
    return entries


@dataclass(frozen=True, slots=True)
class Plan:
    """Model FLOPs of a schedule before it is run, by stage."""

    explore: int
    train: int

    @property
    def total(self) -> int:
        """All of tuning."""
        return self.explore + self.train


def plan_tao(
    shape: ModelShape,
    *,
    prompts: int,
    prompt_tok: float,
    completion_tok: float,
    samples: int,
    rounds: int,
    epochs: float = 1,
    views: int = 1,
    trained_share: float = 1.0,
    logp_passes: int = 0,
) -> Plan:
    """Expected model FLOPs of tuning without labels (scoring by execution and votes costs no model FLOPs).

    Args:
        shape: The model.
        prompts: Prompts of the pool.
        prompt_tok: Their mean length.
        completion_tok: Mean length of a sample.
        samples: Samples per prompt and round, over all views.
        rounds: Rounds.
        epochs: Passes of training over a round's samples.
        views: Distinct request texts per prompt and round, each prefilled once.
        trained_share: Share of the samples that training uses (abstained groups are not).
        logp_passes: Extra forward passes per trained sample (1 for a reference or old log-probabilities).
    """
    prompt, completion = round(prompt_tok), round(completion_tok)
    per_prompt = views * forward_flop(shape, prompt, 1) + samples * decode_flop(shape, prompt, completion)
    passes = prompts * samples * trained_share * (3 * epochs + logp_passes)
    return Plan(
        explore=rounds * prompts * per_prompt,
        train=round(rounds * passes * forward_flop(shape, prompt + completion)),
    )


def plan_sft(shape: ModelShape, *, labels: int, prompt_tok: float, target_tok: float, epochs: float) -> Plan:
    """Expected model FLOPs of supervised fine-tuning on `labels` examples."""
    forward = forward_flop(shape, round(prompt_tok) + round(target_tok))
    return Plan(explore=0, train=round(3 * epochs * labels * forward))
