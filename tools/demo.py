"""The flights example as a newcomer runs it: each command is printed, then run.

    python -m tools.demo

It works on a copy in build/demo, so that the example's own folder stays as it is.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "flights"
WORKPLACE = ROOT / "build" / "demo"

COMMANDS = (
    "frame run pipeline.yaml",
    "frame explain latest --row 0",
)

WHERE_NEXT = """
Where to look next, in build/demo:
  out/                                            what the run wrote
  pipeline.yaml                                   what it was told to do
  frame explain latest --sink summary --index 0   the rows that a total was made of
  frame explain latest --row 3                    a row that was rejected, and why
  frame runs show latest                          the run's record: rows, outcomes, artifacts
  frame graph pipeline.yaml                       the pipeline as a picture
  frame plugins list                              what else a node can be
The `frame` command is in .venv/bin; examples/flights/README.md goes through the example,
docs/tutorial/ builds a first pipeline of your own.
"""


def run(command: str) -> int:
    """Print `command`, run it in the workplace with this interpreter's `frame`; its exit code."""
    print(f"\n$ {command}", flush=True)
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    program, *arguments = shlex.split(command)
    found = shutil.which(program, path=path)
    if found is None:
        raise FileNotFoundError(
            f"{program} is not installed beside {sys.executable}; `make setup` puts it there"
        )
    return subprocess.run(
        [found, *arguments], cwd=WORKPLACE, env={**os.environ, "PATH": path}, check=False
    ).returncode


def main() -> int:
    """Run all commands; the first exit code that is not 0, else 0."""
    shutil.rmtree(WORKPLACE, ignore_errors=True)
    shutil.copytree(EXAMPLE, WORKPLACE, ignore=shutil.ignore_patterns("out", ".frame"))
    print(
        f"$ cp -r {EXAMPLE.relative_to(ROOT)} {WORKPLACE.relative_to(ROOT)} && cd {WORKPLACE.relative_to(ROOT)}"
    )
    for command in COMMANDS:
        if code := run(command):
            return code
    print(WHERE_NEXT, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
