"""What all tests share: how hard Hypothesis looks, and where the full data lies."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql_server import Server
from tests.stores import prepare_template, store_on

STORES = ["sqlite", "postgresql"]
ROOT = Path(__file__).resolve().parent.parent

# HYPOTHESIS_PROFILE=deep make test ARGS=tests/properties
settings.register_profile(
    "fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", settings.get_profile("fast"), max_examples=100, derandomize=True, print_blob=True
)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session")
def full_flights_zip() -> Path:
    """All 336,776 flights of 2013, zipped: `FRAME_FLIGHTS`, or flights.csv.zip in shared/data beside the checkout."""
    path = Path(os.environ.get("FRAME_FLIGHTS", ROOT.parent / "shared" / "data" / "flights.csv.zip"))
    if not path.is_file():
        pytest.skip(
            f"no full flights data at {path}; FRAME_FLIGHTS=/path/to/flights.csv.zip says where it is"
        )
    return path


@pytest.fixture(scope="session")
def full_flights_csv(full_flights_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, unpacked (31 MB), once in each test process."""
    folder = tmp_path_factory.mktemp("flights")
    with zipfile.ZipFile(full_flights_zip) as archive:
        return Path(archive.extract("flights.csv", folder))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server, the same for all tests of a process. Who stops it starts it again."""
    server = Server()
    try:
        server.create()
        prepare_template(server)
        yield server
    finally:
        server.close()


@pytest.fixture
def postgresql_store(postgresql: Server) -> Iterator[str]:
    """The URL of an empty audit store in PostgreSQL."""
    with store_on(postgresql) as url:
        yield url


def _new_store(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{folder}/deep/audit.db"
    else:
        with store_on(request.getfixturevalue("postgresql")) as url:
            yield url


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an audit store, once of each kind. The SQLite one is made when it is opened."""
    yield from _new_store(request, tmp_path)


@pytest.fixture(scope="module", params=STORES)
def module_store_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same, for all tests of a module together."""
    yield from _new_store(request, tmp_path_factory.mktemp("store"))
