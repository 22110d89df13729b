"""What a training stage does differently in one of several processes: all that speaks to the other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tao.training.engine import load, save
from tao.training.lora import attach, merged
from tao.training.settings import Optim


def join() -> int:
    """Meet the other processes; returns this one's rank.

    Before any model is loaded: with FSDP only process 0 reads the weights, which needs the processes to know of each
    other.
    """
    import torch
    from accelerate import PartialState

    return int(PartialState(cpu=not torch.cuda.is_available()).process_index)


def leave() -> None:
    """Part from the other processes."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 where there is one process."""
    import torch.distributed as dist

    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gathered(value: Any, optim: Optim) -> list[Any]:
    """A value of every process, in order of their ranks."""
    if optim.world == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * optim.world
    dist.all_gather_object(found, value)
    return found


def summed(figures: Mapping[str, Sequence[float]], optim: Optim) -> dict[str, list[float]]:
    """Named (value, weight) sums over all processes."""
    total: dict[str, list[float]] = {}
    for part in gathered(dict(figures), optim):
        for name, (value, weight) in part.items():
            before = total.setdefault(name, [0.0, 0.0])
            total[name] = [before[0] + value, before[1] + weight]
    return total


def shared_out(batches: Sequence[Any], optim: Optim, compute: Callable[[Any], Any]) -> list[Any]:
    """`compute` of every batch, each process taking its turn; all of them call the model equally often.

    A sharded model answers only where all processes ask, so a process without a batch of its own repeats the last.
    """
    mine: list[Any] = []
    for at in range(0, len(batches), optim.world):
        mine.append(compute(batches[min(at + rank(), len(batches) - 1)]))
    every = gathered(mine, optim)
    return [every[at % optim.world][at // optim.world] for at in range(len(batches))]


def save_trained(trainer: Any, tokenizer: Any, optim: Optim, out: Path, *, start: Path, seed: int) -> None:
    """Gather the trained weights in process 0, merge adapters, and write a standard checkpoint.

    Args:
        trainer: After training.
        tokenizer: Goes into the checkpoint.
        optim: Optimiser settings.
        out: Folder of the new checkpoint.
        start: The checkpoint that training started from; sharded adapters are merged into it.
        seed: What the adapters were made with.
    """
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    if optim.processes is None or not optim.processes.fsdp:
        if rank() == 0:
            save(merged(model), tokenizer, out)
    else:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
        from torch.distributed.fsdp import FSDPModule

        sharded: Any = model
        if not isinstance(sharded, FSDPModule):  # every process would have held, and trained, all of it
            raise RuntimeError("accelerate did not shard the model")
        # With adapters only those are gathered: the frozen weights lie in `start`.
        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=optim.lora is not None)
        state = get_model_state_dict(model, options=options)
        if rank() == 0 and optim.lora:
            base = attach(load(start, optim.weights)[0], optim.lora, seed)
            left = base.load_state_dict(state, strict=False)
            if left.unexpected_keys or any("lora_" in key for key in left.missing_keys):
                raise RuntimeError(f"adapters were lost in gathering: {left.unexpected_keys or left.missing_keys}")
            save(merged(base), tokenizer, out)
        elif rank() == 0:
            tied = set(model.all_tied_weights_keys)  # gathered, a shared weight comes once under each of its names
            save(model, tokenizer, out, {name: value for name, value in state.items() if name not in tied})
    gathered(None, optim)  # nobody leaves before it is written
