"""The embedded reference model: a small Llama that plays a general model meeting enterprise tasks."""

from __future__ import annotations

from pathlib import Path

VERSION = "reference@1"


def reference_dir() -> Path:
    """Folder of the shipped weights, tokenizer and chat template (package data)."""
    return Path(__file__).parent / "model"
