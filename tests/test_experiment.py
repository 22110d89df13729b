from __future__ import annotations

from pathlib import Path

import pytest

from tao.errors import InputError
from tao_bench.experiment import PRESETS, parse_experiment, preset_path, read_experiment

GRID = """\
name: trial
tasks: [warehouse_sql, sec_filings]
seeds: [0, 1]
arms:
  - arm: base
  - arm: base_maj
    seeds: [7]
  - arm: sft
    labels: [50, 200]
    tasks: [sec_filings]
  - arm: tao
    samples: [4, 8]
    rounds: 3
"""


def test_one_tao_arm_may_be_named_as_the_headline() -> None:
    _, cells = parse_experiment(GRID.replace("    rounds: 3\n", "    rounds: 3\n    headline: true\n"))
    assert {cell.arm for cell in cells if cell.headline} == {"tao"}
    with pytest.raises(InputError, match="claims are made about an arm `tao`"):
        parse_experiment(GRID.replace("    labels: [50, 200]\n", "    labels: [50, 200]\n    headline: true\n"))
    twice = GRID + "    headline: true\n  - {arm: tao, name: other, samples: 16, headline: true}\n"
    with pytest.raises(InputError, match="only one arm"):
        parse_experiment(twice)


def test_a_cross_validation_is_one_cell_a_fold_and_pools_under_one_id() -> None:
    text = GRID.replace("seeds: [0, 1]\n", "seeds: [0, 1]\neval: {folds: 2}\n")
    _, cells = parse_experiment(text)
    base = [cell for cell in cells if cell.task == "warehouse_sql" and cell.arm == "base"]
    assert [cell.id for cell in base] == ["warehouse_sql--base--fold0--seed0", "warehouse_sql--base--fold1--seed0"]
    assert {cell.pooled_id for cell in base} == {"warehouse_sql--base--seed0"}
    with pytest.raises(InputError, match="folds go with"):
        parse_experiment(text.replace("{folds: 2}", "{folds: 2, limit: 10}"))


def test_a_grid_expands_to_readable_ids_in_file_order() -> None:
    experiment, cells = parse_experiment(GRID)
    assert experiment.model == "reference"
    assert [cell.id for cell in cells if cell.task == "warehouse_sql"] == [
        "warehouse_sql--base--seed0",
        "warehouse_sql--base_maj-n16--seed7",
        "warehouse_sql--tao-n4-r3--seed0",
        "warehouse_sql--tao-n4-r3--seed1",
        "warehouse_sql--tao-n8-r3--seed0",
        "warehouse_sql--tao-n8-r3--seed1",
    ]
    sft = [cell for cell in cells if cell.arm == "sft"]
    assert {cell.task for cell in sft} == {"sec_filings"}
    assert [cell.options.labels_used(1600) for cell in sft] == [50, 50, 200, 200]


def test_cells_of_one_arm_and_options_share_a_label() -> None:
    _, cells = parse_experiment(GRID)
    assert {cell.arm_label for cell in cells} == {
        "base", "base maj@16", "SFT 50 labels", "SFT 200 labels", "TAO n=4 x3", "TAO n=8 x3",
    }  # fmt: skip


def test_a_named_entry_tells_recipes_apart() -> None:
    text = (
        GRID
        + "  - arm: tao\n    name: tao-plain\n    label: TAO plain\n    samples: 4\n    recipe: {mix: {direct: 1}}\n"
    )
    _, cells = parse_experiment(text)
    named = [cell for cell in cells if cell.id.startswith("sec_filings--tao-plain")]
    assert [cell.id for cell in named] == [f"sec_filings--tao-plain-n4-r3--seed{seed}" for seed in (0, 1)]
    assert {cell.arm_label for cell in named} == {"TAO plain n=4 x3"}


def test_two_cells_of_one_id_are_refused_with_their_line() -> None:
    with pytest.raises(InputError, match=r"trial\.yaml:14: two cells are called warehouse_sql--tao-n4-r3--seed0"):
        parse_experiment(GRID + "  - arm: tao\n    samples: 4\n    recipe: {}\n", "trial.yaml")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seeds: [0, 1]\n", "sedes: [0]\n", r"f\.yaml:3: unknown key 'sedes' \(did you mean 'seeds'\?\)"),
        ("  - arm: sft", "  - arm: stf", r"f\.yaml:8: unknown arm 'stf' \(did you mean 'sft'\?\)"),
        ("    labels: [50", "    lables: [50", r"f\.yaml:9: .*unknown key 'lables' \(did you mean 'labels'\?\)"),
        ("labels: [50, 200]", "labels: [50, -1]", r"f\.yaml:9: labels: Input should be greater than 0"),
        ("labels: [50, 200]", "labels: []", r"f\.yaml:8: an empty list leaves nothing to run"),
        ("tasks: [sec_filings]", "tasks: [sec_filing]", r"f\.yaml:10: task 'sec_filing' is not among .*did you mean"),
        ("    rounds: 3", "    rounds: three", r"f\.yaml:13: rounds: Input should be a valid integer"),
        ("name: trial", "name: [trial", r"f\.yaml:\d+: not YAML"),
        ("name: trial\n", "", r"name: Field required"),
    ],
)
def test_a_broken_file_says_where_and_what(before: str, after: str, message: str) -> None:
    assert before in GRID
    with pytest.raises(InputError, match=message):
        parse_experiment(GRID.replace(before, after, 1), "f.yaml")


def test_text_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InputError, match="is a mapping"):
        parse_experiment("- just\n- a list\n")


def test_an_unknown_experiment_names_the_presets() -> None:
    with pytest.raises(InputError, match=r"neither a preset .*did you mean 'quickstart'"):
        read_experiment("quikstart")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_named_after_their_file(name: str) -> None:
    experiment, cells = read_experiment(name)
    assert experiment.name == name == preset_path(name).stem
    unlabelled = {"base", "base_maj", "tao"}
    heads = {"trials": {"base"}, "ablation": unlabelled, "suite": {"base", "tao"}, "overoptimisation": {"tao"}}
    wanted = heads.get(name.partition("_")[0], {"base", "base_maj", "sft", "tao"})
    assert {cell.arm for cell in cells} >= wanted
    assert len({cell.id for cell in cells}) == len(cells)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_experiment(str(path))
