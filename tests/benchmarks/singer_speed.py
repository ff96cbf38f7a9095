"""The reference pipeline against a Singer tap piped into a CSV target: no gate, no record.

Both are written with singer-sdk, which is installed into an environment of its own; the tap adds the gain, too, and
the target writes one file.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.figure import Figure, skipped
from tests.benchmarks.processes import PROGRAMS, WORK, Command, interleave, run
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference

NAME = "the reference pipeline against a Singer tap and a CSV target"
BAR = 2.0


def measure(quick: bool = False) -> list[Figure]:
    """One figure."""
    try:
        python = environment()
    except subprocess.CalledProcessError as error:
        return [skipped(NAME, f"singer-sdk cannot be installed: {last_line(error.stderr)}")]
    reference = Reference(QUICK_ROWS if quick else ROWS)
    piped = singer(python, reference)
    run(piped)
    written = (reference.folder / "out" / "rows.csv").read_bytes().count(b"\n") - 1
    if written != reference.rows:
        return [skipped(NAME, f"singer wrote {written:,} rows of {reference.rows:,}")]
    compared = interleave(piped, reference.framed(), rounds=1 if quick else 3)
    return [
        Figure(
            NAME,
            compared.wall_ratio,
            "times as fast",
            compared.wall_ratio,
            f">= {BAR:g}x",
            compared.wall_ratio >= BAR,
            f"Singer {compared.note()}",
        )
    ]


def environment() -> Path:
    """A Python that has singer-sdk. Raises CalledProcessError if there can be none."""
    python = WORK / "singer" / "bin" / "python"
    if not python.exists():
        subprocess.run(
            [sys.executable, "-m", "venv", python.parents[1]], check=True, capture_output=True, text=True
        )
    if subprocess.run([python, "-c", "import singer_sdk"], capture_output=True, check=False).returncode:
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "singer-sdk"], check=True, capture_output=True, text=True)
    return python


def singer(python: Path, reference: Reference) -> Command:
    """Tap and target, joined by a pipe."""
    tap, target = reference.folder / "tap.json", reference.folder / "target.json"
    tap.write_text(json.dumps({"path": str(reference.data)}), encoding="utf-8")
    target.write_text(json.dumps({"folder": str(reference.folder / "out")}), encoding="utf-8")
    line = '"$0" "$1" --config "$2" 2>/dev/null | "$0" "$3" --config "$4" >/dev/null'
    programs = [python, PROGRAMS / "singer_tap.py", tap, PROGRAMS / "singer_target.py", target]
    return Command(["sh", "-c", line, *programs], prepare=reference.clear)


def last_line(text: str) -> str:
    """The end of what a command said."""
    return (text.strip().splitlines() or ["no reason given"])[-1]
