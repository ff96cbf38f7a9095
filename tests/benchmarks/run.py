"""Measures everything, and prints the table of figures.

    python -m tests.benchmarks.run [--only NAME ...] [--quick] [--json FILE] [--no-fail]

Exits with 1 when a bar is missed. `--quick` shows that the benchmarks work; its figures mean nothing.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import CommandFailed

BENCHMARKS = {
    "reference": "reference_speed",
    "singer": "singer_speed",
    "canonical": "canonical_figures",
    "flights": "flights",
    "memory": "memory",
    "postgresql": "postgresql",
    "recovery": "recovery",
    "start": "start",
    "concurrency": "concurrency",
    "telemetry": "telemetry",
}
"""Name -> module of this package with `measure`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    asked = options(arguments)
    print(machine(), flush=True)
    figures: dict[str, list[Figure]] = {}
    for name in asked.only or BENCHMARKS:
        print(f"  measuring {name} ...", file=sys.stderr, flush=True)
        figures[name] = measured(name, asked.quick)
    every = [figure for some in figures.values() for figure in some]
    print(table(every))
    print(load())
    if asked.json:
        said = {
            "schema_version": 1,
            "machine": machine(),
            "quick": asked.quick,
            "figures": {name: [figure.as_json() for figure in some] for name, some in figures.items()},
        }
        asked.json.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = any(figure.ok is False for figure in every)
    return 1 if missed and not asked.no_fail and not asked.quick else 0


def measured(name: str, quick: bool) -> list[Figure]:
    """The figures of one benchmark; one that breaks has missed its bars, and the others go on."""
    try:
        figures: list[Figure] = import_module(f"tests.benchmarks.{BENCHMARKS[name]}").measure(quick=quick)
    except CommandFailed as error:
        return [Figure(name, None, "", ok=False, note=f"failed: {error}")]
    return figures


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--quick", action="store_true", help="few rows, one round: only to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON, too")
    parser.add_argument("--no-fail", action="store_true", help="exit with 0 even when a bar is missed")
    return parser.parse_args(arguments)


def machine() -> str:
    """What the figures were measured on."""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors; {load()}"


def load() -> str:
    """How busy the machine is. The benchmarks themselves make a load of about 1."""
    return "load " + ", ".join(f"{number:.2f}" for number in os.getloadavg())


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of columns, each with what lies behind it below."""
    cells = [("figure", "measured", "ratio", "bar", "")]
    for figure in figures:
        measured = "" if figure.value is None else f"{figure.value:,.{digits(figure.value)}f} {figure.unit}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
        verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
        cells.append((figure.name, measured, ratio, figure.bar, verdict))
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    lines = []
    notes = ["", *(figure.note for figure in figures)]
    for row, note in zip(cells, notes, strict=True):
        shown = (
            cell.rjust(width) if column in (1, 2) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(shown).rstrip())
        if note:
            lines.append(f"    {note}")
    return "\n".join(lines)


def digits(value: float) -> int:
    """Decimals worth showing."""
    return 0 if abs(value) >= 1000 or value == int(value) else 1 if abs(value) >= 10 else 3


if __name__ == "__main__":
    sys.exit(main())
