"""One `frame` that forks, one service and one undisturbed run a pipeline, for each test process."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.pipelines import PIPELINES
from tests.crash.shim import compiler
from tests.crash.sweep import Sweep
from tests.crash.world import Frame, Service, World

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
    """The sweep of each pipeline, made when it is asked for."""

    def __init__(self, frame: Frame, service: Service) -> None:
        super().__init__()
        self._frame, self._service = frame, service

    def __missing__(self, name: str) -> Sweep:
        world = World(PIPELINES[name], self._frame.home / "worlds" / name, self._service)
        self[name] = Sweep(self._frame, world)
        return self[name]


@pytest.fixture(scope="session")
def sweeps(frame: Frame, service: Service) -> Sweeps:
    """Pipeline -> its sweep."""
    return Sweeps(frame, service)
