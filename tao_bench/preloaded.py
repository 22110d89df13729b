"""What workers that tune, answer or judge load, imported once by the process they are forked from (`processes.py`).

Nothing here may open a device, read a task or start a thread: a forked worker would inherit it, or miss it. (pyarrow's
allocator does start one, and takes care of forks itself.)
"""

from __future__ import annotations

import gc
from importlib import import_module

MODULES = (
    "torch",
    "transformers.models.llama.modeling_llama",
    "trl.trainer.sft_trainer",
    "sqlglot",
    "tao.loop",
    "tao.sampling.transformers_sampler",
    "tao.training.offline",
    "tao.training.sft",
    "tao_bench.answering",
    "tao_bench.worker",
)

for name in MODULES:
    import_module(name)
gc.collect()
gc.freeze()  # so that a collection in a worker does not touch, and thereby copy, the shared pages
