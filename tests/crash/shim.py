"""The library that counts a process's calls to the world, and what it is told to do with one of them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")

WRITES = "write,writev,pwrite,pwritev"
SYNCS = "fsync,fdatasync"
NAMES = "open-create,open-truncate,rename,link,unlink,mkdir"


def compiler() -> str | None:
    """A C compiler, if there is one."""
    return shutil.which("gcc") or shutil.which("cc")


def build(folder: Path) -> Path:
    """The shim, compiled into `folder`."""
    library = folder / "shim.so"
    assert " " not in str(library), "LD_PRELOAD is cut at spaces"
    cc = compiler()
    assert cc is not None, "the crash harness needs gcc (Debian, Ubuntu: apt-get install gcc libc6-dev)"
    command = [
        cc,
        "-O2",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(SOURCE),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return library


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at call `at` (from 1) of the kinds that count; `kinds` empty: of all of them."""

    mode: str
    at: int = 0
    errno: int = 0
    persists: bool = False
    kinds: str = ""
    clock: str = ""
    stdout: bool = False

    def environment(self, root: Path, log: Path | None = None) -> dict[str, str]:
        """The shim's settings; everything that is not about this fault is switched off."""
        return {
            "CRASH_ROOT": str(root),
            "CRASH_MODE": self.mode,
            "CRASH_AT": str(self.at),
            "CRASH_ERRNO": str(self.errno),
            "CRASH_PERSIST": "1" if self.persists else "",
            "CRASH_KINDS": self.kinds,
            "CRASH_CLOCK": self.clock,
            "CRASH_STDOUT": "1" if self.stdout else "",
            "CRASH_LOG": str(log) if log else "",
        }


NONE = Fault("off")
COUNT = Fault("count")
TRACE = Fault("trace")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that counted."""

    number: int
    kind: str
    offset: int
    size: int
    path: str
    second: str


def calls_in(log: Path) -> list[Call]:
    """What the shim has put down, in order."""
    calls = []
    for line in log.read_text(errors="surrogateescape").splitlines():
        number, kind, offset, size, path, second = line.split("\t")
        calls.append(Call(int(number), kind, int(offset), int(size), path, second))
    return calls
