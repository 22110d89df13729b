"""`tao-bench port` on a small set of its own: certificates, flags, drops, resuming, and the errors of bad input."""

import csv
import datetime as dt
import json
import os
import sqlite3
from pathlib import Path

import pytest

from tao.errors import InputError
from tao.sql.engines import Reply
from tao.sql.engines.emulator import EmulatorEngine, port_limits
from tao.sql.readers import write_instance
from tao.sql.readers.sqlite import read_sqlite
from tao.sql.sandbox import Sandbox
from tao_bench.cli import main
from tao_bench.sql import port_set as port_set_module
from tao_bench.sql.agreement import disagreement, with_times
from tao_bench.sql.certify import Evidence, half_of, pinned_instant, prove
from tao_bench.sql.port_report import cause_of, is_counted, rate
from tao_bench.sql.published import LAYOUTS, find_databases, read_set, split_statements

FIXTURES = Path(__file__).parent / "fixtures" / "sql_port"
DONE = "certified_without_spark"
GOLDS = {
    "plain": ('SELECT name FROM item WHERE name = "Lamp"', DONE, []),
    "empty": ("SELECT name FROM item WHERE id = 99", DONE, ["empty"]),
    "unstable": ("SELECT buyer FROM sale LIMIT 1", "", ["unstable", "limit_cuts_tie"]),
    "tie": ("SELECT name FROM item WHERE stock = 7 GROUP BY name ORDER BY stock LIMIT 1", DONE, ["limit_cuts_tie"]),
    "clock": ("SELECT id FROM sale WHERE day >= date('now', '-30 days')", DONE, ["clock_dependent"]),
    "broken": ("SELECT nothing FROM item", "uncertified", ["fails_on_source"]),
    "refused": ("SELECT id FROM item WHERE name GLOB 'L*' AND randomblob(2) IS NOT NULL", "uncertified", []),
}


def write_set(folder: Path) -> Path:
    (folder / "databases" / "shop").mkdir(parents=True)
    connection = sqlite3.connect(folder / "databases" / "shop" / "shop.sqlite")
    connection.executescript((FIXTURES / "shop.sqlite.sql").read_text())
    connection.close()
    (folder / "databases" / "bad.sqlite").write_bytes(b"no database" * 99)
    rows = [
        {"id": name, "db_id": "shop", "question": f"what is {name}?", "query": sql}
        for name, (sql, _, _) in GOLDS.items()
    ]
    rows += [
        {"id": "lost", "db_id": "nowhere", "question": "?", "query": "SELECT 1"},
        {"id": "bare", "db_id": "shop", "question": "?"},
        {"id": "damaged", "db_id": "bad", "question": "?", "query": "SELECT 1"},
    ]
    (folder / "questions.json").write_text(json.dumps(rows))
    return folder


def command(folder: Path, *more: str) -> list[str]:
    given = ["--questions", str(folder / "questions.json"), "--databases", str(folder / "databases")]
    return ["port", *given, "--out", str(folder / "out"), *more]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def ported(tmp_path_factory):
    folder = write_set(tmp_path_factory.mktemp("set"))
    assert main(command(folder)) == 0
    return folder / "out" / "questions"


@pytest.mark.parametrize("name", GOLDS)
def test_each_gold_has_a_status_and_its_flags(ported, name):
    [row] = [row for row in lines(ported / "certificates.jsonl") if row["id"] == name]
    _, status, flags = GOLDS[name]
    assert row["flags"] == flags
    assert row["status"] == (status or row["status"])
    assert bool(row["reason"]) is (row["status"] == "uncertified")
    assert (row["clock"], row["source"]) == ("2025-06-18T12:00:00" if name == "clock" else "", "sqlite")


def test_the_folder_is_a_data_set(ported):
    golds = {row["id"]: row for row in lines(ported / "golds.jsonl")}
    assert golds["plain"]["sql"] == "SELECT name FROM item WHERE name = 'Lamp'"
    assert (ported / golds["plain"]["database"]).is_file()
    assert "CURRENT_DATE" in golds["clock"]["sql"]
    assert golds["plain"]["question"] == "what is plain?"


def test_what_is_left_out_is_named(ported):
    reasons = {row["id"]: row["reason"] for row in lines(ported / "dropped.jsonl")}
    assert reasons["lost"] == "missing_database nowhere"
    assert reasons["bare"] == "no_gold"
    assert reasons["damaged"].startswith("unreadable_database bad: cannot be read as SQLite")


def test_the_report_counts_and_shows_no_query(ported):
    report = (ported.parent / "port.md").read_text()
    assert "| questions | sqlite | 7 | 5 | 4/5 = 80.0 % | 4 |" in report
    assert "1 missing_database, 1 no_gold, 1 unreadable_database" in report
    assert "SELECT" not in report


def test_a_second_call_does_nothing_again_and_a_torn_line_is_owed(tmp_path, monkeypatch):
    folder = write_set(tmp_path)
    assert main(command(folder)) == 0
    certificates = folder / "out" / "questions" / "certificates.jsonl"
    first = certificates.read_bytes()

    def forbidden(*_: object) -> None:
        raise AssertionError("a stored certificate was made again")

    with monkeypatch.context() as patch:
        patch.setattr(port_set_module, "prove", forbidden)
        assert main(command(folder)) == 0
    assert certificates.read_bytes() == first
    certificates.write_bytes(first[:-40])
    assert main(command(folder)) == 0
    assert certificates.read_bytes() == first
    assert main(command(folder, "--clock", "2024-01-01T00:00:00")) == 0
    assert "2024-01-01T00:00:00" in certificates.read_text()


def test_limits_and_databases_can_be_chosen(tmp_path, capsys):
    folder = write_set(tmp_path)
    assert main(command(folder, "--limit", "2", "--database", "shop")) == 0
    assert "questions: 2/2 = 100.0 % certified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["port"], "which set?"),
        (["port", "spider", "--data", "."], "no set is called 'spider'"),
        (["port", "spider_dev", "--data", "/no/such/folder"], "no such folder"),
        (["port", "spider_dev", "--data", str(FIXTURES)], "holds no spider_dev"),
        (["port", "spider_dev", "--clock", "noon"], "not a date and time"),
        (["port", "spider_dev", "--postgres", "/no/such/file"], "cannot be read"),
        (["port", "--questions", "q.json"], "needs --databases"),
    ],
)
def test_bad_input_ends_with_2_and_says_what(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"db_id": "shop", "query": "\xff"}]', "is not UTF-8"),
        (b"[{", "is not JSON"),
        (b'{"a": 1}', "is not a list of questions"),
        (b'[{"query": "SELECT 1"}]', "names no database"),
        (b'[{"db_id": "nowhere", "query": "SELECT 1"}]', "no question has a database here (wanted: nowhere)"),
    ],
)
def test_broken_question_files_are_named(tmp_path, body, message, capsys):
    folder = write_set(tmp_path)
    (folder / "questions.json").write_bytes(body)
    assert main(command(folder)) == 2
    assert message in capsys.readouterr().err


def test_two_databases_of_one_name_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.sqlite").touch()
    with pytest.raises(InputError, match="two databases are called 'shop'"):
        find_databases(tmp_path, "**/*.sqlite")


def test_a_set_of_csv_rows_and_postgres_scripts(tmp_path):
    (tmp_path / "defog" / "databases" / "store").mkdir(parents=True)
    (tmp_path / "defog" / "questions").mkdir()
    script = (FIXTURES / "shop.postgres.sql").read_text()
    (tmp_path / "defog" / "databases" / "store" / "store.sql").write_text(script)
    for part in ("gen", "basic"):
        name = "questions_gen_postgres" if part == "gen" else "instruct_basic_postgres"
        with (tmp_path / "defog" / "questions" / f"{name}.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, ("question", "query", "db_name"))
            rows.writeheader()
            sql = "SELECT {id, name}, left_on - hired FROM store.employee;"
            sql += "SELECT 'a;b' FROM employee WHERE hired < CURRENT_DATE"
            rows.writerow({"question": part, "query": sql, "db_name": "store"})
    found = read_set("defog_postgres", tmp_path)
    assert [gold.id for gold in found.golds] == [
        *("0.1", "0.2", "0.3", "0.4"),
        *(f"instruct_basic_postgres-0.{number}" for number in range(1, 5)),
    ]
    assert main(["port", "defog_postgres", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    rows = lines(tmp_path / "out" / "defog_postgres" / "certificates.jsonl")
    assert {row["status"] for row in rows} == {"certified_without_spark"}
    assert {row["source"] for row in rows} == {""}  # no server was named
    assert sum("clock_dependent" in row["flags"] for row in rows) == 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = write_set(tmp_path_factory.mktemp("proof"))
    database = read_sqlite(folder / "databases" / "shop" / "shop.sqlite")
    write_instance(folder / "shop.json", database.instance)
    with Sandbox(port_limits()) as sandbox:
        yield EmulatorEngine(folder / "shop.json", sandbox)


class Stated:
    """An engine that always gives one reply: what another engine is supposed to have said."""

    name = "spark"

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def run(self, sql: str) -> Reply:
        return self.reply

    def close(self) -> None: ...


NAMES = (("Chair",), ("Ladder",), ("Lamp",), ("chain",), ("ladle",))


@pytest.mark.parametrize(
    ("sql", "source", "spark", "outcome"),
    [
        ("SELECT name FROM item", NAMES, NAMES, ("certified", "")),
        ("SELECT name FROM item", NAMES, None, ("certified_without_spark", "")),
        ("SELECT name FROM item", None, NAMES[::-1], ("certified", "")),
        ("SELECT name FROM item ORDER BY name", NAMES, NAMES[::-1], ("uncertified", "spark and duckdb differ: order")),
        ("SELECT name FROM item", NAMES[:4], NAMES, ("uncertified", "source and duckdb differ: row_count")),
        ("SELECT name FROM item", (*NAMES[:4], ("x",)), NAMES, ("uncertified", "source and duckdb differ: values")),
        ("SELECT id FROM item ORDER BY id LIMIT 1", ((2,),), None, ("uncertified", "source and duckdb differ: values")),
        ("SELECT id FROM item ORDER BY stock DESC LIMIT 2", ((2,), (5,)), None, ("certified_without_spark", "")),
        ("SELECT nothing FROM item", NAMES, NAMES, ("uncertified", "duckdb: unknown_column")),
    ],
)  # fmt: skip
def test_a_certificate_needs_every_engine_to_agree(shop, sql, source, spark, outcome):
    status, reason = outcome
    evidence = Evidence(Reply(source, 1) if source is not None else None)
    proof = prove(sql, evidence, shop, Stated(Reply(spark, 1)) if spark is not None else None)
    assert proof.status == status
    assert proof.reason.startswith(reason) and bool(proof.reason) is (status == "uncertified")


def test_what_only_spark_refuses_is_not_certified(shop):
    proof = prove("SELECT name FROM item", Evidence(Reply(NAMES, 1)), shop, Stated(Reply(error="no")))
    assert (proof.status, proof.reason) == ("uncertified", "spark: no")


def test_text_is_a_time_only_where_a_typed_engine_has_times():
    text, typed = (
        Reply((("2020-01-01", "2020"), (None, "x")), 2),
        Reply(((("t", "2020-01-01T00:00:00"), 2020), (None, 1)), 2),
    )
    assert disagreement(typed, text) == "values"
    lifted = with_times(text, typed)
    assert lifted.rows[0] == (("t", "2020-01-01T00:00:00"), "2020")
    assert disagreement(typed, lifted) == "values"  # a year as text is no number


def test_rates_leave_out_what_fails_or_wavers_at_home(ported):
    rows = lines(ported / "certificates.jsonl")
    certificates = list(port_set_module._stored(ported / "certificates.jsonl").values())
    found = [certificate for _, certificate in certificates]
    assert len(found) == len(rows) == len(GOLDS)
    assert {item.id for item in found if not is_counted(item)} == {"unstable", "broken"}
    assert rate(found) == (4, 5)


def test_causes_carry_no_names():
    assert (
        cause_of("duckdb: Binder Error: column \"secret\" of 'x' at 12; more")
        == "duckdb: Binder Error: column X of X at N"
    )


def test_halves_do_not_depend_on_case_and_clocks_are_utc():
    assert half_of("World_1") == half_of("world_1")
    assert {half_of(f"db{number}") for number in range(20)} == {"rules", "held_out"}
    assert pinned_instant("2025-01-01T02:00:00+02:00") == dt.datetime(2025, 1, 1)


def test_statements_are_divided_outside_quotes():
    assert split_statements("SELECT ';' ; SELECT \"a;b\";; ") == ["SELECT ';'", 'SELECT "a;b"']


@pytest.mark.skipif(
    not os.environ.get("TAO_BENCH_SHARED_DATA"), reason="TAO_BENCH_SHARED_DATA names no folder of published sets"
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_published_sets_are_read(name):
    found = read_set(name, Path(os.environ["TAO_BENCH_SHARED_DATA"]))
    assert len({gold.id for gold in found.golds}) == len(found.golds)
    assert {gold.database for gold in found.golds} <= set(found.databases)
