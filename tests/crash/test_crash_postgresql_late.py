"""The COMMIT of a process that is dead takes place while another one resumes its run."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, LiteralString

import pytest
from sqlalchemy.engine import make_url

from tests.crash.records import run_id_in
from tests.crash.sweep import Case, Sweep, Verdict
from tests.crash.world import Ended
from tests.postgresql_proxy import Loss, Proxy
from tests.postgresql_server import Server

LIMIT_S = 120.0
ASK_AGAIN, NOTHING_TO_DO = 75, 8
WRITES = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass(%s) AND mode = 'RowExclusiveLock')"
WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


@dataclass
class Killer:
    """Kills the process at the `at`-th COMMIT (from 1) of what is written to `table`, and holds that COMMIT back."""

    server: Server
    database: str
    table: str
    at: int
    pid: int = 0
    seen: int = 0
    killed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _: int) -> Loss | None:
        self.seen += self.says(WRITES, self.table)
        if self.killed.is_set() or self.seen < self.at:
            return None
        os.kill(self.pid, signal.SIGKILL)
        self.killed.set()
        return Loss.LATE

    def says(self, question: LiteralString, *values: str) -> bool:
        """Whether the server says yes."""
        with self.server.superuser(self.database) as connection:
            return connection.execute(question, values).fetchone() == (True,)


@pytest.fixture
def sweep(postgresql_sweeps: Any) -> Sweep:
    sweep: Sweep = postgresql_sweeps["files"]
    sweep.world.begin()
    return sweep


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[Proxy]:
    proxy = Proxy(postgresql.socket)
    proxy.late_s = LIMIT_S
    yield proxy
    proxy.late.set()
    proxy.close()


def ended(process: "subprocess.Popen[str]") -> Ended:
    said = process.communicate(timeout=LIMIT_S)
    return Ended(process.returncode, *said)


@pytest.mark.parametrize(
    ("table", "at", "code"), [("frame.chunks", 3, ASK_AGAIN), ("frame.run_changes", 2, NOTHING_TO_DO)]
)
def test_a_resume_waits_for_the_last_commit_of_a_dead_process_and_does_not_overlook_it(
    table: str, at: int, code: int, sweep: Sweep, proxy: Proxy, postgresql: Server
) -> None:
    folder, url = sweep.world.folder, sweep.world.url
    proxy.lose = killer = Killer(postgresql, str(make_url(url).database), table, at)
    owner = sweep.frame.start(folder, "run", "pipeline.yaml", "--audit", proxy.url(url))
    killer.pid = owner.pid
    assert killer.killed.wait(LIMIT_S), ended(owner).stderr
    verdict = Verdict(Case(f"killed before COMMIT {at} to {table}", []), ends=[ended(owner)])

    next_one = sweep.frame.start(folder, "resume", str(run_id_in(url)), "--audit", url)
    while not killer.says(WAITS):
        assert next_one.poll() is None, ended(next_one).stderr
    proxy.late.set()
    verdict.ends.append(ended(next_one))

    assert verdict.ends[-1].code == code, str(verdict)
    sweep.world.record.settle()
    assert not sweep.go_on(verdict).wrong, str(verdict)
