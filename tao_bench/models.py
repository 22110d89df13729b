"""Which model an experiment starts from: the shipped reference, a folder, or a hub id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao.stage import digest, folder_digest, write_atomic
from tao_bench.gpu_plan import FACTS, published
from tao_bench.registry import cache_root

REFERENCE = "reference"
SHIPPED = {"reference": "model", "reference@1": "model", "reference@2": "model_2"}
"""Names of shipped models, and the folder of each: `reference` is the first, as published results mean it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model on this machine.

    Attributes:
        name: As the experiment file names it.
        path: Folder with config, weights and tokenizer.
        hash: Hash of those files (16 hex digits).
    """

    name: str
    path: Path
    hash: str
    here: bool = True
    """Whether its weights are here; a plan does without them."""


def reference_path(name: str = REFERENCE) -> Path:
    """The folder of a shipped reference model.

    Raises:
        KeyError: None is called so.
    """
    return Path(__file__).resolve().parent / "reference" / SHIPPED[name]


def resolve_model(name: str, *, plan: bool = False) -> Model:
    """Find a model's files.

    Args:
        name: ``reference``, ``reference@2``, a folder, or a hub id that is in the local hub cache or can be fetched.
        plan: Fetch nothing: a model that is not here is known by its published shape alone.

    Raises:
        InputError: No such folder, the hub has no such model, or (to plan) its shape is not known here.
    """
    if name in SHIPPED:
        path = reference_path(name)
    elif Path(name).is_dir():
        path = Path(name).resolve()
    elif name.count("/") == 1 and not name.startswith((".", "/")):
        found = _from_hub(name, plan=plan)
        if found is None:
            return _shape_alone(name)
        path = found
    else:
        raise InputError(
            "is no folder and no hub id",
            f"model {name!r}",
            f"write {', '.join(SHIPPED)}, a folder, or an id like org/name",
        )
    if not (path / "config.json").is_file():
        raise InputError("holds no config.json", str(path), "name a folder saved by save_pretrained")
    return Model(name, path, folder_digest(path))


def _from_hub(name: str, *, plan: bool) -> Path | None:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]
    try:
        path = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=plan))
        return path if not plan or any(path.glob("*.safetensors")) else None
    except Exception as error:  # the hub raises a dozen types; all mean the same to the caller
        if plan:
            return None
        reason = next(iter(str(error).strip().splitlines()), "")
        raise InputError(
            f"its weights are not here and cannot be fetched ({type(error).__name__}: {reason})",
            f"model {name!r}",
            "check the id and the network, accept its licence on the hub and log in (`hf auth login`), or name a folder"
            " with --model; `--dry-run` plans without weights",
        ) from error


def _shape_alone(name: str) -> Model:
    """A folder with the published ``config.json`` and nothing else, to plan from."""
    known = published(name)
    if known is None:
        raise InputError(
            "is not here, and its shape is not among those kept for planning",
            f"model {name!r}",
            f"fetch it, name a folder with --model, or add its config to {FACTS.name}",
        )
    body = json.dumps(dict(known.config), sort_keys=True) + "\n"
    folder = cache_root() / "shapes" / f"{name.replace('/', '--')}-{digest(dict(known.config))}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "config.json", body)
    return Model(name, folder, "", here=False)
