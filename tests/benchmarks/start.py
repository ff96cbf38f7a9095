"""How long one waits before anything happens."""

import subprocess
import sys

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import Command, interleave, run
from tests.benchmarks.reference import Reference, frame

VERSION_BAR_S = 0.15
ONE_ROW_BAR_S = 0.6
HEAVY = ("numpy", "pandas", "pyarrow", "httpx", "rich")


def measure(quick: bool = False) -> list[Figure]:
    """Start-up times, above that of Python itself, and what `import frame` brings with it."""
    rounds = 2 if quick else 21
    one_row = Reference(1)
    return [
        above_python("frame --version", Command(frame("--version")), rounds, VERSION_BAR_S),
        above_python("frame run --help", Command(frame("run", "--help")), rounds, None),
        above_python("frame run of one row", one_row.framed(), rounds, ONE_ROW_BAR_S),
        imports(),
    ]


def above_python(name: str, command: Command, rounds: int, bar_s: float | None) -> Figure:
    """Seconds that `command` takes beyond those of a Python that does nothing."""
    nothing = Command([sys.executable, "-c", "pass"])
    run(command)
    compared = interleave(command, nothing, rounds)
    above_s = sorted(
        one.wall_s - other.wall_s for one, other in zip(compared.one, compared.other, strict=True)
    )
    value = above_s[len(above_s) // 2]
    return Figure(
        f"{name}, beyond python -c pass",
        value,
        "s",
        None,
        "" if bar_s is None else f"<= {bar_s} s",
        None if bar_s is None else value <= bar_s,
        compared.note(),
    )


def imports() -> Figure:
    """How many heavy libraries `import frame` pulls in."""
    code = f"import frame, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    return Figure(
        "heavy libraries that import frame pulls in",
        len(found),
        "",
        None,
        "0",
        not found,
        f"of {', '.join(HEAVY)}" + (f": {', '.join(found)}" if found else ""),
    )
