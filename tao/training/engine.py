"""What every objective shares: loading, TRL's arguments, determinism, saving."""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tao.errors import InputError
from tao.training.settings import Optim, Progress, TrainReport


class Diverged(InputError):
    """The loss or its gradient stopped being a number, so the stage was given up; nothing was written.

    Attributes:
        steps: Optimiser steps done, the one that broke included.
        report: What was done until then, to be charged as lost.
    """

    def __init__(self, steps: int, figures: str) -> None:
        self.steps = steps
        self.report: TrainReport | None = None
        self._figures = figures
        super().__init__(f"training diverged at step {steps} ({figures})", "", "lower learning_rate")

    def __reduce__(self) -> tuple[Any, ...]:  # it travels from one process to another
        return type(self), (self.steps, self._figures), {"report": self.report}


@contextlib.contextmanager
def isolated(threads: int = 1) -> Iterator[None]:
    """Run with a pinned thread count and leave random state and threads as they were found.

    One thread is both what makes runs bit-identical and, on few cores, what is fastest. TRL's usage
    ping is switched off meanwhile: training needs no network.
    """
    import numpy as np
    import torch
    from huggingface_hub import constants
    from transformers.utils import logging

    before, bars = torch.get_num_threads(), logging.is_progress_bar_enabled()
    python, numpy, silent = random.getstate(), np.random.get_state(), constants.HF_HUB_DISABLE_TELEMETRY
    try:
        torch.set_num_threads(threads)
        logging.disable_progress_bar()
        constants.HF_HUB_DISABLE_TELEMETRY = True
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before)
        random.setstate(python)
        np.random.set_state(numpy)
        constants.HF_HUB_DISABLE_TELEMETRY = silent
        if bars:
            logging.enable_progress_bar()


def load(folder: Path, weights: Literal["fp32", "bf16"] = "fp32") -> tuple[Any, Any]:
    """Model in float32 (or bfloat16), whatever the checkpoint's type, and its tokenizer, from local files only.

    Raises:
        InputError: The folder holds no causal language model with a tokenizer and a chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # sdpa takes the tree-shaped masks of `tao.training.packing`; flash attention does not.
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if weights == "fp32" else torch.bfloat16,
            attn_implementation="sdpa",
            local_files_only=True,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"no usable model ({error})", str(folder), "point at a transformers checkpoint folder"
        ) from error
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no chat template or no end-of-text token", str(folder))
    return model, tokenizer


def arguments(optim: Optim, micro_rows: int, seed: int, scratch: Path) -> Any:
    """TRL's arguments: full fine-tuning, rows in the given order, nothing logged, saved or reported."""
    import torch
    from trl import SFTConfig

    with warnings.catch_warnings():
        # TRL's own default already uses the old name of the option, and complains about it.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
        made = _config(SFTConfig, optim, micro_rows, seed, scratch, cpu=not torch.cuda.is_available())
    if optim.processes and optim.processes.fsdp and not torch.cuda.is_available():
        _shard_on_cpu(made)
    return made


def _shard_on_cpu(args: Any) -> None:
    """Have accelerate shard on CPUs too, which it does not, though torch and gloo can: for tests without a GPU.

    The process is made to look like one of several accelerators to accelerate's choice of what to do; what it does then
    is its own FSDP2 code.
    """
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    _ = args.device  # meets the other processes, and sets the state up anew
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def _spread(optim: Optim) -> dict[str, Any]:
    """Arguments of a process that is one of several."""
    if optim.processes is None:
        return {}
    if not optim.processes.fsdp:
        return {"ddp_find_unused_parameters": False}  # every weight that is trained is used by every micro-batch
    # Gradients of micro-batches are summed as shards: summed whole they would fill every device.
    return {"accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}}}


def _config(kind: Any, optim: Optim, micro_rows: int, seed: int, scratch: Path, *, cpu: bool) -> Any:
    return kind(
        output_dir=str(scratch),
        learning_rate=optim.learning_rate,
        lr_scheduler_type="constant_with_warmup" if optim.decay == "constant" else "linear",
        warmup_steps=optim.warmup,
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        num_train_epochs=1,  # `order` lays out all epochs
        per_device_train_batch_size=micro_rows,
        gradient_accumulation_steps=optim.batch_size // (micro_rows * optim.world),
        train_sampling_strategy="sequential",
        max_length=None,  # TRL would silently cut and drop; rows are checked before
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        gradient_checkpointing=optim.checkpointing,
        use_cpu=cpu,
        bf16=optim.precision == "bf16",
        dataloader_pin_memory=False,
        seed=seed,
        data_seed=seed,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,  # on, it would log the mean so far in place of a loss that is no number
        disable_tqdm=True,
        **({"gradient_checkpointing_kwargs": {"use_reentrant": False}} if optim.checkpointing else {}),
        **_spread(optim),
    )


BLANK = -1
"""In an order, a row without weight: it fills the last step, so that all processes run equally many rows."""


def order(lengths: Sequence[int], optim: Optim, seed: int, micro_rows: int = 1) -> list[int]:
    """Row indices of all epochs, laid out so that a step's micro-batches hold rows of like length.

    Every epoch is a fresh permutation; steps may span two epochs, so only the last one can be short. Over several
    processes it is filled with `BLANK` to whole micro-batches for each: accelerate would repeat rows otherwise.
    Which rows share a step is random; within the step they are sorted (padding, not learning). Micro-batches go to
    the processes in turn, so those that run side by side are of like length too.
    """
    rng = random.Random(seed)
    stream: list[int] = []
    for _ in range(optim.epochs):
        stream += rng.sample(range(len(lengths)), len(lengths))
    steps = [stream[at : at + optim.batch_size] for at in range(0, len(stream), optim.batch_size)]
    found = [row for step in steps for row in sorted(step, key=lambda row: (lengths[row], row))]
    return found + [BLANK] * (-len(found) % (micro_rows * optim.world) if optim.world > 1 else 0)


def at_start(trainer: Any, act: Callable[[Any], None]) -> None:
    """Call with the model as it trains (wrapped, sharded), before the first step."""
    from transformers import TrainerCallback

    class Start(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            act(trainer.model_wrapped)

    trainer.add_callback(Start())


def run(trainer: Any, progress: Progress | None) -> tuple[int, dict[str, float]]:
    """Train; returns optimiser steps and the means of the logged figures.

    Raises:
        Diverged: The loss or its gradient stopped being a number.
    """
    from transformers import PrinterCallback, TrainerCallback

    class Report(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            figures = {name: logs[name] for name in ("loss", "grad_norm") if name in (logs or {})}
            if not all(map(math.isfinite, figures.values())):
                raise Diverged(int(state.global_step), ", ".join(f"{n} {v}" for n, v in figures.items()))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if progress:
                progress("train", state.global_step, state.max_steps)

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Report())
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    names = ("loss", "grad_norm", "entropy", "mean_token_accuracy", "kl", "clip_fraction", "ratio_max")
    metrics = {
        name: sum(entry[name] for entry in logs) / len(logs) for name in names if logs and all(name in e for e in logs)
    }
    return int(trainer.state.global_step), metrics


def save(model: Any, tokenizer: Any, out: Path, state: Mapping[str, Any] | None = None) -> Path:
    """Write a checkpoint in the weights' own type; `out` appears whole or not at all.

    Weights stay float32 between rounds unless a recipe says otherwise: the small updates of a bounded step would
    vanish in bfloat16.

    Args:
        model: The model.
        tokenizer: Goes with it.
        out: The folder.
        state: The weights, where the model holds only its share of them.

    Raises:
        InputError: The weights cannot be written (disk full, say).
    """
    from safetensors import SafetensorError

    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}.unsaved-"
    for stale in out.parent.glob(f"{prefix}*"):  # a process killed while it saved
        shutil.rmtree(stale, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=out.parent))
    try:
        model.save_pretrained(scratch, **({} if state is None else {"state_dict": dict(state)}))
        tokenizer.save_pretrained(scratch)
        scratch.chmod(0o755)
        for path in scratch.iterdir():
            path.chmod(0o644)  # safetensors writes files that only their owner may read
        if out.exists():
            shutil.rmtree(out)
        scratch.rename(out)
    except SafetensorError as error:  # wraps what the disk said
        raise InputError(
            f"cannot be written ({error})",
            str(out),
            "free space, then run the same command: it trains this round again",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return out
