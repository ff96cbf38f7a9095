"""A purge in PostgreSQL does what it does in a file."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from frame.audit import database
from frame.cli.exit_codes import ExitCode, of_error
from frame.errors import AuditDenied, Refused
from frame.operations import explain, init_store, purge, resume, run, verify

from tests.integration.attacked import Place
from tests.integration.test_purge import ENDS, NAMES, PIPELINE, STAMP, DaysAgo
from tests.postgresql_server import OWNER, Server


def test_a_purge_in_postgresql_removes_the_rows_and_leaves_the_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_store: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    place = Place(tmp_path)
    place.put("people.py", STAMP)
    place.put("in.csv", "id,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(NAMES)))
    path = place.put("pipeline.yaml", PIPELINE)
    old = run(path, audit=postgresql_store, clock=DaysAgo(100)).run_id
    place.put("pipeline.yaml", PIPELINE.replace("OUT", "young"))
    young = run(path, audit=postgresql_store, clock=DaysAgo(10)).run_id

    done = purge(timedelta(days=90), reason="nobody needs it", audit=postgresql_store)

    assert ([each.run_id for each in done.purged], done.kept) == ([old], ())
    assert any("VACUUM FULL payload_data" in note for note in done.notes)
    with database.open(postgresql_store) as store, store.reading() as connection:
        left = connection.exec_driver_sql(
            "SELECT h.run_id, count(*) FROM payload_data d JOIN run_headers h USING (run) GROUP BY 1"
        ).all()
    assert [run_id for run_id, _ in left] == [young]
    assert "nobody needs it" in explain(old, row=7, audit=postgresql_store).stories[0].data.why
    assert verify(old, audit=postgresql_store).ok
    assert purge(timedelta(days=90), audit=postgresql_store).purged == ()


def test_a_run_that_crashed_is_given_up_and_purged_in_postgresql(
    tmp_path: Path, postgresql_store: str
) -> None:
    place = Place(tmp_path)
    place.put("people.py", STAMP + ENDS)
    place.put("in.csv", "id,name\n" + "".join(f"{n},x\n" for n in range(200)))
    path = place.put("pipeline.yaml", PIPELINE)
    ended = place.frame("run", str(path), "--quiet", "--audit", postgresql_store)
    assert ended.code == -signal.SIGKILL
    kept = purge(runs=["latest"], audit=postgresql_store)

    done = purge(runs=["latest"], give_up=True, reason="case 18", audit=postgresql_store)

    ((run_id, why),) = [(each.run_id, each.kept_because) for each in kept.kept]
    assert why == "it is crashed and can be resumed, unless it is given up for good (--give-up)"
    assert [(each.run_id, each.given_up) for each in done.purged] == [(run_id, True)]
    with pytest.raises(Refused, match=r"was given up for good on .* \(case 18\); there is nothing to resume"):
        resume(run_id, pipeline=path, audit=postgresql_store)
    assert verify(run_id, audit=postgresql_store).ok
    with database.open(postgresql_store) as store, store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM payload_data").scalar_one() == 0


@pytest.fixture
def roles(postgresql: Server, postgresql_store: str) -> Iterator[tuple[str, str]]:
    """The URLs of a writer and of a reader of the store."""
    names = ("purging_writer", "purging_reader")
    with postgresql.superuser() as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name} LOGIN")
    try:
        init_store(postgresql_store, writers=names[:1], readers=names[1:])
        writer, reader = (postgresql_store.replace(OWNER, name) for name in names)
        yield writer, reader
    finally:
        database_name = postgresql_store.partition("@/")[2].partition("?")[0]
        with postgresql.superuser(database_name) as connection:
            for name in names:
                connection.execute(f"DROP OWNED BY {name}")
                connection.execute(f"DROP ROLE {name}")


def test_a_role_that_may_not_remove_data_is_refused_before_anything_is_on_record(
    tmp_path: Path, roles: tuple[str, str], postgresql_store: str
) -> None:
    place = Place(tmp_path).through("id\n1\n")
    run(tmp_path / "pipeline.yaml", audit=roles[0])

    for url in roles:
        with pytest.raises(
            AuditDenied, match=r"may not remove data\. Its owner may grant it: GRANT DELETE"
        ) as told:
            purge(runs=["latest"], audit=url)
        assert of_error(told.value) is ExitCode.REFUSED

    assert len(purge(runs=["latest"], dry_run=True, audit=postgresql_store).purged) == 1
    (tmp_path / "out" / "out.jsonl").unlink()
    reads = place.inside("run", "pipeline.yaml", "--audit", roles[1])
    assert reads.code == 8
    reads.says("permission denied", "`frame audit init URL --writer ROLE`")
