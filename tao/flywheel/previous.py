"""What an earlier run left for the next one: its pool, its recipe, and the model that is in service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.prompts import Prompt, read_prompts
from tao.recipe import Recipe, make_recipe


@dataclass(frozen=True, slots=True)
class Previous:
    """A finished run to go on from.

    Attributes:
        model: The model in service: what was promoted, else the run's last good round; None where the run kept its
            starting model, which lies outside of it.
        prompts: Its pool.
        recipe: Its recipe.
        answers: Name of its interpreter, an answer form of `tao.forms`.
    """

    model: Path | None
    prompts: list[Prompt]
    recipe: Recipe
    answers: str


def read_previous(run: Path) -> Previous:
    """Read a finished run.

    Raises:
        InputError: No run, an unfinished one, or one whose pool was not kept.
    """
    asked, result = _read(run, "recipe.json"), _read(run, "result.json")
    if not (run / "pool.jsonl").is_file():
        raise InputError("the run kept no pool", str(run / "pool.jsonl"), "continue from a run of this version")
    inside = result["checkpoint"]
    model = run / inside if inside else None
    if (run / "promotion.json").exists():
        model = Path(_read(run, "promotion.json")["checkpoint"])
    if model is not None and not model.is_dir():
        raise InputError("the model in service is not there", str(model), "name another with --model")
    recipe = make_recipe({**asked["recipe"], "rounds": max(1, result["rounds"])}, str(run / "recipe.json"))
    return Previous(model, read_prompts(run / "pool.jsonl"), recipe, str(asked["interpreter"]).partition("@")[0])


def _read(run: Path, name: str) -> Any:
    path = run / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "let it end first: the same 'tao tune' command goes on" if (run / "recipe.json").exists() else ""
        raise InputError(
            f"no finished run here ({name} is missing)", str(run), fix or "give the --out folder of 'tao tune'"
        ) from error
    except ValueError as error:
        raise InputError(f"not JSON ({error})", str(path)) from error
