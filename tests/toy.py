"""A whole bench in seconds: the toy task, and a tiny model that was taught its form (not its content)."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

UNHASHED = ("timing.jsonl", "log.txt", ".lock", "progress.json")
"""Files that hold times, or nothing."""
TASK = Path(__file__).parent / "fixtures" / "toy_task"


def taught(tiny: Path, folder: Path) -> Path:
    """A copy of the tiny model that answers with a number of the document, often the wrong one."""
    from tao.prompts import Message
    from tao.training.settings import Optim
    from tao.training.sft import Example, train_sft

    if not folder.is_dir():
        examples = [
            Example(
                f"{a}{b}{asked}", (Message("user", f"a|{a}\nb|{b}\nQuestion: {asked}?"),), str(a if asked == "a" else b)
            )
            for a in range(1, 10)
            for b in range(1, 10)
            for asked in "ab"
            if a != b
        ]
        optim = Optim(learning_rate=4e-3, epochs=6, batch_size=16, max_row_tok=128, precision="fp32")
        train_sft(tiny, examples, optim, folder, seed=0)
    return folder


def tree(folder: Path, skip: tuple[str, ...] = UNHASHED) -> dict[str, str]:
    """Relative name to sha256 of everything below a folder that must not depend on when it was made."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skip
    }


def copy_tree(source: Path, target: Path) -> Path:
    """A copy of a folder, made anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
