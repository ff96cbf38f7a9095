"""Whole runs from a table into a table: killed at every step and resumed, stopped, refused, and without secrets."""

import json
import signal
import subprocess
import sys
import time

import pytest
import yaml

COUNT = 60
KILLS = [
    "before_commit:2",
    "after_commit:1",
    "before_sink_write:1",
    "after_sink_write:1",
    "after_sink_write:3",
    "after_writes:2",
    "after_publish:1",
]


def prepare(db, folder, source=None, sink=None, url=None, **more):
    """A pipeline that copies a table of 60 rows, of which one is invalid and one is refused."""
    db.run(
        "CREATE TABLE given (id int PRIMARY KEY, name text, price numeric)".replace(
            "numeric", "DECIMAL_TEXT" if db.sqlite else "numeric"
        ),
        "CREATE TABLE taken (id int PRIMARY KEY, name text NOT NULL)",
        *(f"INSERT INTO given (id, name) VALUES ({n}, 'n{n}')" for n in range(COUNT)),
        "UPDATE given SET name = NULL WHERE id = 33",
        "UPDATE given SET price = 'NaN' WHERE id = 7",
    )
    url = url or db.url
    pipeline = {
        "frame": 1,
        "name": "copy",
        "source": {
            "plugin": "sql",
            "options": {"url": url, "table": "given", "batch_rows": 7, **(source or {})},
            "on_invalid": "rejected",
        },
        "nodes": [{"name": "only", "plugin": "select", "options": {"fields": ["id", "name"]}, "to": "out"}],
        "sinks": {
            "out": {
                "plugin": "sql",
                "options": {"url": url, "table": "taken", **(sink or {})},
                "on_error": "rejected",
            },
            "rejected": {"plugin": "jsonl", "options": {"path": "rejected.jsonl"}},
        },
        "settings": {"chunk_rows": 10},
        **more,
    }
    folder.joinpath("pipeline.yaml").write_text(yaml.safe_dump(pipeline))


def taken(db):
    return [n for (n,) in db.ask("SELECT id FROM taken ORDER BY id")]


def expected():
    return [n for n in range(COUNT) if n not in {7, 33}]


@pytest.fixture
def folder(tmp_path):
    where = tmp_path / "pipeline"
    where.mkdir()
    return where


@pytest.mark.parametrize("kill", KILLS)
def test_a_run_that_is_killed_and_resumed_writes_every_row_once(db, folder, drive, kill):
    prepare(db, folder)

    killed = drive.frame(folder, "run", "--quiet", "pipeline.yaml", FRAME_FAILPOINT=f"{kill}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = drive.frame(folder, "resume", "latest", FRAME_FAILPOINT="after_sink_write:1=kill")
    if again.returncode == -signal.SIGKILL:
        again = drive.frame(folder, "resume", "latest")

    assert again.returncode == 0, again.stderr
    assert taken(db) == expected()
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    assert len(rejected) == 2
    assert drive.frame(folder, "verify", "latest").returncode == 0


@pytest.mark.parametrize("mode", ["insert", "upsert", "replace"])
def test_a_run_that_is_killed_at_any_moment_writes_every_row_once(db, folder, drive, mode):
    sink = {"mode": mode, **({"key": ["id"]} if mode == "upsert" else {})}
    prepare(db, folder, sink=sink, settings={"chunk_rows": 2})
    if mode == "replace":
        db.run("INSERT INTO taken VALUES (1000, 'old')")
    arguments = ["run", "--quiet", "pipeline.yaml"]

    for share in (0.2, 0.6):
        running = subprocess.Popen(
            [sys.executable, "-m", "frame", *arguments], cwd=folder, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 40
        while len(taken(db)) < share * COUNT and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        running.kill()
        running.wait()
        arguments = ["resume", "latest", "--quiet"]
    ended = drive.frame(folder, *arguments)

    assert ended.returncode in {0, 2}, ended.stderr  # 2: the last one came to its end before it was killed
    assert taken(db) == expected()


def test_without_a_key_a_resumed_run_compares_what_it_reads_again(db, folder, drive):
    prepare(db, folder, source={"table": None, "select": "SELECT * FROM given"})
    killed = drive.frame(folder, "run", "--quiet", "pipeline.yaml", FRAME_FAILPOINT="after_sink_write:3=kill")
    assert killed.returncode == -signal.SIGKILL

    db.run("UPDATE given SET name = 'other' WHERE id = 3")
    refused = drive.frame(folder, "resume", "latest")
    db.run("UPDATE given SET name = 'n3' WHERE id = 3")

    assert refused.returncode == 8, refused.stderr
    assert "is not what it was" in refused.stderr
    if db.sqlite:  # PostgreSQL gives rows that were changed after the others
        assert drive.frame(folder, "resume", "latest").returncode == 0
        assert taken(db) == expected()


def test_a_table_that_is_dropped_stops_the_run_and_once_it_is_back_the_run_goes_on(db, folder, drive):
    prepare(db, folder)
    drive.frame(folder, "run", "--quiet", "pipeline.yaml", FRAME_FAILPOINT="after_sink_write:3=kill")
    db.run("ALTER TABLE taken RENAME TO away")

    stopped = drive.frame(folder, "resume", "latest")
    db.run("ALTER TABLE away RENAME TO taken")
    ended = drive.frame(folder, "resume", "latest")

    assert stopped.returncode == 6, stopped.stderr
    assert "no table 'taken' any more" in stopped.stderr
    assert ended.returncode == 0, ended.stderr
    assert taken(db) == expected()


def test_what_is_not_there_is_found_before_anything_is_made(db, folder, drive):
    prepare(db, folder, source={"table": "nowhere"}, sink={"table": "nowhere"})

    done = drive.frame(folder, "run", "pipeline.yaml")

    assert done.returncode == 3
    assert done.stderr.count("no table 'nowhere'") == 2
    assert not (folder / ".frame" / "audit.db").exists()


def test_the_password_is_nowhere_in_what_is_left_behind(postgresql_db, folder, drive, server):
    canary = "hunter22&canary"
    with server.superuser() as connection:
        connection.execute(f"ALTER ROLE guarded WITH PASSWORD '{canary}'")
    url = postgresql_db.url.replace("frame_owner@", "guarded@")
    prepare(
        postgresql_db,
        folder,
        source={"password": "${secret:SHOP_PASSWORD}"},
        sink={"password": "${secret:SHOP_PASSWORD}"},
        url=url,
    )
    postgresql_db.run("GRANT ALL ON given, taken TO guarded", "GRANT CREATE ON SCHEMA public TO guarded")

    done = drive.frame(folder, "run", "pipeline.yaml", SHOP_PASSWORD=canary)
    wrong = drive.frame(folder, "run", "pipeline.yaml", SHOP_PASSWORD="wrong-canary-9")

    assert (done.returncode, wrong.returncode) == (0, 3), done.stderr + wrong.stderr
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    said = (done.stdout + done.stderr + wrong.stdout + wrong.stderr).encode()
    for secret in (b"hunter22", b"wrong-canary-9"):
        assert secret not in left + said
    assert b"postgresql:///data" in left


def test_a_file_can_be_read_and_written_by_one_pipeline(sqlite_db, folder, drive):
    prepare(sqlite_db, folder, sink={"statement_timeout_s": 5})

    assert drive.frame(folder, "run", "pipeline.yaml").returncode == 0
    assert taken(sqlite_db) == expected()
