"""Runs a command and writes down how long it took and what memory it needed.

python -I -S launcher.py RESULT.json COMMAND [ARGUMENT ...]
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter

KIB = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes


def main(result: str, *argv: str) -> int:
    """The exit code of the command."""
    started = perf_counter()
    child = os.posix_spawnp(argv[0], argv, os.environ)
    _, status, usage = os.wait4(child, 0)
    took = perf_counter() - started
    measured = {
        "wall_s": took,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * KIB,
    }
    Path(result).write_text(json.dumps(measured), encoding="ascii")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(*sys.argv[1:])))
