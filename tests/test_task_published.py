"""Published sets as tasks: on own small sets in the published layouts, and on the real files where they are named."""

import csv
import json
import os
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.errors import InputError
from tao.sql.instance import Instance, Schema, read_instance
from tao.sql.readers.keys import ForeignKey, read_keys
from tao.sql.schema_text import SCHEMA_CHARS, key_lines, schema_lines
from tao.sql.second_instance import second_instance
from tao_bench.check import check_golds, check_task
from tao_bench.registry import MissingData, _inspect, load_generator, load_task, make_verifier, task_folder
from tao_bench.sql.published_task import deal, level_of, report_splits
from tao_bench.task import LABELLED_SPLITS, read_items, read_labels, read_spec

FIXTURES = Path(__file__).parent / "fixtures" / "published_task"
SHARED = os.environ.get("TAO_BENCH_SHARED_DATA", "")
QUESTIONS = [json.loads(line) for line in (FIXTURES / "questions.jsonl").read_text().splitlines()]
TASKS = ("spider", "bird", "defog", "kaggle_dbqa")
SPLITS = ("pool", *LABELLED_SPLITS)


def variable(task: str) -> str:
    return f"TAO_BENCH_{task.upper()}"


def write_sqlite(folder: Path, name: str) -> None:
    path = folder / name / f"{name}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript((FIXTURES / f"{name}.sql").read_text())
    connection.close()


def write_set(task: str, root: Path, questions: list[dict]) -> Path:
    """The small set in the layout that the set's authors publish."""
    root.mkdir(parents=True)
    names = sorted({row["db"] for row in questions})

    def of(*some: str) -> list[dict]:
        return [row for row in questions if row["db"] in some]

    def text(rows: list[dict], key: str) -> str:
        return json.dumps([{"db_id": r["db"], "question": r["question"], key: r["sql"]} for r in rows])

    if task == "spider":
        train = ("farm", "library", "harbour")
        (root / "train_spider.json").write_text(text(of(*train), "query"))
        (root / "dev.json").write_text(text(of("bakery", "school"), "query"))
        for name in names:
            write_sqlite(root / "database", name)
    elif task == "bird":
        rows = [
            {
                "question_id": 100 + number,
                "db_id": row["db"],
                "question": row["question"],
                "evidence": row.get("hint", ""),
                "SQL": row["sql"],
                "difficulty": "simple",
            }
            for number, row in enumerate(questions)
        ]
        (root / "mini_dev_sqlite.json").write_text(json.dumps(rows))
        for name in names:
            write_sqlite(root / "dev_databases", name)
    elif task == "defog":
        (root / "questions").mkdir()
        for file, rows in (
            ("questions_gen", of("farm", "library", "bakery")),
            ("instruct_basic", of("harbour", "school")),
        ):
            with (root / "questions" / f"{file}_sqlite.csv").open("w", newline="") as handle:
                writer = csv.writer(handle)
                writer.writerow(["question", "query", "db_name", "query_category", "instructions"])
                writer.writerows([r["question"], r["sql"] + ";", r["db"], "x", r.get("hint", "")] for r in rows)
        for name in names:
            (root / "databases" / name).mkdir(parents=True)
            shutil.copy(FIXTURES / f"{name}.sql", root / "databases" / name)
    else:
        for name in names:
            (root / f"{name.capitalize()}.json").write_text(text(of(name), "query"))
            write_sqlite(root / "databases", name)
    return root


def make(task: str, source: Path, out: Path, seed: int = 0) -> Path:
    out.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable(task), str(source))
        load_generator(task_folder(task)).generate(out, seed)
    _inspect(out)
    return out


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def database_of(row: dict) -> str:
    return Path(row["handles"]["database"]).stem


@pytest.fixture(scope="module", params=TASKS)
def made(request, tmp_path_factory):
    """A task's name, its small source and the data made from it."""
    folder = tmp_path_factory.mktemp(request.param)
    source = write_set(request.param, folder / "source", QUESTIONS)
    return request.param, source, make(request.param, source, folder / "out")


def test_splits_share_no_database_and_every_question_has_its_place(made):
    _, _, data = made
    homes = {split: {database_of(row) for row in rows(data / f"{split}.jsonl")} for split in SPLITS}
    assert sum(len(found) for found in homes.values()) == len(set().union(*homes.values())) == 5
    assert all(homes.values())
    certificates = rows(data / "labels" / "certificates.jsonl")
    assert len(certificates) == len(QUESTIONS)
    # the pool keeps every question of its databases, whatever its gold
    asked = Counter(row["db"] for row in QUESTIONS)
    assert Counter(map(database_of, rows(data / "pool.jsonl"))) == {name: asked[name] for name in homes["pool"]}


def test_each_gold_is_judged_as_the_fixture_says(made):
    _, _, data = made
    by_text = {row["question"]: row for row in QUESTIONS}
    names = {}
    for split in SPLITS:
        for row in rows(data / f"{split}.jsonl"):
            names[row["id"]] = row["messages"][0]["content"].rsplit("Question: ", 1)[1]
    certificates = rows(data / "labels" / "certificates.jsonl")
    for row in certificates:
        if row["split"]:
            wanted = by_text[names[row["id"]]]
            assert row["fault"].startswith(wanted["fault"]) and bool(row["fault"]) == bool(wanted["fault"]), row
            assert row["level"] in (wanted["level"], "simple")
            assert row["split"] == "pool" or not row["fault"]
    lost = Counter(row["database"] for row in certificates if not row["split"])
    pool = {database_of(row) for row in rows(data / "pool.jsonl")}
    assert lost == Counter(row["db"] for row in QUESTIONS if row["fault"] and row["db"] not in pool)
    assert "Left out of the labelled splits" in report_splits(data)


def test_labelled_golds_pass_the_verifier(made):
    task, _, data = made
    verifier = make_verifier(read_spec(task_folder(task)), data)
    try:
        for split in LABELLED_SPLITS:
            items = read_items(data / f"{split}.jsonl")
            (finding,) = check_golds(verifier, split, items, read_labels(data, split))
            assert finding.ok and items, finding.detail
    finally:
        verifier.close()


def test_golds_shape_neither_the_pool_nor_what_tuning_opens(made, tmp_path):
    task, _, data = made
    blank = [{**row, "sql": "SELECT 1 FROM nowhere"} for row in QUESTIONS]
    other = make(task, write_set(task, tmp_path / "source", blank), tmp_path / "out")
    names = [Path("pool.jsonl"), *sorted(path.relative_to(data) for path in (data / "instances").iterdir())]
    assert len(names) == 11
    for name in names:
        assert (other / name).read_bytes() == (data / name).read_bytes()
    assert (data / "labels" / "pool.jsonl").read_text() and not (other / "labels" / "pool.jsonl").read_text()
    assert not (other / "test.jsonl").read_text()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_the_same_splits(made, tmp_path):
    task, source, data = made
    again, other = make(task, source, tmp_path / "again"), make(task, source, tmp_path / "other", seed=1)
    files = sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    assert [(again / name).read_bytes() for name in files] == [(data / name).read_bytes() for name in files]
    for split in SPLITS:
        ours, theirs = rows(data / f"{split}.jsonl"), rows(other / f"{split}.jsonl")
        assert sorted(r["id"] for r in ours) == sorted(r["id"] for r in theirs)
    assert (other / "instances" / "farm_2.json").read_bytes() != (data / "instances" / "farm_2.json").read_bytes()


def test_a_prompt_shows_tables_values_keys_and_hint(made):
    task, _, data = made
    found = [row for split in SPLITS for row in rows(data / f"{split}.jsonl") if database_of(row) == "farm"]
    text = next(r for r in found if "crop by crop" in r["messages"][0]["content"])["messages"][0]["content"]
    lines = text.split("\n")
    number = "BIGINT" if task == "defog" else "INT"
    integer = "INT"
    assert lines[0] == "Schema:"
    assert lines[1].startswith(f"field (field_id {integer}") or lines[1].startswith(f"field (field_id {number}")
    assert "crop STRING ('rye', 'beet', 'oats')" in lines[1]
    assert lines[3] == "Foreign keys: harvest.field_id = field.field_id"
    hint = ["Hint: harvested refers to tonnes"] if task in ("bird", "defog") else []
    assert lines[4:] == [*hint, "Question: What was harvested in all, crop by crop?"]


def test_the_second_instance_keeps_schema_texts_and_joins_but_not_facts(made):
    _, _, data = made
    for name in ("farm", "library", "harbour", "bakery", "school"):
        real, second = (read_instance(data / "instances" / f"{name}{part}.json") for part in ("", "_2"))
        assert real.schema == second.schema and real.rows != second.rows
        for table, columns in real.schema.tables:
            for index, (_, kind) in enumerate(columns):
                ours, theirs = ({row[index] for row in one.rows[table]} for one in (real, second))
                assert theirs <= ours and (kind != "STRING" or theirs == ours)
        (child, parent) = (real.schema.tables[1][0], real.schema.tables[0][0])
        assert {row[1] for row in second.rows[child]} <= {row[0] for row in second.rows[parent]}


CELLS = st.tuples(
    st.integers(1, 3),
    st.sampled_from(["red", "blue", "green"]),
    st.integers(0, 9),
    st.one_of(st.none(), st.integers(0, 5)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_second_instances_on_any_rows(cells, seed):
    columns = (("owner_id", "INT"), ("colour", "STRING"), ("size", "INT"), ("note", "INT"))
    table = [list(row) for row in cells]
    owners = [[1, "a"], [2, "b"], [3, "c"]]
    real = Instance(
        Schema((("owner", (("owner_id", "INT"), ("name", "STRING"))), ("thing", columns))),
        {"owner": owners, "thing": table},
    )
    second = second_instance(real, (ForeignKey("thing", "owner_id", "owner", "owner_id"),), Random(seed.random()))
    assert table == [list(row) for row in cells] and second.rows["owner"] == owners
    found = second.rows["thing"]
    assert 1 <= len(found) <= len(table)
    assert {row[0] for row in found} == {row[0] for row in table}
    assert {row[1] for row in found} == {row[1] for row in table}
    for index in range(4):
        assert not Counter(row[index] for row in found) - Counter(row[index] for row in table)


def test_columns_that_fix_one_another_travel_together():
    columns = (("thing_id", "INT"), ("city", "STRING"), ("land", "STRING"), ("price", "INT"))
    lands = {"Norvik": "Ost", "Sulby": "West", "Tarn": "West"}
    cells = [[n, city, lands[city], n * n % 17] for n, city in enumerate(["Norvik", "Sulby", "Tarn"] * 8)]
    second = second_instance(Instance(Schema((("thing", columns),)), {"thing": cells}), (), Random(3))
    assert {(row[1], row[2]) for row in second.rows["thing"]} == set(lands.items())
    assert {(row[1], row[3]) for row in second.rows["thing"]} != {(row[1], row[3]) for row in cells}


def test_schema_lines_quote_names_and_shorten_by_showing_fewer_values():
    wide = tuple((f"column_{number:03d}", "STRING") for number in range(60))
    cells = [[f"value {number} of {row}" for number in range(60)] for row in range(5)]
    tables = (("Odd Table", (("Opened (Year)", "INT"), ("n", "STRING"))), ("wide", wide))
    odd = [[1990, "it's"], [1991, "x" * 30], [1992, None], [1993, "fine"]]
    lines = schema_lines(Instance(Schema(tables), {"Odd Table": odd, "wide": cells}))
    assert lines[0] == "`Odd Table` (`Opened (Year)` INT, n STRING ('fine'))" or lines[0].endswith("n STRING)")
    assert len("\n".join(lines)) <= SCHEMA_CHARS
    assert key_lines(()) == [] and "`a b`.x = c.y" in key_lines([ForeignKey("a b", "x", "c", "y")])[0]


def test_declared_keys_are_read_from_files_and_scripts(tmp_path):
    write_sqlite(tmp_path, "farm")
    key = (ForeignKey("harvest", "field_id", "field", "field_id"),)
    assert read_keys(tmp_path / "farm" / "farm.sqlite") == key == read_keys(FIXTURES / "farm.sql")
    path = tmp_path / "odd.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE Home (id INTEGER PRIMARY KEY, a INT, b INT, UNIQUE (a, b));"
        "CREATE TABLE guest (home INT REFERENCES HOME, gone INT REFERENCES nowhere(id), a INT, b INT,"
        " FOREIGN KEY (a, b) REFERENCES Home(a, b));"
    )
    connection.close()
    assert read_keys(path) == (ForeignKey("guest", "home", "Home", "id"),)
    script = tmp_path / "apart.sql"
    script.write_text("CREATE TABLE s.a (x INT,\n  FOREIGN KEY (x) REFERENCES s.b(y)\n);\nCREATE TABLE s.b (y INT);\n")
    assert read_keys(script) == (ForeignKey("a", "x", "b", "y"),)


def test_dealing_depends_on_names_alone():
    names = [f"db{number}" for number in range(7)]
    found = deal(names, ("pool", "dev", "test"))
    assert found == deal(names[::-1], ("pool", "dev", "test"))
    assert Counter(found.values()) == {"pool": 3, "dev": 2, "test": 2}


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        ("SELECT a FROM t", "1"),
        ("SELECT a FROM t JOIN u ON t.x = u.x", "2"),
        ("SELECT a FROM t WHERE a = (SELECT MAX(a) FROM t)", "2"),
        ("SELECT a FROM t UNION SELECT a FROM u", "2"),
        ("SELECT a FROM t JOIN u ON t.x = u.x WHERE a IN (SELECT a FROM v)", "3"),
    ],
)
def test_levels(sql, level):
    assert level_of(sql) == level


@pytest.mark.parametrize("task", TASKS)
def test_without_the_data_a_task_says_what_to_set(task, monkeypatch, tmp_path):
    monkeypatch.delenv(variable(task), raising=False)
    with pytest.raises(MissingData, match=f"set {variable(task)}"):
        load_task(task)
    (tmp_path / "README.md").write_text("something else")
    with pytest.raises(InputError, match="holds no"):
        make(task, tmp_path, tmp_path / "out")


def test_a_row_without_a_question_is_named(tmp_path):
    source = write_set("bird", tmp_path / "source", QUESTIONS)
    (source / "mini_dev_sqlite.json").write_text('[{"db_id": "farm", "SQL": "SELECT 1"}]')
    with pytest.raises(InputError, match=r"mini_dev_sqlite\.json, row 0.*names no question"):
        make("bird", source, tmp_path / "out")


@pytest.mark.skipif(not SHARED, reason="TAO_BENCH_SHARED_DATA does not name the folder of the published sets")
@pytest.mark.parametrize("task", TASKS)
def test_the_published_files(task, tmp_path, monkeypatch):
    monkeypatch.setenv("TAO_BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv(variable(task), SHARED)
    found = load_task(task)
    certificates = rows(found.data / "labels" / "certificates.jsonl")
    judged = [row for row in certificates if row["fault"] != "no database"]
    assert sum(not row["golds"] for row in judged) <= 0.02 * len(judged)
    homes = {split: {database_of(row) for row in rows(found.data / f"{split}.jsonl")} for split in SPLITS}
    assert sum(map(len, homes.values())) == len(set().union(*homes.values()))
    assert homes["pool"] and homes["test"]
    assert [finding for finding in check_task(found, sample=30) if not finding.ok] == []
