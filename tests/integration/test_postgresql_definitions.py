"""What an owner or a superuser changes in a store's definitions is named by verify."""

import pytest
from frame.audit import database as store
from frame.audit.postgresql_definitions import differences
from frame.audit.recorder import Recorder
from frame.audit.verify.verification import verify_store
from frame.events import RunStatus

from tests.postgresql_server import Server
from tests.unit.test_audit_recorder import opening

HOLE = "CREATE OR REPLACE FUNCTION {} RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$"


def test_a_store_is_as_it_was_made(postgresql_store: str) -> None:
    with store.open(postgresql_store) as database, database.reading() as connection:
        assert list(differences(connection)) == []


@pytest.mark.parametrize(
    ("change", "name", "what"),
    [
        ("ALTER TABLE segments_p07 DISABLE TRIGGER segments_no_update", "segments_p07", "segments_no_update"),
        ("ALTER TABLE run_headers DISABLE TRIGGER ALL", "run_headers", "run_headers_no_delete"),
        (
            "ALTER TABLE segments_p09 DISABLE TRIGGER ALL",
            "segments_p09",
            "references of segments_p09 are not",
        ),
        ("DROP TRIGGER blocks_no_delete ON blocks", "blocks", "blocks_no_delete of blocks is missing"),
        (f"{HOLE.format('refuse_change()')}", "refuse_change", "missing, changed, or none of frame's"),
        (f"{HOLE.format('mine()')}", "mine", "missing, changed, or none of frame's"),
        ("CREATE RULE r AS ON INSERT TO errors DO INSTEAD NOTHING", "errors", "a rule r on errors"),
        ("ALTER TABLE notes ENABLE ROW LEVEL SECURITY", "notes", "hides rows"),
        ("ALTER TABLE segments ADD COLUMN x int", "segments_p63", "column x of segments_p63"),
        ("ALTER TABLE store_log ALTER detail DROP NOT NULL", "store_log", "column detail of store_log"),
        (
            "ALTER TABLE segment_digests_p03 DROP CONSTRAINT segment_digests_p03_run_chunk_position_part_fkey",
            "segment_digests_p03",
            "lacks: FOREIGN KEY (run, chunk, position, part) REFERENCES segments_p03",
        ),
        ("DROP TABLE frame.payload_data_p05", "payload_data_p05", "payload_data_p05 is missing"),
        ("CREATE TABLE frame.spare (n int)", "spare", "which is none of frame's"),
        ("DROP VIEW run_events", "run_events", "run_events is missing"),
        (
            (
                "CREATE OR REPLACE VIEW run_events AS SELECT run, block, NULL::int AS chunk, NULL::bigint AS position, "
                "kind, status, at_us, NULL::bigint AS node, detail FROM run_changes WHERE false"
            ),
            "run_events",
            "the view run_events is not defined as frame defines it",
        ),
    ],
)
def test_a_changed_definition_is_named(
    postgresql: Server, postgresql_store: str, change: str, name: str, what: str
) -> None:
    with store.open(postgresql_store) as database:
        Recorder(database).begin(opening()).finish(RunStatus.EMPTY, {}, 5)
    with postgresql.superuser(postgresql_store.partition("@/")[2].partition("?")[0]) as connection:
        connection.execute("SET search_path = frame")
        if "run_events AS" in change:
            connection.execute("DROP VIEW run_events")
        connection.execute(change)

    with store.open(postgresql_store) as database:
        report = verify_store(database, None)

    told = [(finding.table, finding.what) for finding in report.findings if finding.check == "schema"]
    assert any(table == name and what in said for table, said in told), told


def test_damages_are_asked_of_amcheck_where_it_is_installed(
    postgresql: Server, postgresql_store: str
) -> None:
    name = postgresql_store.partition("@/")[2].partition("?")[0]
    with postgresql.superuser(name) as connection:
        found = connection.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'")
        if found.fetchone() == (0,):
            pytest.skip("this server has no amcheck")
        connection.execute("CREATE EXTENSION amcheck")

    as_superuser = postgresql_store.replace("frame_owner", "postgres")
    with store.open(as_superuser) as database, database.reading() as connection:
        assert list(database.damages(connection)) == []
