"""A reward model as a signal: any sequence-classification checkpoint with one output, asked about prompt and answer.

TAO's own reward model (DBRM) was trained on preferences and held back from the tasks it then scored (Databricks,
2025). `tao.scoring.reward_training` trains one on label-free pairs of *other* tasks; a checkpoint of anybody's can be
named instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao.compute import ModelShape, forward_flop
from tao.errors import InputError
from tao.prompts import Prompt, request_digest
from tao.stage import folder_digest

TRAINED_ON = "trained_on.json"
"""Beside the weights: hashes of the prompts a reward model was trained on, so that it never scores them."""
BATCH = 16
STEP = 64
"""Padded lengths are multiples of this: varying shapes cost memory in the CPU kernels."""
_FIX = "name a sequence-classification checkpoint with one output"


class RewardModelSignal:
    """Scores answers with a reward model; a value is the sigmoid of the model's output.

    The weights are loaded when it is first asked and given back by `close`; asked again, it loads them again. FLOPs and
    the version need none.

    Args:
        folder: Checkpoint with tokenizer and chat template.
        max_tok: Longest conversation; a longer one gets no value (cut, it would be another answer).

    Raises:
        InputError: No such checkpoint, or it has other than one output.
    """

    def __init__(self, folder: Path, max_tok: int = 2048) -> None:
        from transformers import AutoConfig, AutoTokenizer

        try:
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"no usable reward model ({error})", str(folder), _FIX) from error
        if not any(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind)):
            raise InputError("no usable reward model (it holds no weights)", str(folder), _FIX)
        if config.num_labels != 1:
            raise InputError(f"a model of {config.num_labels} outputs", str(folder), _FIX)
        if self._tokenizer.chat_template is None:
            raise InputError("the tokenizer has no chat template", str(folder))
        self._folder = folder
        self._model: Any = None
        self._max_tok = max_tok
        self._shape = ModelShape.from_config(folder)
        self._trained_on = _trained_on(folder)
        self.name = "reward_model"
        self.version = folder_digest(folder)[:12]

    def _weights(self) -> Any:
        """The model, loaded if it is not held."""
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification

        if self._model is None:
            try:
                model: Any = AutoModelForSequenceClassification.from_pretrained(
                    self._folder, dtype=torch.float32, local_files_only=True
                )
            except (OSError, ValueError, RuntimeError, SafetensorError) as error:
                raise InputError(f"no usable reward model ({error})", str(self._folder), _FIX) from error
            self._model = model.eval()
        return self._model

    def _encoded(self, prompt: Prompt, answers: Sequence[str]) -> list[list[int]]:
        before = [{"role": m.role, "content": m.content} for m in prompt.messages]
        texts = [
            self._tokenizer.apply_chat_template([*before, {"role": "assistant", "content": answer}], tokenize=False)
            for answer in answers
        ]
        ids: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        return ids

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        """The sigmoid of the model's output for each answer; None for one that is too long.

        Raises:
            InputError: The model was trained on this very prompt, or its weights cannot be read.
        """
        import torch

        if asked(prompt) in self._trained_on:
            raise InputError("the reward model was trained on this prompt", prompt.id, "train it on other tasks")
        rows = self._encoded(prompt, answers)
        found: list[float | None] = [None] * len(rows)
        pad, model = self._tokenizer.pad_token_id or 0, self._weights()
        with torch.inference_mode():
            for part, length in self._batches(rows):
                ids = torch.tensor([rows[at] + [pad] * (length - len(rows[at])) for at in part])
                mask = torch.tensor([[1] * len(rows[at]) + [0] * (length - len(rows[at])) for at in part])
                out = model(input_ids=ids, attention_mask=mask).logits.float().sigmoid().squeeze(-1)
                for at, value in zip(part, out.tolist(), strict=True):
                    found[at] = float(value)
        return found

    def _batches(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], int]]:
        """Positions of the rows that fit, by batch, and the length each batch is padded to."""
        fit = sorted((at for at, row in enumerate(rows) if 0 < len(row) <= self._max_tok), key=lambda at: len(rows[at]))
        for start in range(0, len(fit), BATCH):
            part = fit[start : start + BATCH]
            yield part, math.ceil(max(len(rows[at]) for at in part) / STEP) * STEP

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """Model FLOPs of asking about the answers (no vocabulary head, no padding)."""
        return sum(
            forward_flop(self._shape, len(row), 0)
            for row in self._encoded(prompt, answers)
            if 0 < len(row) <= self._max_tok
        )

    def device_flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """FLOPs of the same as executed: padding, and the one output of every position."""
        batches = self._batches(self._encoded(prompt, answers))
        return sum(
            len(part) * (forward_flop(self._shape, length, 0) + score_head_flop(self._shape, length))
            for part, length in batches
        )

    def close(self) -> None:
        """Give the weights back."""
        self._model = None


def score_head_flop(shape: ModelShape, seq_tok: int) -> int:
    """The one output of a sequence-classification model at so many positions."""
    return 2 * shape.hidden * seq_tok


def asked(prompt: Prompt) -> str:
    """Hash of a prompt's messages alone, by which a reward model knows what it was trained on."""
    return request_digest(replace(prompt, handles={}))


def _trained_on(folder: Path) -> frozenset[str]:
    path = folder / TRAINED_ON
    if not path.exists():
        return frozenset()
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["prompts"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"damaged ({error!r})", str(path), "train the reward model again") from error
