"""Which model an experiment starts from: the shipped reference, a folder, or a hub id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao.stage import folder_digest

REFERENCE = "reference"


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


def reference_path() -> Path:
    """The folder of the shipped reference model."""
    return Path(__file__).resolve().parent / "reference" / "model"


def resolve_model(name: str) -> Model:
    """Find a model's files.

    Args:
        name: ``reference``, a folder, or a hub id that is in the local hub cache or can be fetched.

    Raises:
        InputError: No such folder, or the hub has no such model.
    """
    if name == REFERENCE:
        path = reference_path()
    elif Path(name).is_dir():
        path = Path(name).resolve()
    elif name.count("/") == 1 and not name.startswith((".", "/")):
        path = _from_hub(name)
    else:
        raise InputError(
            "is no folder and no hub id", f"model {name!r}", "write `reference`, a folder, or an id like org/name"
        )
    if not (path / "config.json").is_file():
        raise InputError("holds no config.json", str(path), "name a folder saved by save_pretrained")
    return Model(name, path, folder_digest(path))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub raises a dozen types; all mean the same to the caller
        raise InputError(
            f"cannot be fetched ({type(error).__name__}: {error})", f"model {name!r}", "check the id and the network"
        ) from error
