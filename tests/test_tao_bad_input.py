"""What a user can get wrong: one clear error and exit status 2, before anything is spent (`fixtures/bad_input`)."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao.cli import main

CASES = yaml.safe_load((Path(__file__).parent / "fixtures" / "bad_input" / "cases.yaml").read_text())
TUNE = "tune --model {model} --answers text --out {dir}/run"


def without(weights: Path, name: str) -> None:
    """Take one tensor out of a file of weights."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    del tensors[name]
    save_file(tensors, weights, metadata={"format": "pt"})


def broken(kind: str, good: Path, out: Path) -> Path:
    """A copy of a good model with one fault; a kind that is none of these is left out, so that nothing is there."""
    if kind == "a_file":
        out.write_text("weights?")
    elif kind != "nowhere":
        shutil.copytree(good, out)
        weights = out / "model.safetensors"
        faults = {
            "no_weights": weights.unlink,
            "cut_off": lambda: weights.write_bytes(weights.read_bytes()[:-999]),
            "garbage": lambda: weights.write_bytes(b"no weights at all"),
            "lost_tensor": lambda: without(weights, "model.layers.1.mlp.up_proj.weight"),
            "bad_config": lambda: (out / "config.json").write_text("{"),
            "lost_shard": lambda: (out / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}'
            ),
            "no_tokenizer": lambda: [path.unlink() for path in out.glob("tokenizer*")],
        }
        faults[kind]()
    return out


@pytest.fixture
def places(tiny_model: Path, toy_pool_file: Path, tmp_path: Path) -> dict[str, Path]:
    """What the placeholders of a case stand for."""
    folder = tmp_path / "files"
    folder.mkdir()
    return {"{model}": tiny_model, "{pool}": toy_pool_file, "{dir}": folder}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_mistake_is_one_clear_error(
    case: dict[str, Any],
    places: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, content in case.get("files", {}).items():
        (places["{dir}"] / name).write_text(content)
    if "model" in case:
        places["{model}"] = broken(case["model"], places["{model}"], places["{dir}"].with_name("model"))
    words = case["run"].replace("{tune}", TUNE)
    for name, value in places.items():
        words = words.replace(name, shlex.quote(str(value)))
    spent: list[str] = []
    for work in ("tao.sampling.transformers_sampler.TransformersSampler.run", "tao.training.stage._train"):
        monkeypatch.setattr(work, lambda *_, **__: spent.append("compute"))
    assert main(shlex.split(words)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("tao: ") or "\ntao: " in said.err
    assert said.err.count("tao: ") == 1 and "Traceback" not in said.err
    assert [line for line in case["says"] if line not in said.err] == []
    assert not spent
