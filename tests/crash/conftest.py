"""One `frame` that forks, one service and one undisturbed run a pipeline, for each test process."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.pipelines import PIPELINES
from tests.crash.records import PostgresqlRecord, Record
from tests.crash.shim import compiler
from tests.crash.sweep import Sweep
from tests.crash.world import Frame, Service, World
from tests.postgresql_server import Server
from tests.stores import store_on

collect_ignore = ["plugins"]  # they are installed, not imported from here


@pytest.fixture(scope="session")
def crash_home() -> Iterator[Path]:
    """A folder in memory, where that can be had: kill -9 says nothing about disks, and waits for none there."""
    if compiler() is None:
        pytest.fail("the crash harness needs gcc (Debian, Ubuntu: apt-get install gcc libc6-dev)")
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="frame-crash-", dir=memory if memory.is_dir() else None))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def frame(crash_home: Path) -> Iterator[Frame]:
    """The `frame` of this checkout, under the shim."""
    frame = Frame(crash_home)
    yield frame
    frame.close()


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The loopback service."""
    service = Service()
    yield service
    service.close()


class Sweeps(dict[str, Sweep]):
    """The sweep of each pipeline, made when it is asked for. `record`: where they all keep theirs, if in one place."""

    def __init__(self, frame: Frame, service: Service, record: Record | None = None) -> None:
        super().__init__()
        self._frame, self._service, self._record = frame, service, record

    def __missing__(self, name: str) -> Sweep:
        folder = self._frame.home / ("worlds" if self._record is None else "worlds-postgresql") / name
        self[name] = Sweep(self._frame, World(PIPELINES[name], folder, self._service, self._record))
        return self[name]


@pytest.fixture(scope="session")
def sweeps(frame: Frame, service: Service) -> Sweeps:
    """Pipeline -> its sweep."""
    return Sweeps(frame, service)


@pytest.fixture(scope="session")
def postgresql_sweeps(frame: Frame, service: Service, postgresql: Server) -> Iterator[Sweeps]:
    """The same, with every record in one database, emptied for each case."""
    with store_on(postgresql) as url:
        yield Sweeps(frame, service, PostgresqlRecord(postgresql, url))
