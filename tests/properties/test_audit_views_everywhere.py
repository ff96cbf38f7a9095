"""The views say the same in every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit.database import Database
from frame.audit.views import VIEWS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgresql_server import Server
from tests.properties.test_audit_views import MadeUpRun, record
from tests.stores import store_on

OF_PROCESSES = {"config", "config_sha256", "host", "pid", "lease_expires_us", "run_id"}


@pytest.fixture(scope="module")
def stores(
    postgresql: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Database]]:
    folder: Path = tmp_path_factory.mktemp("everywhere")
    with (
        store_on(postgresql) as url,
        store.open(url) as server,
        store.open(f"sqlite:///{folder}/audit.db") as file,
    ):
        yield file, server


def told(database: Database, view: str, run: int) -> list[str]:
    with database.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {view} WHERE run = {run}").mappings()
        rows = [{name: row[name] for name in row if name not in OF_PROCESSES} for row in found]
    return sorted(repr(list(row.items())) for row in rows)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_every_view_has_the_same_rows_in_every_database(
    stores: tuple[Database, Database], seed: int, sizes: list[int]
) -> None:
    file, server = stores

    runs = [record(database, MadeUpRun(seed), sizes) for database in stores]

    assert runs[0] == runs[1]
    for view in VIEWS:
        assert told(server, view, runs[0]) == told(file, view, runs[0]), view
