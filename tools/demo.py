"""The flights example as a newcomer runs it, with a crash and a forgery: each command is printed, then run.

    python -m tools.demo

It works on a copy in build/demo, so that the example's own folder stays as it is.
"""

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "flights"
WORKPLACE = ROOT / "build" / "demo"


@dataclass(frozen=True)
class Step:
    """A command, what it is to show, and the exit code that it is to have. `variables`: of its environment."""

    says: str
    command: str
    code: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)


STEPS = (
    Step(
        "A run is killed in the middle, as by kill -9 or a power cut.",
        "frame run --quiet pipeline.yaml",
        code=-signal.SIGKILL,
        variables={"FRAME_FAILPOINT": "after_commit:3=kill"},
    ),
    Step("The record knows.", "frame runs list"),
    Step("It goes on as if nothing had happened.", "frame resume latest"),
    Step("What happened to one row:", "frame explain latest --row 0"),
    Step(
        "Has anybody touched the record, or the files?",
        "frame verify latest --anchor .frame/receipts",
    ),
)
APPEND_ONLY = (
    "CREATE TRIGGER errors_no_update BEFORE UPDATE ON errors "
    "BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on errors'); END"
)
TAMPERING = (
    "DROP TRIGGER errors_no_update",
    "UPDATE errors SET message = 'all was well' WHERE (chunk, position) = (SELECT chunk, position FROM errors LIMIT 1)",
    APPEND_ONLY,
)
"""What somebody may do who can write to the store and would rather have another past."""
AFTER_TAMPERING = Step("It is found:", "frame verify latest --anchor .frame/receipts", code=7)

WHERE_NEXT = """
Where to look next, in build/demo (its record has been tampered with; run the pipeline anew for another):
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


def run(step: Step) -> bool:
    """Print the command of `step`, run it in the workplace with this interpreter's `frame`; whether it went as said."""
    settings = "".join(f"{name}={value} " for name, value in step.variables.items())
    print(f"\n# {step.says}\n$ {settings}{step.command}", flush=True)
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    program, *arguments = shlex.split(step.command)
    found = shutil.which(program, path=path)
    if found is None:
        raise FileNotFoundError(
            f"{program} is not installed beside {sys.executable}; `make setup` puts it there"
        )
    environ = {**os.environ, "PATH": path, **step.variables}
    code = subprocess.run([found, *arguments], cwd=WORKPLACE, env=environ, check=False).returncode
    if code:
        print(f"(killed by signal {-code})" if code < 0 else f"(exit code {code})", flush=True)
    return code == step.code


def tamper() -> None:
    """Change one fact in the store behind frame's back, and show how."""
    print("\n# Somebody with access to the store changes what a row failed with, and covers it up.")
    with closing(sqlite3.connect(WORKPLACE / ".frame" / "audit.db")) as store, store:
        for statement in TAMPERING:
            print(f"sqlite> {statement};", flush=True)
            store.execute(statement)


def main() -> int:
    """Run all steps; 1 if one does not go as it is to."""
    shutil.rmtree(WORKPLACE, ignore_errors=True)
    shutil.copytree(EXAMPLE, WORKPLACE, ignore=shutil.ignore_patterns("out", ".frame"))
    print(
        f"$ cp -r {EXAMPLE.relative_to(ROOT)} {WORKPLACE.relative_to(ROOT)} && cd {WORKPLACE.relative_to(ROOT)}"
    )
    if not all(run(step) for step in STEPS):
        return 1
    tamper()
    if not run(AFTER_TAMPERING):
        return 1
    print(WHERE_NEXT, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
