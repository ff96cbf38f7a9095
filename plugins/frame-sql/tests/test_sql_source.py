"""What the source reads, in which order, from where on, and what it refuses."""

import signal
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from uuid import UUID

import pytest
from frame.errors import ConfigError, SourceError
from frame.plugin import InvalidRow
from frame_sql.database import Unavailable
from frame_sql.postgresql_reading import PostgresqlReading
from frame_sql.source import SqlSource
from pydantic import ValidationError

from tests.postgresql_server import Server

NUMBERS = ("CREATE TABLE t (a int, b text, PRIMARY KEY (b, a))",)


def fill(db, count=10):
    db.run(*NUMBERS, *(f"INSERT INTO t VALUES ({n}, '{'xy'[n % 2]}')" for n in range(count)))


def expected(count=10):
    return sorted(({"a": n, "b": "xy"[n % 2]} for n in range(count)), key=lambda row: (row["b"], row["a"]))


@pytest.mark.parametrize("batch_rows", [1, 3, 10, 1000])
def test_a_table_is_read_in_the_order_of_its_primary_key(db, batch_rows):
    fill(db)

    assert db.read(table="t", batch_rows=batch_rows) == expected()


def test_a_select_is_read_in_the_order_of_the_key_that_is_named(db):
    fill(db)
    select = "SELECT a, b || '%' AS c FROM t WHERE a > 3 -- ten per cent"

    assert db.read(select=select, key=["a"]) == [{"a": n, "c": "xy"[n % 2] + "%"} for n in range(4, 10)]


@pytest.mark.parametrize("done", range(11))
@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_another_process_goes_on_behind_any_row(db, done, batch_rows):
    fill(db)
    first = db.source(table="t", batch_rows=batch_rows)
    before = list(islice(first.read(), done))
    position = first.position()
    first.close()

    second = db.source(table="t", batch_rows=batch_rows)
    second.seek(position)

    assert before + list(second.read()) == expected()
    assert second.evidence()["rows"] == 10


def test_without_a_key_there_is_no_position_so_that_rows_are_compared_when_a_run_goes_on(db):
    fill(db)
    source = db.source(select="SELECT a FROM t")

    assert sorted(row["a"] for row in source.read()) == list(range(10))
    assert source.position() is None
    assert source.evidence()["key"] == []


def test_others_may_write_to_a_file_of_sqlite_while_it_is_read_without_a_key(sqlite_db):
    fill(sqlite_db)
    rows = sqlite_db.source(select='SELECT a AS "rowid", b AS "oid" FROM t ORDER BY a', batch_rows=2).read()
    first = next(rows)

    sqlite_db.run("INSERT INTO t VALUES (99, 'y')", "UPDATE t SET b = 'z'")

    assert [first, *rows] == [{"rowid": n, "oid": "xy"[n % 2]} for n in range(10)]


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_a_key_that_two_rows_share_stops_the_run_and_every_resume(db, batch_rows):
    db.run("CREATE TABLE t (a int)", *(f"INSERT INTO t VALUES ({n})" for n in (1, 2, 2, 3)))
    source = db.source(table="t", key=["a"], batch_rows=batch_rows)

    with pytest.raises(SourceError, match=r"after row 2: two rows have the key a"):
        list(source.read())

    again = db.source(table="t", key=["a"], batch_rows=batch_rows)
    again.seek(source.position())
    with pytest.raises(SourceError, match=r"after row 2: two rows have the key a"):
        list(again.read())


def read_in_two(db, **options):
    """What two processes read, the first of which ends after one row."""
    source = db.source(table="t", key=["a"], batch_rows=1, **options)
    before = list(islice(source.read(), 1))
    again = db.source(table="t", key=["a"], batch_rows=1, **options)
    again.seek(source.position())
    return [row["a"] for row in [*before, *again.read()]]


def test_texts_that_differ_only_in_case_are_two_keys(sqlite_db):
    sqlite_db.run("CREATE TABLE t (a TEXT COLLATE NOCASE)", "INSERT INTO t VALUES ('a'), ('A'), ('b')")

    assert read_in_two(sqlite_db) == ["A", "a", "b"]


def test_texts_that_are_equal_to_a_collation_of_postgresql_are_two_keys(postgresql_db, monkeypatch):
    # Not every build has the collations that fold; how texts are ordered then is the same.
    monkeypatch.setattr(PostgresqlReading, "_folds", True)
    postgresql_db.run('CREATE TABLE t (a text COLLATE "POSIX")', "INSERT INTO t VALUES ('a'), ('A'), ('b')")

    assert read_in_two(postgresql_db) == ["A", "a", "b"]


def test_a_null_in_the_key_is_found_before_a_row_is_read(db):
    db.run("CREATE TABLE t (a int, b int)", "INSERT INTO t VALUES (1, 1), (1, NULL)")

    with pytest.raises(SourceError, match="the key a, b is null in a row"):
        db.read(table="t", key=["a", "b"])


def test_a_float_is_no_key(db):
    db.run("CREATE TABLE t (a real)", "INSERT INTO t VALUES (1.1)")

    with pytest.raises(SourceError, match="the key 'a' is a float"):
        db.read(table="t", key=["a"])


def test_postgresql_s_types_come_exactly(postgresql_db):
    postgresql_db.run(
        """CREATE TABLE t (id bigint PRIMARY KEY, n numeric, r real, f double precision, yes boolean, s varchar(9),
        d date, ti time, tz timestamptz, iv interval, u uuid, b bytea, j json, jb jsonb, a int[], m text[][],
        e int4range, ip inet, tt timetz)""",
        r"""INSERT INTO t VALUES (9223372036854775807, 1.50, 1.1, -0.0, true, 'ä%s', '2024-02-29', '10:00:00.5',
        '2024-01-01 10:00+02', '-1 day +02:00:00.5', '00000000-0000-0000-0000-00000000000a', '\x00ff',
        '{"a": 1.0, "b": [null, 9007199254740993]}', '[1.50, true]', '{1,NULL}', '{{a,b},{c,d}}', '[1,3)',
        '10.0.0.1', '10:00+02')""",
    )

    (row,) = postgresql_db.read(table="t")

    assert row == {
        "id": 2**63 - 1,
        "n": Decimal("1.50"),
        "r": 1.1,
        "f": -0.0,
        "yes": True,
        "s": "ä%s",
        "d": date(2024, 2, 29),
        "ti": time(10, 0, 0, 500_000),
        "tz": datetime(2024, 1, 1, 8, tzinfo=UTC),
        "iv": timedelta(days=-1, hours=2, seconds=0.5),
        "u": UUID(int=10),
        "b": b"\x00\xff",
        "j": {"a": 1.0, "b": [None, 2**53 + 1]},
        "jb": [1.5, True],
        "a": [1, None],
        "m": [["a", "b"], ["c", "d"]],
        "e": "[1,3)",
        "ip": "10.0.0.1",
        "tt": "10:00:00+02",
    }
    assert type(row["j"]["a"]) is float
    assert str(row["n"]) == "1.50"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamptz", "infinity"),
        ("date", "0044-03-15 BC"),
        ("time", "24:00:00"),
        ("interval", "1 mon"),
        ("json", '{"a": 1, "a": 2}'),
        ("json", "1e999"),
        ("date[]", "{infinity}"),
    ],
)
def test_a_value_that_no_row_can_hold_makes_one_invalid_row(postgresql_db, kind, value):
    postgresql_db.run(
        f"CREATE TABLE t (id int PRIMARY KEY, v {kind})",
        f"INSERT INTO t VALUES (1, NULL), (2, '{value}'), (3, NULL)",
    )

    first, invalid, last = postgresql_db.read(table="t", batch_rows=2)

    assert (first, last) == ({"id": 1, "v": None}, {"id": 3, "v": None})
    assert isinstance(invalid, InvalidRow)
    assert invalid.reason.startswith("column 'v' has") or "interval of months" in invalid.reason
    assert invalid.place == "t:row 2"


def test_sqlite_s_values_have_the_types_that_their_columns_are_declared_with(sqlite_db):
    sqlite_db.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n DECIMAL_TEXT, yes BOOLEAN, w DATETIME, d DATE, j JSON, x)",
        """INSERT INTO t VALUES (1, '1.50', 1, '2024-01-01 10:00:00+02:00', '2024-02-29', '{"a": [1]}', x'00')""",
        "INSERT INTO t VALUES (2, 'much', 0, NULL, NULL, NULL, NULL)",
        "INSERT INTO t VALUES (3, NULL, 7, NULL, NULL, NULL, NULL)",
        "INSERT INTO t VALUES (4, NULL, NULL, 'today', NULL, NULL, NULL)",
        "INSERT INTO t (id, x) VALUES (5, CAST(x'ff' AS TEXT))",
    )

    row, *invalid = sqlite_db.read(table="t")

    assert row == {
        "id": 1,
        "n": Decimal("1.50"),
        "yes": True,
        "w": datetime(2024, 1, 1, 8, tzinfo=UTC),
        "d": date(2024, 2, 29),
        "j": {"a": [1]},
        "x": b"\x00",
    }
    assert [item.reason.split("'")[1] for item in invalid] == ["n", "yes", "w", "x"]


def test_times_without_a_zone_are_refused_or_meant_in_the_zone_that_is_named(db):
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, w timestamp)", "INSERT INTO t VALUES (1, '2024-07-01 10:00:00')"
    )

    if db.sqlite:
        (invalid,) = db.read(table="t")
        assert invalid.reason == "column 'w' is a time without a zone: set `naive_zone`"
    else:
        with pytest.raises(SourceError, match=r"column 'w' has times without a zone.*naive_zone"):
            db.read(table="t")
    (row,) = db.read(table="t", naive_zone="Europe/Berlin")
    assert row["w"] == datetime(2024, 7, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "why"), [("2024-03-31 02:30:00", "never was"), ("2024-10-27 02:30:00", "twice")]
)
def test_a_time_that_clocks_never_showed_or_showed_twice_makes_an_invalid_row(db, moment, why):
    db.run("CREATE TABLE t (id int PRIMARY KEY, w timestamp)", f"INSERT INTO t VALUES (1, '{moment}')")

    (invalid,) = db.read(table="t", naive_zone="Europe/Berlin")

    assert why in invalid.reason


def test_a_table_without_rows_gives_none(db):
    db.run(*NUMBERS)

    assert db.read(table="t") == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM t",
        "DELETE FROM t RETURNING a",
        "WITH d AS (DELETE FROM t RETURNING a) SELECT * FROM d",
        "junk",
    ],
)
def test_what_is_no_select_is_refused_and_changes_nothing(db, statement):
    fill(db)

    with pytest.raises(ConfigError, match=r"sql\.options\.select"):
        SqlSource(SqlSource.Config(url=db.url, select=statement)).check()
    with pytest.raises(SourceError):
        db.read(select=statement)

    assert db.ask("SELECT count(*) FROM t") == [(10,)]


def test_a_select_that_writes_through_a_function_is_refused_by_the_server(postgresql_db):
    fill(postgresql_db)
    postgresql_db.run("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'")

    with pytest.raises(SourceError, match="read-only transaction"):
        postgresql_db.read(select="SELECT wipe() AS a")

    assert postgresql_db.ask("SELECT count(*) FROM t") == [(10,)]


@pytest.mark.parametrize("select", ["SELECT 1; COMMIT; DROP TABLE t", "SELECT ';'", " ; ", "SELECT '\0'"])
def test_more_than_one_statement_is_no_option(select):
    with pytest.raises(ValidationError):
        SqlSource.Config(url="sqlite:///x.db", select=select)


def test_hostile_names_are_names(db):
    name, column = 'x"); DROP TABLE t;--', "a%s :b 'ü"
    db.run("CREATE TABLE t (a int)")
    quoted, inside = (part.replace('"', '""') for part in (name, column))
    db.run(f'CREATE TABLE "{quoted}" ("{inside}" int PRIMARY KEY)', f'INSERT INTO "{quoted}" VALUES (7), (8)')

    assert db.read(table=name, batch_rows=1) == [{column: 7}, {column: 8}]
    assert db.read(table="t") == []


def test_two_columns_of_one_name_are_refused(db):
    fill(db)

    with pytest.raises(SourceError, match="more than one column is named 'a'"):
        db.read(select="SELECT a, b AS a FROM t")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "nothing"}, r"sql\.options\.table.*no table 'nothing'"),
        ({"table": "t", "key": ["z"]}, r"no column 'z' for `key`; there are a, b"),
    ],
)
def test_check_looks_at_what_is_there(db, options, said):
    fill(db)

    with pytest.raises(ConfigError, match=said):
        SqlSource(SqlSource.Config(url=db.url, **options)).check()


def test_check_makes_no_file_and_says_where_it_looked(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.db: there is no such file"):
        SqlSource(SqlSource.Config(url=f"sqlite:///{tmp_path}/missing.db", table="t")).check()

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_named_without_who_connects(tmp_path):
    url = f"postgresql://me:hunter22@/data?host={tmp_path}"

    with pytest.raises(ConfigError, match=r"sql\.options\.url") as raised:
        SqlSource(SqlSource.Config(url=url, table="t", connect_timeout_s=2)).check()

    assert "hunter22" not in str(raised.value)
    assert "me@" not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "sqlite://", "table": "t"},
        {"url": "sqlite:///:memory:", "table": "t"},
        {"url": "mysql://host/data", "table": "t"},
        {"url": "hunter22", "table": "t"},
        {"url": "postgresql://host", "table": "t"},
        {"url": "sqlite:///x.db"},
        {"url": "sqlite:///x.db", "table": "t", "select": "SELECT 1"},
        {"url": "sqlite:///x.db", "table": "t", "namespace": "s"},
        {"url": "sqlite:///x.db", "table": "t", "naive_zone": "Nowhere/Land"},
        {"url": "sqlite:///x.db", "table": "t" * 64},
        {"url": "sqlite:///x.db", "table": "t\0"},
        {"url": "sqlite:///x.db", "table": "t", "key": ["a", "a"]},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        SqlSource.Config(**options)


def test_the_evidence_says_what_was_read_and_not_who_read_it(postgresql_db):
    fill(postgresql_db)
    source = postgresql_db.source(table="t")
    list(source.read())

    evidence = source.evidence()

    assert evidence["uri"].startswith("postgresql:///data?host=")
    assert evidence["uri"].endswith("#t")
    assert "frame_owner" not in str(evidence)
    assert evidence["rows"] == 10
    assert evidence["key"] == ["b", "a"]
    assert len(evidence["snapshots"]) == 1
    assert evidence["server"].startswith("PostgreSQL ")


def test_what_is_written_meanwhile_is_not_in_the_snapshot_of_postgresql(postgresql_db):
    fill(postgresql_db)
    rows = postgresql_db.source(table="t", batch_rows=1).read()
    first = next(rows)

    postgresql_db.run("INSERT INTO t VALUES (99, 'y')", "DELETE FROM t WHERE a = 9")

    assert [first, *rows] == expected()


def test_others_may_write_to_a_file_of_sqlite_while_it_is_read_by_key(sqlite_db):
    fill(sqlite_db)
    rows = sqlite_db.source(table="t", batch_rows=2).read()
    first = next(rows)

    sqlite_db.run("INSERT INTO t VALUES (99, 'y')")

    assert [first, *rows] == [*expected(), {"a": 99, "b": "y"}]


def test_a_server_that_goes_away_ends_the_reading_and_another_process_goes_on():
    server = Server()
    try:
        server.create()
        with server.database("data") as url:
            with server.superuser("data") as connection:
                connection.execute("CREATE TABLE t (a int PRIMARY KEY)")
                connection.execute("INSERT INTO t SELECT * FROM generate_series(1, 5000)")
                connection.execute("GRANT ALL ON t TO PUBLIC")
            config = SqlSource.Config(url=url, table="t", batch_rows=10)
            first, second = SqlSource(config), SqlSource(config)
            rows = first.read()
            before = list(islice(rows, 25))
            server.stop(signal.SIGQUIT)
            with pytest.raises(Unavailable):
                before += rows
            server.start()

            second.seek(first.position())
            after = list(second.read())
            first.close()
            second.close()
    finally:
        server.close()

    assert [row["a"] for row in [*before, *after]] == list(range(1, 5001))


def test_closing_twice_or_before_the_start_is_nothing(db):
    source = SqlSource(SqlSource.Config(url=db.url, table="t"))

    source.close()
    source.close()
