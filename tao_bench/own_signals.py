"""The label-free signals a task names: built in, or a function of its own, ``signals: [vote share, signal.py:polite]``.

An own signal is ``polite(prompt, answers)``: the text of the prompt's last message and the answers of its samples in
deployment form ('' where none could be cut out); it returns one number an answer, higher is better. It sees no label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao_bench.signals import SIGNALS, Group, Signal, of_rule
from tao_bench.task import suggest
from tao_bench.verify.custom import is_custom, load_function

if TYPE_CHECKING:
    from tao_bench.registry import Task


def _own(name: str, function: Callable[..., Any], where: str) -> Signal:
    def signal(group: Group) -> Sequence[float]:
        answers = [sample.answer or "" for sample in group.samples]
        try:
            found = [float(value) for value in function(group.prompt.messages[-1].content, answers)]
        except Exception as error:
            raise InputError(
                f"signal {name} fails ({type(error).__name__}: {error})", where, "mend the function"
            ) from error
        if len(found) != len(answers) or not all(map(math.isfinite, found)):
            raise InputError(
                f"signal {name} gave {len(found)} numbers for {len(answers)} answers, or one that is not finite",
                where,
                "return one number an answer",
            )
        return found

    return signal


def task_signals(task: Task) -> dict[str, Signal]:
    """The signals that a task names, in its order; all built-in ones where it names none.

    Raises:
        InputError: An unknown name, or a function that is not there.
    """
    where = str(task.folder / "task.yaml")
    found: dict[str, Signal] = {}
    known = dict(SIGNALS)
    if task.spec.answer == "prose":
        from tao.answers.prose import SIGNALS as OF_PROSE

        known.update({name: of_rule(rule) for name, rule in OF_PROSE.items()})
    for name in task.spec.signals or tuple(known):
        if is_custom(name):
            found[name] = _own(
                name, load_function(task.folder, name, where), str(Path(task.folder, name.split(":")[0]))
            )
        elif name in known:
            found[name] = known[name]
        else:
            raise InputError(
                f"`signals`: unknown signal {name!r}{suggest(name, set(known))}",
                where,
                f"use any of {', '.join(known)}, or FILE.py:FUNCTION",
            )
    return found
