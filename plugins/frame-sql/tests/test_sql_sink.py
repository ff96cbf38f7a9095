"""What the sink writes, once and exactly, what it refuses, and what it says of it."""

import signal
from decimal import Decimal

import pytest
from frame.errors import ConfigError, Refused, SinkError
from frame.plugin import Artifact, Delivery, Rejected
from frame.rows import freeze
from frame_sql.database import Unavailable
from frame_sql.sink import SqlSink
from pydantic import ValidationError

from tests.postgresql_server import Server

PEOPLE = {"table": "people", "create": True, "fields": {"id": "int", "name": "str?"}, "key": ["id"]}


def rows(*ids):
    return [freeze({"id": n, "name": f"n{n}"}) for n in ids]


def ids(db, table="people"):
    return [n for (n,) in db.ask(f"SELECT id FROM {table} ORDER BY id")]


def test_a_table_is_made_and_rows_are_written_with_their_keys(db):
    sink = db.sink(**PEOPLE)

    assert sink.write(rows(1, 2), "first") == []
    assert sink.write(rows(3), "second") == []

    assert db.ask("SELECT id, name FROM people ORDER BY id") == [(1, "n1"), (2, "n2"), (3, "n3")]
    assert db.ask("SELECT write_key, target, written FROM frame_commits ORDER BY write_key") == [
        ("first", "people", 2),
        ("second", "people", 1),
    ]
    assert sink.position() == {"key": "second", "writes": 2, "rows": 3}
    assert sink.delivery is Delivery.TRANSACTIONAL


def test_a_write_that_comes_again_is_not_made_again_and_refuses_the_same(db):
    bad = [freeze({"id": 1, "name": "a"}), freeze({"id": 1, "name": "b"}), freeze({"id": 2, "name": "c"})]
    sink = db.sink(**PEOPLE)
    begun = sink.position()
    first = sink.write(bad, "one")
    position = sink.position()

    repeated = sink.write(bad, "one")
    other = db.sink(begun, **PEOPLE)
    repeated_elsewhere = other.write(bad, "one")

    assert [rejection.index for rejection in first] == [1]
    assert first == repeated == repeated_elsewhere
    assert other.position() == position == {"key": "one", "writes": 1, "rows": 2}
    assert ids(db) == [1, 2]


def test_the_artifact_says_where_the_rows_are_and_not_who_wrote_them(db):
    sink = db.sink(**PEOPLE)
    sink.write(rows(1, 2), "one")

    artifact = sink.finish(None)

    assert artifact == Artifact(f"{sink.config.place()}#people", rows=2)
    assert "frame_owner" not in artifact.uri


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("at", [0, 0.5, 1])
def test_one_row_that_is_refused_leaves_the_others(db, count, at):
    db.run("CREATE TABLE people (id int PRIMARY KEY, name text)")
    wrong = int(at * (count - 1))
    db.run(f"INSERT INTO people VALUES ({wrong}, 'was here')")

    (rejection,) = db.write(rows(*range(count)), table="people")

    assert rejection.index == wrong
    assert "unique" in rejection.reason.lower()
    assert ids(db) == list(range(count))
    assert ("was here",) in db.ask(f"SELECT name FROM people WHERE id = {wrong}")


def test_many_rows_that_are_refused_are_told_each(db):
    db.run("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL CHECK (name <> 'x'))")
    given = [freeze({"id": n, "name": [None, "x", "ok"][n % 3]}) for n in range(30)]

    rejected = db.write(given, table="people")

    assert [rejection.index for rejection in rejected] == [n for n in range(30) if n % 3 != 2]
    assert "not null" in rejected[0].reason.lower().replace("not-null", "not null")
    assert "check" in rejected[1].reason.lower()
    assert ids(db) == list(range(2, 30, 3))


def test_a_reason_has_no_value_of_the_row_in_it(postgresql_db):
    postgresql_db.run(
        "CREATE TYPE mood AS ENUM ('calm')",
        "CREATE TABLE people (id int PRIMARY KEY, feels mood, ip inet)",
        """CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no room for %', NEW.id; END $$""",
    )
    canaries = [{"id": 1, "feels": "canary-7731"}, {"id": 2, "ip": "canary-7731"}]

    rejected = postgresql_db.write(canaries, table="people")
    postgresql_db.run("CREATE TRIGGER t BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION tell()")
    rejected += postgresql_db.write([{"id": 7731}], "again", table="people")

    assert [rejection.reason for rejection in rejected] == [
        "invalid input value for enum mood",
        "invalid input syntax for type inet",
        "a trigger refuses it (SQLSTATE P0001)",
    ]


def test_a_constraint_that_is_checked_at_the_commit_refuses_its_row(postgresql_db):
    postgresql_db.run(
        "CREATE TABLE teams (id int PRIMARY KEY)",
        "INSERT INTO teams VALUES (1)",
        "CREATE TABLE people (id int PRIMARY KEY, "
        "team int REFERENCES teams (id) DEFERRABLE INITIALLY DEFERRED)",
    )

    rejected = postgresql_db.write([{"id": 1, "team": 1}, {"id": 2, "team": 9}], table="people")

    assert [(each.index, "foreign key" in each.reason) for each in rejected] == [(1, True)]
    assert ids(postgresql_db) == [1]


def test_an_upsert_changes_the_columns_that_the_row_has(db):
    db.run("CREATE TABLE people (id int PRIMARY KEY, name text, note text DEFAULT 'new')")
    db.run("INSERT INTO people VALUES (1, 'old', 'kept')")
    given = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}, {"id": 2}]

    assert db.write(given, table="people", mode="upsert", key=["id"]) == []

    assert db.ask("SELECT * FROM people ORDER BY id") == [(1, "c", "kept"), (2, "b", "new")]


def test_an_upsert_needs_a_key_that_the_table_has(db):
    db.run("CREATE TABLE people (id int, name text)")

    with pytest.raises(ConfigError, match="no key or unique index of table 'people' is id"):
        SqlSink(SqlSink.Config(url=db.url, table="people", mode="upsert", key=["id"])).check()


def test_replace_takes_the_old_rows_out_with_the_first_write(db):
    db.run("CREATE TABLE people (id int, name text)", "INSERT INTO people VALUES (77, 'old')")
    sink = db.sink(table="people", mode="replace")
    begun = sink.position()
    assert ids(db) == [77]

    sink.write(rows(1), "one")
    again = db.sink(begun, table="people", mode="replace")
    again.write(rows(1), "one")
    again.write(rows(2), "two")
    again.finish(None)

    assert ids(db) == [1, 2]


def test_replace_by_nothing_leaves_nothing(db):
    db.run("CREATE TABLE people (id int, name text)", "INSERT INTO people VALUES (77, 'old')")

    db.sink(table="people", mode="replace").finish(None)

    assert ids(db) == []


def test_a_database_that_does_not_know_the_last_write_is_another_one(db):
    sink = db.sink(**PEOPLE)
    sink.write(rows(1), "one")
    db.run("DELETE FROM frame_commits")

    with pytest.raises(Refused, match="another database, or an earlier state of it"):
        db.sink(sink.position(), **PEOPLE)


def test_a_table_that_is_gone_stops_the_run_until_it_is_back(db):
    sink = db.sink(**PEOPLE)
    sink.write(rows(1), "one")
    position = sink.position()
    db.run("ALTER TABLE people RENAME TO away")

    with pytest.raises(SinkError, match="people"):
        sink.write(rows(2), "two")
    with pytest.raises(SinkError, match=r"no table 'people' any more, to which this run wrote 1 rows"):
        db.sink(position, **PEOPLE)
    db.run("ALTER TABLE away RENAME TO people")
    db.sink(position, **PEOPLE).write(rows(2), "two")

    assert ids(db) == [1, 2]


def test_a_column_that_is_gone_stops_the_run(db):
    sink = db.sink(**PEOPLE)
    db.run("ALTER TABLE people DROP COLUMN name")

    with pytest.raises(SinkError, match="name"):
        sink.write(rows(1), "one")
    assert ids(db) == []
    assert db.ask("SELECT * FROM frame_commits") == []


@pytest.mark.parametrize(
    "row", [{"id": 1, "extra": 2}, {"id": "1"}, {"id": True}, {"id": 1.0}, {"id": 2**63}, {"id": Decimal(1)}]
)
def test_nothing_is_cast_to_fit(db, row):
    (rejection,) = db.write([row], **PEOPLE)

    assert rejection.index == 0
    assert ids(db) == []


@pytest.mark.parametrize("text", ["a\0b", "\ud800", {"deep": ["a\0b"]}, {"a\0b": 1}])
def test_what_one_database_cannot_keep_neither_takes(db, text):
    field = {"table": "t", "create": True, "fields": {"v": "str" if isinstance(text, str) else "object"}}

    (rejection,) = db.write([{"v": text}], **field)

    assert "NUL" in rejection.reason or "surrogate" in rejection.reason
    assert db.ask("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ("numeric(6,2)", Decimal("1.005"), "2 digits behind the point"),
        ("varchar(2)", "abc", "3 characters, and the column takes 2"),
        ("varchar(2)", "ab  ", "4 characters"),
        ("char(3)", "a", "filled up with blanks"),
        ("real", 0.1 + 0.2, "float of 32 bits"),
        ("smallint", 2**15, "16 bits"),
        ("numeric(3,0)", Decimal(1000), "numeric field overflow"),
        ("timestamp", "moment", "column is for datetime"),
        ("jsonb", -0.0, "infinity, NaN or -0.0"),
        ("json", Decimal(1), "has a Decimal inside"),
        ("int[]", [1, "x"], "column is for int"),
        ("double precision", 2**53 + 1, "no float is equal to"),
    ],
)
def test_postgresql_would_change_it_so_it_is_refused(postgresql_db, declared, value, said):
    postgresql_db.run(f"CREATE TABLE t (v {declared})")

    (rejection,) = postgresql_db.write([{"v": value}], table="t", naive_zone="UTC")

    assert said in rejection.reason
    assert postgresql_db.ask("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("declared", "value"),
    [("REAL", -0.0), ("DECIMAL(6,2)", Decimal("1.50")), ("NUMERIC", "12"), ("JSON", 12), ("NUMERIC", 1.0)],
)
def test_sqlite_would_change_it_so_it_is_refused(sqlite_db, declared, value):
    sqlite_db.run(f"CREATE TABLE t (v {declared})")

    assert len(sqlite_db.write([{"v": value}], table="t")) == 1
    assert sqlite_db.ask("SELECT * FROM t") == []


def test_hostile_names_and_values_are_names_and_values(db):
    table, column = 'x"); DROP TABLE people;--%s', "y') :b ? %s \"z"
    db.run("CREATE TABLE people (id int)")
    options = {"table": table, "create": True, "fields": {column: "str"}, "key": [column], "mode": "upsert"}

    assert db.write([{column: "'; DROP TABLE people; --"}, {column: "=cmd|' /C calc'!A0"}], **options) == []

    assert [row[column] for row in db.read(table=table)] == ["'; DROP TABLE people; --", "=cmd|' /C calc'!A0"]
    assert db.ask("SELECT * FROM people") == []


@pytest.mark.parametrize(
    "options",
    [
        {"fields": {"a": "int", "A": "int"}},
        {"fields": {"é": "int", "e\u0301": "int"}},
        {"fields": {"x" * 64: "int"}},
        {"fields": {"ä" * 32: "int"}},
        {"fields": {"a\0": "int"}},
        {"fields": {"": "int"}},
        {"fields": {"a": "number"}},
        {"table": "frame_commits"},
        {"table": "t" * 64},
        {"mode": "upsert"},
        {"create": True},
        {"fields": {"a": "int"}, "key": ["b"]},
        {"naive_zone": "Nowhere/Land"},
        {"namespace": "s"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ValidationError):
        SqlSink.Config(**{"url": "sqlite:///x.db", "table": "t", **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "nothing"}, r"sql\.options\.table.*no table 'nothing'.*create: true"),
        ({"table": "people", "fields": {"age": "int"}}, r"table 'people' has no column 'age'"),
    ],
)
def test_check_looks_and_changes_nothing(db, options, said):
    db.run("CREATE TABLE people (id int)")

    with pytest.raises(ConfigError, match=said):
        SqlSink(SqlSink.Config(url=db.url, **options)).check()
    SqlSink(SqlSink.Config(url=db.url, **{**PEOPLE, "table": "new"})).check()

    with pytest.raises(Exception, match=r"new|frame_commits"):
        db.ask("SELECT * FROM new, frame_commits")


def test_check_makes_no_file_and_open_does(tmp_path):
    options = {"url": f"sqlite:///{tmp_path}/new.db", **PEOPLE}
    sink = SqlSink(SqlSink.Config(**options))
    sink.check()
    assert list(tmp_path.iterdir()) == []

    sink.open(None)
    sink.close()

    assert (tmp_path / "new.db").is_file()


def test_rows_of_other_fields_are_written_each_by_what_it_has(db):
    db.run("CREATE TABLE people (id int, name text DEFAULT 'nobody')")
    given = [{"id": 1, "name": "a"}, {"id": 2}, {"name": "c", "id": 3}, {}]

    assert db.write(given, table="people") == []

    assert db.ask("SELECT id, name FROM people ORDER BY id NULLS LAST") == [
        (1, "a"),
        (2, "nobody"),
        (3, "c"),
        (None, "nobody"),
    ]


def test_no_rows_are_no_write(db):
    assert db.write([], **PEOPLE) == []
    assert db.ask("SELECT * FROM frame_commits") == []


def test_a_server_that_goes_away_is_told_from_one_that_refuses_and_the_write_can_come_again():
    server = Server()
    try:
        server.create()
        with server.database("data") as url:
            sink = SqlSink(SqlSink.Config(url=url, **PEOPLE, connect_timeout_s=2))
            sink.open(None)
            sink.write(rows(1), "one")
            server.stop(signal.SIGQUIT)
            with pytest.raises(Unavailable):
                sink.write(rows(2), "two")
            with pytest.raises(Unavailable):
                sink.write(rows(2), "two")
            server.start()

            assert sink.write(rows(2), "two") == []
            assert sink.write(rows(1), "one") == []
            assert sink.position()["rows"] == 3  # what it was given, the first write twice
            sink.close()
            with server.superuser("data") as connection:
                assert connection.execute("SELECT id FROM people ORDER BY id").fetchall() == [(1,), (2,)]
    finally:
        server.close()


def test_two_processes_with_one_write_make_it_once(db):
    one, other = db.sink(**PEOPLE), db.sink(**PEOPLE)

    assert one.write(rows(1, 2), "same") == other.write(rows(1, 2), "same") == []

    assert ids(db) == [1, 2]


def test_rejected_rows_are_told_in_their_order(db):
    given = [{"id": "x"}, {"id": 1}, {"id": 1}, {"nope": 1}]

    assert [rejection.index for rejection in db.write(given, **PEOPLE)] == [0, 2, 3]
    assert isinstance(db.write([{"id": "x"}], "other", **PEOPLE)[0], Rejected)
