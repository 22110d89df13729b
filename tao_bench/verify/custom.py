"""A task's own grader, ``verifier: verify.py:grade`` in `task.yaml`: a plain function beside the data.

``grade(prompt, gold, response)`` gets the prompt (`tao.prompts.Prompt`), the label row's gold and the text of a
response, and returns a bool, a number from 0 to 1 (1 is correct) or a `Verdict`. What it raises, and anything else that
it returns, is a verifier error: never a wrong answer.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import Prompt
from tao_bench.verify.verdict import Status, Verdict, correct, failed

SHOWN = 200


def is_custom(name: str) -> bool:
    """Whether a name points at a function of the task's own, ``file.py:function``."""
    return ":" in name


def load_function(folder: Path, name: str, where: str) -> Callable[..., Any]:
    """The function that ``file.py:function`` names in a task's folder.

    Raises:
        InputError: No such file or function, or the file cannot be imported.
    """
    file, _, function = name.partition(":")
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise InputError(f"{name!r} names no file of the task's folder", where, f"write {file} into {folder}")
    module_name = f"_tao_bench_own_{path.stem}_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python file", where, "write FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"{file} cannot be imported ({type(error).__name__}: {error})", where, f"mend {path}"
        ) from error
    found = getattr(module, function, None)
    if not callable(found):
        raise InputError(f"{file} has no function {function!r}", where, f"define it in {path}")
    loaded: Callable[..., Any] = found
    return loaded


class CustomVerifier:
    """A grading function as a verifier.

    Args:
        grade: ``(prompt, gold, response) -> bool | float | Verdict``.
        name: What `task.yaml` calls it.
        options: Further keyword arguments of the function, from ``verifier_options``.
    """

    version = "1"

    def __init__(self, grade: Callable[..., Any], name: str, options: dict[str, Any] | None = None) -> None:
        self._grade, self.name, self._options = grade, name, options or {}

    def grade(self, prompt: Prompt, gold: Any, response: str, finish_reason: str) -> Verdict:
        """Judge one response (`tao_bench.verify.verdict.Verifier`)."""
        if finish_reason == "length":
            return failed(Status.TRUNCATED, "", "length")
        try:
            found = self._grade(prompt, gold, response, **self._options)
        except Exception as error:
            return failed(Status.VERIFIER_ERROR, "", f"{type(error).__name__}: {error}"[:SHOWN])
        if isinstance(found, Verdict):
            return found
        shown = " ".join(response.split())[:SHOWN]
        if isinstance(found, bool):
            return correct(shown, "graded") if found else failed(Status.WRONG, shown, "graded")
        if isinstance(found, int | float) and 0 <= found <= 1:
            return correct(shown, "graded") if found == 1 else failed(Status.WRONG, shown, f"score:{found:.3g}")
        reason = f"returned {type(found).__name__} {str(found)[:40]!r}, not a bool, a number from 0 to 1 or a Verdict"
        return failed(Status.VERIFIER_ERROR, shown, reason)

    def close(self) -> None:
        """Nothing to release."""
