"""A purge in PostgreSQL does what it does in a file."""

from datetime import timedelta
from pathlib import Path

import pytest
from frame.audit import database
from frame.operations import explain, purge, run, verify

from tests.integration.attacked import Place
from tests.integration.test_purge import NAMES, PIPELINE, STAMP, DaysAgo


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
