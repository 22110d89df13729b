from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy

from tao.errors import InputError
from tao_bench.digest import SHORT, bare_source, code_digest
from tao_bench.freeze import differences, fingerprint, freeze, read_frozen
from tao_bench.models import Model, resolve_model
from tao_bench.registry import Task, load_task


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path / "cache"))
    return load_task("toy_task", [toy.copy_tree(toy.TASK, tmp_path / "toy_task")])


def reload(task: Task) -> Task:
    return load_task("toy_task", [task.folder])


def test_what_is_frozen_shows_no_difference(task: Task, tmp_path: Path) -> None:
    model = Model("reference", tmp_path, "a" * 16)
    freeze(tmp_path / "results", model, 1, [task])
    frozen = read_frozen(tmp_path / "results")
    assert frozen is not None
    assert set(frozen) == {"reference@1", "toy_task@1"}
    assert differences(frozen, model, task) == []
    assert differences(frozen, Model("reference", tmp_path, "b" * 16), task) == ["reference weights"]
    assert differences(None, model, task) is None


def test_a_changed_generator_is_named_and_never_refrozen(task: Task, tmp_path: Path) -> None:
    model = Model("reference", tmp_path, "a" * 16)
    freeze(tmp_path / "results", model, 1, [task])
    generator = task.folder / "generate.py"
    generator.write_text(generator.read_text().replace('"test": 10', '"test": 11'))
    changed = reload(task)
    assert differences(read_frozen(tmp_path / "results"), model, changed) == [
        "toy_task@1 generator",
        "toy_task@1 splits",
    ]
    for regrade in (False, True):
        with pytest.raises(InputError, match=r"toy_task@1 is frozen with other hashes \(generator, splits\)"):
            freeze(tmp_path / "results", model, 1, [changed], regrade)


def test_a_changed_verifier_may_be_refrozen_on_demand(task: Task, tmp_path: Path) -> None:
    model = Model("reference", tmp_path, "a" * 16)
    path = freeze(tmp_path / "results", model, 1, [task])
    body = json.loads(path.read_text())
    body["frozen"]["toy_task@1"]["verifier"] = "0" * 12
    path.write_text(json.dumps(body))
    with pytest.raises(InputError, match="--regrade"):
        freeze(tmp_path / "results", model, 1, [task])
    freeze(tmp_path / "results", model, 1, [task], regrade=True)
    assert differences(read_frozen(tmp_path / "results"), model, task) == []


def test_the_short_hash_depends_on_model_and_task(task: Task, tiny_model: Path) -> None:
    model = resolve_model(str(tiny_model))
    first = fingerprint(model, task).short
    assert len(first) == 12
    assert fingerprint(Model(model.name, model.path, "f" * 16), task).short != first
    spec = task.folder / "task.yaml"
    spec.write_text(spec.read_text().replace("max_new_tok: 12", "max_new_tok: 13"))
    assert fingerprint(model, reload(task)).short != first


def test_wording_does_not_change_a_code_hash_and_code_does(tmp_path: Path) -> None:
    path = tmp_path / "verifier.py"
    path.write_text('"""Doc."""\n\ndef judge(x):\n    """Says."""\n    return x == "# no comment"\n')
    before = code_digest([path])
    path.write_text('"""Other words."""\n# why\n\n\ndef judge(x):  # because\n    return x == "# no comment"\n')
    assert code_digest([path]) == before
    path.write_text('def judge(x):\n    return x != "# no comment"\n')
    assert code_digest([path]) != before


def test_what_a_verifier_imports_counts(tmp_path: Path) -> None:
    path = tmp_path / "verifier.py"
    path.write_text("x = 1\n")
    alone = code_digest([path])
    path.write_text("x = 1\nfrom tao_bench.verify.verdict import correct\n")
    assert code_digest([path]) != alone
    assert "tao.errors" not in bare_source(path.read_text())


def test_models_are_named_by_what_they_hold(tiny_model: Path, tmp_path: Path) -> None:
    copy = toy.copy_tree(tiny_model, tmp_path / "copy")
    assert resolve_model(str(copy)).hash == resolve_model(str(tiny_model)).hash
    config = copy / "config.json"
    config.write_text(config.read_text() + "\n")
    assert resolve_model(str(copy)).hash != resolve_model(str(tiny_model)).hash
    with pytest.raises(InputError, match=r"holds no config\.json"):
        resolve_model(str(tmp_path))


def test_the_second_reference_is_frozen_and_held_against_its_own_name(task: Task, tmp_path: Path) -> None:
    first, second = (Model(name, tmp_path, letter * 16) for name, letter in (("reference", "a"), ("reference@2", "b")))
    for model in (first, second):
        freeze(tmp_path / "results", model, 1, [task])
    frozen = read_frozen(tmp_path / "results")
    assert frozen is not None
    assert set(frozen) == {"reference@1", "reference@2", "toy_task@1"}
    assert differences(frozen, first, task) == differences(frozen, second, task) == []
    assert differences(frozen, Model("reference@1", tmp_path, "a" * 16), task) == []
    assert differences(frozen, Model("reference@2", tmp_path, "a" * 16), task) == ["reference@2 weights"]
    assert differences(frozen, Model("reference", tmp_path, "b" * 16), task) == ["reference weights"]


def test_reference_goes_on_meaning_the_first() -> None:
    assert resolve_model("reference").hash == resolve_model("reference@1").hash
    assert resolve_model("reference").path.name == "model"


@pytest.mark.parametrize("name", ["reference@1", "reference@2"])
def test_shipped_models_are_the_ones_that_were_frozen(name: str) -> None:
    frozen = read_frozen(Path(__file__).parent.parent / "results")
    assert frozen is not None
    assert frozen[name]["model"] == resolve_model(name).hash[:SHORT]
