"""The label-free signals a task names: built in, or a function of its own, ``signals: [vote share, signal.py:polite]``.

An own signal is ``polite(prompt, answers)``: the text of the prompt's last message and the answers of its samples in
deployment form ('' where none could be cut out); it returns one number an answer, higher is better. It sees no label.

In tuning (``signals: task`` in the recipe of the arm `tao`) a function's numbers are used by their order alone: an
answer's value is its rank among the prompt's different answers, 0 to 1, and there is none where all are alike. Scales
differ from signal to signal, and a rank needs no label to be set. Rules of `tao.scoring.signals` keep their own values.
The built-in ones ("vote share", "runs" and so on) are what the vote is made of, so they are not counted twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.prompts import Prompt
from tao.scoring.signals import RuleSignal, Weighed
from tao.stage import file_digest
from tao_bench.signals import SIGNALS, Group, Signal, of_rule
from tao_bench.task import suggest
from tao_bench.verify.custom import is_custom, load_function

if TYPE_CHECKING:
    from tao_bench.registry import Task


def _ask(name: str, function: Callable[..., Any], where: str, prompt: Prompt, answers: Sequence[str]) -> list[float]:
    """A function's numbers, held to their contract."""
    try:
        found = [float(value) for value in function(prompt.messages[-1].content, list(answers))]
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


def _own(name: str, function: Callable[..., Any], where: str) -> Signal:
    def signal(group: Group) -> Sequence[float]:
        return _ask(name, function, where, group.prompt, [sample.answer or "" for sample in group.samples])

    return signal


def ranks(values: Sequence[float]) -> list[float | None]:
    """Each value's rank, 0 for the lowest to 1 for the highest, ties in the middle; None for all if all are alike."""
    if len(set(values)) < 2:
        return [None] * len(values)
    below = [sum(other < value for other in values) for value in values]
    same = [values.count(value) - 1 for value in values]
    return [(low + tied / 2) / (len(values) - 1) for low, tied in zip(below, same, strict=True)]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A task's own function as a signal of tuning: by rank among the answers to one prompt.

    Attributes:
        name: As `task.yaml` names it.
        version: Hash of its file.
        function: The function.
        where: Its file.
    """

    name: str
    version: str
    function: Callable[..., Any]
    where: str

    def values(self, prompt: Prompt, answers: Sequence[str]) -> list[float | None]:
        """The ranks."""
        return ranks(_ask(self.name, self.function, self.where, prompt, answers))

    def flop(self, prompt: Prompt, answers: Sequence[str]) -> int:
        """Functions cost no model FLOPs."""
        return 0

    def close(self) -> None:
        """Nothing to give back."""


def tuning_signals(task: Task, weight: float, veto: float | None = None) -> list[Weighed]:
    """The signals that a task names, as tuning uses them; without those that the vote is made of.

    Args:
        task: The task.
        weight: Of all of them together, where the vote has 1; each gets an equal part.
        veto: Value below which an answer loses its vote, for each.

    Raises:
        InputError: As for `task_signals`.
    """
    task_signals(task)
    where = str(task.folder / "task.yaml")
    found: list[Ranked | RuleSignal] = []
    for name in task.spec.signals:
        if is_custom(name):
            path = task.folder / name.split(":")[0]
            found.append(Ranked(name, file_digest(path)[:12], load_function(task.folder, name, where), str(path)))
        elif name not in SIGNALS:
            from tao.answers import prose

            found.append(RuleSignal(name, file_digest(Path(prose.__file__))[:12], prose.SIGNALS[name]))
    return [Weighed(signal, weight / len(found), veto) for signal in found]


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
