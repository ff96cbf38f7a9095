"""A store in PostgreSQL from the outside: made, opened, refused, and who may do what with it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from frame.audit import database as store
from frame.audit import migrations, postgresql_schema, schema, views
from frame.audit.migrations import NEWEST, v0001_packed_record
from frame.audit.recorder import Recorder
from frame.audit.verify import verify_store
from frame.errors import AuditError, Refused, UsageError
from frame.events import RunStatus
from frame.operations import init_store

from tests.postgresql_server import GUARDED, PASSWORD, Server
from tests.stores import store_on
from tests.unit.test_audit_recorder import chunk, opening


def frame(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frame", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def empty(postgresql: Server) -> Iterator[str]:
    with postgresql.database("bare") as url:
        yield url


@pytest.fixture
def roles(postgresql: Server) -> Iterator[tuple[str, str]]:
    names = "the_writer", "the reader"
    with postgresql.superuser() as connection:
        for name in names:
            connection.execute(f'CREATE ROLE "{name}" LOGIN')
    yield names
    with postgresql.superuser() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')


def test_a_database_without_a_store_is_named_and_left_empty(empty: str, postgresql: Server) -> None:
    with pytest.raises(UsageError, match=r"has no audit store yet.*frame audit init"):
        store.open(empty)

    with postgresql.superuser("bare") as connection:
        found = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'frame'").fetchone()
    assert found == (0,)


def test_init_makes_a_store_once(empty: str) -> None:
    first = frame("audit", "init", empty)
    again = frame("audit", "init", empty, "--json")

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("made audit store postgresql:///bare")
    assert json.loads(again.stdout)["from_version"] == NEWEST
    with store.open(empty) as database:
        Recorder(database).begin(opening()).finish(RunStatus.EMPTY, {}, 5)


def test_init_brings_a_store_of_version_2_up_to_date_and_its_readers_go_on_reading(
    roles: tuple[str, str], empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = empty.replace("frame_owner", quote(roles[1]))
    with monkeypatch.context() as before:
        before.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:2])
        before.setattr(migrations, "NEWEST", 2)
        for name, query in views_of_version_2().items():
            before.setitem(views.VIEWS, name, query)
        init_store(empty, readers=roles[1:])

    with pytest.raises(Refused, match=r"has schema version 2, and this frame writes 3.*brings it up to date"):
        store.open(empty)
    done = init_store(empty)

    assert (done.from_version, done.version) == (2, NEWEST)
    with store.open(empty) as database:
        assert verify_store(database, None).all_findings == []
    with store.open(reader) as database, database.reading() as connection:
        assert connection.exec_driver_sql("SELECT place FROM batch_members").all() == []


def views_of_version_2() -> dict[str, str]:
    """Those that are other ones since; they were the same in version 1."""
    made = (statement.partition(" AS ") for statement in v0001_packed_record.statements())
    found = {start.removeprefix("CREATE VIEW "): query for start, _, query in made}
    return {name: found[name] for name in ("batch_members", "token_parents")}


def test_a_schema_of_somebody_else_is_left_alone(empty: str, postgresql: Server) -> None:
    with postgresql.superuser("bare") as connection:
        connection.execute("CREATE SCHEMA frame; CREATE TABLE frame.pictures (n int)")

    with pytest.raises(Refused, match="holds something that is no audit store; it was left as it is"):
        init_store(empty)


def test_a_store_of_a_newer_frame_is_refused(postgresql_store: str) -> None:
    with store.open(postgresql_store) as database, database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES (99, 'future', 0)")

    with pytest.raises(Refused, match=f"has schema version 99, and this frame knows {NEWEST}"):
        store.open(postgresql_store)


@pytest.mark.parametrize("value", ["off", "local"])
def test_a_session_that_could_lose_a_commit_is_refused(postgresql_store: str, value: str) -> None:
    url = f"{postgresql_store}&options={quote(f'-c synchronous_commit={value}')}"

    with pytest.raises(AuditError, match=f"synchronous_commit is {value}: a commit could be lost"):
        store.open(url)


def test_settings_of_a_session_are_set_whatever_the_server_says(
    postgresql_store: str, postgresql: Server
) -> None:
    name = postgresql_store.partition("@/")[2].partition("?")[0]
    with postgresql.superuser() as connection:
        connection.execute(f"ALTER DATABASE {name} SET statement_timeout = 0")
        connection.execute(f"ALTER DATABASE {name} SET search_path = public")

    with store.open(postgresql_store) as database, database.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), "
            "current_schema(), current_setting('transaction_read_only')"
        ).one()

    assert tuple(found) == ("5min", "2min", "frame", "on")


@pytest.mark.parametrize("table", ["segments", "segments_p17", "run_headers", "blocks", "store_log"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_facts_cannot_be_changed(postgresql_store: str, table: str, change: str) -> None:
    with store.open(postgresql_store) as database:
        recorder = Recorder(database).begin(opening())
        # The hash of run 17 leads to some partition; that of enough runs leads to each.
        recorder.commit(chunk(0, 0, 3))
        with database.writing() as connection:
            partition = connection.exec_driver_sql("SELECT tableoid::regclass::text FROM segments").scalar()
        name = partition if table == "segments_p17" else table
        column = "n" if table in {"blocks", "store_log"} else "run"

        with (
            pytest.raises(AuditError, match="the audit record is append-only"),
            database.writing() as connection,
        ):
            connection.exec_driver_sql(change.format(name, column, column))


def test_every_table_of_facts_is_guarded_in_each_of_its_partitions(postgresql_store: str) -> None:
    with store.open(postgresql_store) as database, database.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT c.relname, count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgenabled = 'O' GROUP BY c.relname"
        ).all()

    expected = {table.name: 3 for table in schema.FACTS}
    expected |= {
        f"{table}_p{number:02}": 3 for table in postgresql_schema.PARTITIONED for number in range(64)
    }
    assert dict(found) == expected


def test_a_writer_records_runs_and_can_do_nothing_else(postgresql: Server, roles: tuple[str, str]) -> None:
    with store_on(postgresql) as url:
        init_store(url, writers=roles[:1], readers=roles[1:])
        as_writer = url.replace("frame_owner", roles[0])
        with store.open(as_writer) as database:
            recorder = Recorder(database).begin(opening())
            recorder.commit(chunk(0, 0, 3))
            recorder.renew_lease(5)
            recorder.finish(RunStatus.FAILED, {}, 9)

            for statement in (
                "DELETE FROM payload_data",
                "DROP TABLE frame.segments",
                "ALTER TABLE segments DISABLE TRIGGER USER",
                "CREATE TABLE frame.mine (n int)",
                "INSERT INTO migrations VALUES (99, 'mine', 0)",
                "UPDATE segments SET run = 2",
                "TRUNCATE segments",
            ):
                with (
                    pytest.raises(AuditError, match=r"permission denied|must be owner"),
                    database.writing() as connection,
                ):
                    connection.exec_driver_sql(statement)


def test_a_reader_reads_and_writes_nothing(postgresql: Server, roles: tuple[str, str]) -> None:
    with store_on(postgresql) as url:
        init_store(url, readers=roles[1:])
        with store.open(url) as database:
            Recorder(database).begin(opening())
        as_reader = url.replace("frame_owner", quote(roles[1]))

        listed = frame("runs", "list", "--audit", as_reader, "--json")
        with store.open(as_reader) as database, pytest.raises(AuditError, match="permission denied"):
            Recorder(database).begin(opening("another"))

    assert [run["run"] for run in json.loads(listed.stdout)["runs"]] == [opening().run_id]


def test_a_role_that_is_missing_is_named_and_nothing_is_made(empty: str, postgresql: Server) -> None:
    with pytest.raises(Refused, match="there is no role 'nobody_here' on this server"):
        init_store(empty, writers=["nobody_here"])

    with pytest.raises(UsageError, match="has no audit store yet"):
        store.open(empty)


def test_a_password_comes_from_where_libpq_looks_and_is_never_shown(
    postgresql: Server, tmp_path: Path
) -> None:
    with store_on(postgresql) as url:
        init_store(url, readers=[GUARDED])
        guarded = url.replace("frame_owner", GUARDED)
        passes = tmp_path / "pgpass"
        passes.write_text(f"*:*:*:{GUARDED}:{PASSWORD}\n")
        passes.chmod(0o600)
        in_url = guarded.replace(GUARDED, f"{GUARDED}:{quote(PASSWORD)}")

        by_file = frame("runs", "list", "--audit", guarded, PGPASSFILE=str(passes))
        by_url = frame("runs", "list", "--json", FRAME_AUDIT=in_url)
        wrong = frame("runs", "list", "--debug", FRAME_AUDIT=in_url.replace("correct", "wrong"))
        absent = frame("runs", "list", "--audit", guarded, PGPASSFILE="/dev/null")

        with postgresql.superuser(url.partition("@/")[2].partition("?")[0]) as connection:
            connection.execute(f"DROP OWNED BY {GUARDED}")

    assert (by_file.returncode, by_url.returncode) == (0, 0)
    assert wrong.returncode == absent.returncode == 6
    assert "password authentication failed" in wrong.stderr
    said = "".join(run.stdout + run.stderr for run in (by_file, by_url, wrong, absent))
    assert "horse" not in said
    assert GUARDED not in by_url.stdout


def test_a_server_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    away = frame("runs", "list", "--audit", f"postgresql://me@/x?host={quote(str(tmp_path))}")

    assert away.returncode == 6
    assert "Traceback" not in away.stderr
    assert "No such file or directory" in away.stderr


def test_a_record_that_cannot_be_reached_is_not_said_to_be_changed(tmp_path: Path) -> None:
    away = frame("verify", "--audit", f"postgresql://me@/x?host={quote(str(tmp_path))}")

    assert away.returncode == 6
    assert "as it was written" not in away.stdout
    assert "Check host and port in audit.url" in away.stderr


def test_a_connection_that_is_refused_says_what_would_help(postgresql: Server) -> None:
    here = quote(str(postgresql.sockets), safe="")
    refused = {
        "postgresql://me@nowhere.invalid/x": "Check the host in audit.url.",
        "postgresql://me@127.0.0.1:1/x": "Check host and port in audit.url",
        f"postgresql://nobody_here@/postgres?host={here}": "Check the role in audit.url",
        f"postgresql://{GUARDED}:wrong@/postgres?host={here}": "its password in PGPASSFILE",
        f"postgresql://{GUARDED}@/postgres?host={here}": "its password in PGPASSFILE",
        f"postgresql://frame_owner@/absent?host={here}": "`createdb NAME`, then `frame audit init URL`",
    }

    said = {}
    for url in refused:
        with pytest.raises(AuditError) as told:
            store.open(url, to_read=True)
        said[url] = str(told.value)

    assert [url for url in refused if refused[url] not in said[url]] == [], said
    assert "wrong" not in "".join(said.values())


def test_without_the_driver_its_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError('psycopg', name='psycopg')")

    said = frame("runs", "list", "--audit", "postgresql://me@host/x", PYTHONPATH=str(tmp_path))

    assert said.returncode == 2
    assert "pip install 'frame-core[postgresql]'" in said.stderr


def test_driver_and_dialect_are_imported_for_postgresql_only(tmp_path: Path) -> None:
    program = (
        "import sys; from frame.operations import init_store; init_store(sys.argv[1]); "
        "print('psycopg' in sys.modules, 'sqlalchemy.dialects.postgresql' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{tmp_path}/audit.db"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "False False\n"


def test_two_who_make_one_store_at_once_make_it_once(empty: str) -> None:
    makers = [
        subprocess.Popen(
            [sys.executable, "-m", "frame", "audit", "init", empty, "--json"], stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]

    said = [json.loads(maker.communicate(timeout=120)[0])["from_version"] for maker in makers]

    assert sorted(said) == [0, NEWEST, NEWEST]


def test_a_number_that_no_column_holds_is_refused_in_every_database(store_url: str) -> None:
    with store.open(store_url) as database:
        Recorder(database).begin(opening())
        rows = {schema.artifacts: [(1, 0, 0, 2, "x.csv", 2**70, None, None)]}

        with pytest.raises(OverflowError), database.writing() as connection:
            database.insert(connection, rows)
        with database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM artifacts").scalar_one() == 0
