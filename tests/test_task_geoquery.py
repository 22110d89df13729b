"""The geoquery task: on a small look-alike in the published layout, and on the real files where they are named."""

import json
import os
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

from tao.errors import InputError
from tao_bench.registry import MissingData, load_generator, load_task, task_folder
from tao_bench.task import read_labels

REAL = os.environ.get("TAO_BENCH_GEOQUERY", "")
STATES = [
    f"{a}{b}" for a in ("nor", "sul", "wes", "ost", "mid") for b in ("vik", "land", "mark", "dal", "heim", "ness")
]


def template(sql: str, fold: str, texts: list[str], values: list[str]) -> dict:
    variables = [{"example": "norvik", "location": "both", "name": "state_name0", "type": "state_name"}]
    sentences = [
        {"question-split": "train", "text": text, "variables": {"state_name0": value} if "state_name0" in text else {}}
        for text in texts
        for value in (values if "state_name0" in text else [""])
    ]
    return {"query-split": fold, "sentences": sentences, "sql": [sql], "variables": variables if values else []}


def templates() -> list[dict]:
    where = 'WHERE STATEalias0.STATE_NAME = "state_name0"'
    return [
        template(
            f"SELECT STATEalias0.CAPITAL FROM STATE AS STATEalias0 {where} ;",
            "train",
            ["what is the capital of state_name0", "name the capital of state_name0"],
            STATES,
        ),
        template(
            f"SELECT STATEalias0.POPULATION FROM STATE AS STATEalias0 {where} ;",
            "train",
            ["how many people live in state_name0", "what is the population of state_name0"],
            STATES,
        ),
        template(
            "SELECT CITYalias0.CITY_NAME FROM CITY AS CITYalias0 WHERE CITYalias0.POPULATION = ( SELECT MAX( "
            'CITYalias1.POPULATION ) FROM CITY AS CITYalias1 WHERE CITYalias1.STATE_NAME = "state_name0" ) '
            'AND CITYalias0.STATE_NAME = "state_name0" ;',
            "dev",
            ["what is the biggest city in state_name0"],
            STATES[:9],
        ),
        template(
            "SELECT STATEalias0.CAPITAL FROM BORDER_INFO AS BORDER_INFOalias0 , STATE AS STATEalias0 WHERE "
            'BORDER_INFOalias0.STATE_NAME = "state_name0" AND STATEalias0.STATE_NAME = BORDER_INFOalias0.BORDER ;',
            "test",
            ["what are the capitals of the states that border state_name0"],
            STATES[:8],
        ),
        template(
            'SELECT CITYalias0.CITY_NAME FROM CITY AS CITYalias0 WHERE CITYalias0.STATE_NAME = "nowhere" ;',
            "dev",
            ["which cities are nowhere"],
            [],
        ),
        template("SELECT RIVERalias0.RIVER_NAME FROM RIVER AS RIVERalias0 LIMIT 1 ;", "test", ["name a river"], []),
        template(
            "SELECT COUNT( CITYalias0.CITY_NAME ) FROM CITY AS CITYalias0 ;", "train", ["how many cities are there"], []
        ),
        template(
            "SELECT COUNT( CITYalias3.CITY_NAME ) FROM CITY AS CITYalias3 ;",
            "dev",
            ["give me the number of cities"],
            [],
        ),
        template(
            "SELECT SUM( STATEalias0.POPULATION ) FROM STATE AS STATEalias0 ;",
            "test",
            ["how many people are there"],
            [],
        ),
    ]


def write_source(folder: Path, entries: list[dict]) -> Path:
    folder.mkdir(parents=True)
    (folder / "geography.json").write_text(json.dumps(entries))
    rng = Random(5)
    connection = sqlite3.connect(folder / "geography.sqlite")
    connection.executescript(
        "CREATE TABLE state (state_name text, population int, country_name text, capital text);"
        "CREATE TABLE city (city_name text, population text, country_name text, state_name text);"
        "CREATE TABLE river (river_name text, length int, traverse text);"
        "CREATE TABLE border_info (state_name text, border text);"
    )
    for number, state in enumerate(STATES):
        connection.execute("INSERT INTO state VALUES (?, ?, 'oz', ?)", (state, 1000 + 7 * number, f"{state}burg"))
        for city in (f"{state}burg", f"{state}by", f"{state}ton"):
            connection.execute("INSERT INTO city VALUES (?, ?, 'oz', ?)", (city, str(rng.randrange(9, 20000)), state))
        for river in rng.sample(range(6), 3):
            connection.execute("INSERT INTO river VALUES (?, ?, ?)", (f"river {river}", 100 + river, state))
        for other in (STATES[number - 1], STATES[number - 2]):
            connection.execute("INSERT INTO border_info VALUES (?, ?)", (state, other))
            connection.execute("INSERT INTO border_info VALUES (?, ?)", (other, state))
    connection.commit()
    connection.close()
    return folder


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def make(source: Path, out: Path) -> Path:
    out.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAO_BENCH_GEOQUERY", str(source))
        load_generator(task_folder("geoquery")).generate(out, 0)
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("geoquery") / "source", templates())


@pytest.fixture(scope="module")
def data(source, tmp_path_factory):
    return make(source, tmp_path_factory.mktemp("geoquery") / "out")


def test_every_question_is_placed_once_or_named_with_its_fault(data):
    certificates = {row["id"]: row for row in rows(data / "labels" / "certificates.jsonl")}
    placed = [(row["id"], split) for split in ("pool", "train", "dev", "test") for row in rows(data / f"{split}.jsonl")]
    assert len(certificates) == 142 and len(placed) == 140
    assert dict(placed) == {item: row["split"] for item, row in certificates.items() if row["split"]}
    assert Counter(row["fault"] for row in certificates.values()) == {"": 140, "empty": 1, "unstable": 1}
    assert all(row["fault"] for row in certificates.values() if not row["split"])


def test_no_template_is_both_tuned_on_and_judged(data):
    homes = defaultdict(set)
    for row in rows(data / "labels" / "certificates.jsonl"):
        if row["split"]:
            homes[row["cluster"]].add("tuned" if row["split"] in ("pool", "train") else row["split"])
    assert all(len(splits) == 1 for splits in homes.values())
    # the dev template that only renames an alias of a train template follows it into the train fold
    assert not any(
        "number of cities" in row["messages"][0]["content"]
        for row in rows(data / "dev.jsonl") + rows(data / "test.jsonl")
    )


def test_the_assistant_is_the_first_hundred_and_disjoint_from_the_pool(data):
    train, pool = rows(data / "train.jsonl"), rows(data / "pool.jsonl")
    assert len(train) == 100 and len(pool) == 22
    assert max(row["id"] for row in train) < min(row["id"] for row in pool)
    assert all(set(row) == {"id", "messages", "context", "handles"} for row in pool)


def test_golds_shape_neither_the_pool_nor_the_tuning_instances(tmp_path, data):
    entries = templates()
    entries[0]["sql"], entries[1]["sql"] = entries[1]["sql"], entries[0]["sql"]
    other = make(write_source(tmp_path / "permuted", entries), tmp_path / "permuted_out")
    for name in ("pool.jsonl", "instances/geography.json", "instances/geography_2.json"):
        assert (other / name).read_bytes() == (data / name).read_bytes()
    assert (other / "labels" / "pool.jsonl").read_bytes() != (data / "labels" / "pool.jsonl").read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path, source, data):
    again = make(source, tmp_path / "again")
    files = sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    assert [(again / name).read_bytes() for name in files] == [(data / name).read_bytes() for name in files]


def test_a_prompt_shows_all_tables_and_a_constant_column_once(data):
    lines = rows(data / "pool.jsonl")[0]["messages"][0]["content"].split("\n")
    assert lines[:-1] == [
        "Schema:",
        "state (state_name STRING, population INT, country_name STRING, capital STRING)",
        "city (city_name STRING, population INT, state_name STRING)",
        "river (river_name STRING, length INT, traverse STRING)",
        "border_info (state_name STRING, border STRING)",
    ]
    assert lines[-1].startswith("Question: ") and lines[-1] == lines[-1].replace("state_name0", "")


def test_targets_are_short_and_golds_stay_as_ported(data):
    labels = {
        row["target"]: row["gold"]["sql"]
        for row in rows(data / "labels" / "test.jsonl") + rows(data / "labels" / "dev.jsonl")
    }
    join = "SELECT capital FROM border_info JOIN state ON border = state.state_name WHERE border_info.state_name = "
    assert "statealias0.capital" in labels[join + "'norvik'"]
    assert "SELECT SUM(population) FROM state" in labels


def test_the_second_instance_keeps_names_and_dependencies_but_not_numbers(data):
    real, second = (
        json.loads((data / "instances" / f"geography{part}.json").read_text())["tables"] for part in ("", "_2")
    )
    for name, table in real.items():
        kinds = [kind for _, kind in table["columns"]]
        for index, kind in enumerate(kinds):
            ours, theirs = ([row[index] for row in instance[name]["rows"]] for instance in (real, second))
            assert set(theirs) <= set(ours)
            if kind == "STRING":
                assert set(theirs) == set(ours)
    assert all([b, a] in second["border_info"]["rows"] for a, b in second["border_info"]["rows"])
    assert len(second["border_info"]["rows"]) < len(real["border_info"]["rows"])
    lengths = defaultdict(set)
    for river, length, _ in second["river"]["rows"]:
        lengths[river].add(length)
    assert all(len(values) == 1 for values in lengths.values())
    assert {tuple(row) for row in real["state"]["rows"]} != {tuple(row) for row in second["state"]["rows"]}


def test_cross_validation_keeps_clusters_whole(data):
    folds = json.loads((data / "folds.json").read_text())
    homes = defaultdict(set)
    for row in rows(data / "labels" / "certificates.jsonl"):
        homes[row["cluster"]].add(folds[row["id"]])
    assert len(folds) == 142 and all(len(found) == 1 for found in homes.values())
    assert set(folds.values()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_reports_on_templates_that_nothing_was_tuned_on(data, source, tmp_path, monkeypatch, fold):
    monkeypatch.setenv("TAO_BENCH_GEOQUERY", str(source))
    load_generator(task_folder("geoquery")).generate(tmp_path, 0, fold=fold)
    homes = json.loads((data / "folds.json").read_text())
    certificates = {row["id"]: row for row in rows(tmp_path / "labels" / "certificates.jsonl")}
    tested = {row["id"] for row in rows(tmp_path / "test.jsonl")}
    tuned = {row["id"] for split in ("pool", "train") for row in rows(tmp_path / f"{split}.jsonl")}
    assert tested == {name for name, home in homes.items() if home == fold and not certificates[name]["fault"]}
    assert tuned == {name for name, home in homes.items() if home != fold}
    assert not {certificates[name]["cluster"] for name in tested} & {certificates[name]["cluster"] for name in tuned}
    assert rows(tmp_path / "dev.jsonl") == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "geography.sqlite").unlink(), "is missing"),
        (
            lambda folder: (folder / "geography.sqlite").write_bytes(b"not a database at all" * 99),
            "cannot be read as SQLite",
        ),
        (lambda folder: (folder / "geography.json").write_text('[{"sql": 3}]'), "is not a text2sql-data file"),
        (lambda folder: (folder / "geography.json").unlink(), "cannot be read"),
    ],
)
def test_broken_files_are_named(tmp_path, spoil, message):
    source = write_source(tmp_path / "source", templates())
    spoil(source)
    with pytest.raises(InputError, match=message):
        make(source, tmp_path / "out")


def test_without_the_folder_the_task_says_what_to_set(monkeypatch):
    monkeypatch.delenv("TAO_BENCH_GEOQUERY", raising=False)
    with pytest.raises(MissingData, match="set TAO_BENCH_GEOQUERY"):
        load_task("geoquery")


@pytest.mark.skipif(
    not REAL, reason="TAO_BENCH_GEOQUERY does not name the folder with geography.json and geography.sqlite"
)
def test_the_published_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path))
    task = load_task("geoquery")
    certificates = rows(task.data / "labels" / "certificates.jsonl")
    assert len(certificates) == 598
    assert sum(row["target"] == "compact" for row in certificates) == 598
    assert not any(row["fault"] == "does not run" for row in certificates)
    dropped = [row for row in certificates if not row["split"]]
    assert len(dropped) <= 6 and all(row["fault"] in ("empty", "unstable") for row in dropped)
    assert len(task.items("train")) == 100 and len(task.pool()) == 267
    assert len(task.items("dev")) + len(task.items("test")) + len(dropped) == 231
    targets = sorted(len(label.target) for label in read_labels(task.data, "pool").values())
    assert targets[len(targets) // 2] < 100
