"""What it costs to be able to recover and to prove, and how long recovery and proof take."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from tests.benchmarks.figure import Figure, skipped
from tests.benchmarks.flights import FLIGHTS, clear, prepared
from tests.benchmarks.flights import ROWS as FLIGHT_ROWS
from tests.benchmarks.processes import PROGRAMS, Command, interleave, repeat, wall_s
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference, frame, with_plugin

COST_BAR = 1.25
RESUME_BAR = 0.15
VERIFY_BAR = 3.0
MEMORY_BAR = 1.15
CHUNK_ROWS = 1000


def measure(quick: bool = False) -> list[Figure]:
    """The cost of chain, outbox and confirmations; resume and verification against the run; memory of all three."""
    reference = Reference(QUICK_ROWS if quick else ROWS)
    return [
        cost(reference, rounds=1 if quick else 7),
        *(all_flights(rounds=1 if quick else 3)),
        *memory(reference, rounds=1 if quick else 2),
    ]


def cost(reference: Reference, rounds: int) -> Figure:
    """The reference pipeline as it is, against itself without hashing, outbox and durable confirmations."""
    argv = [sys.executable, PROGRAMS / "unproven.py", "run", "--quiet", reference.folder / "pipeline.yaml"]
    without = Command(argv, with_plugin({}), reference.clear)
    compared = interleave(reference.framed(), without, rounds)
    ratio = compared.wall_ratio
    return Figure(
        "chain, outbox and confirmations against none of them",
        wall_s(compared.one),
        "s",
        ratio,
        f"<= {COST_BAR}x",
        ratio <= COST_BAR,
        compared.note(),
    )


def all_flights(rounds: int) -> list[Figure]:
    """A run of all flights, its verification, and its resumption after a kill at row 300,000."""
    if not FLIGHTS.is_file():
        return [
            skipped("resume and verify all flights", "no flights.csv.zip; FRAME_FLIGHTS says where it is")
        ]
    folder = prepared()
    pipeline = folder / "pipeline.yaml"
    run = Command([*frame("run"), "--quiet", pipeline], prepare=lambda: clear(folder))
    verify = Command([*frame("verify"), "latest", "--pipeline", pipeline])
    resume = Command(
        [*frame("resume"), "--quiet", "latest", "--pipeline", pipeline],
        prepare=lambda: (clear(folder), crash(folder, 300_000)),
    )
    ran, verified, resumed = [], [], []
    for _ in range(rounds):
        ran += repeat(run, 1)
        verified += repeat(verify, 1)
        clear(folder)
        resumed += repeat(resume, 1)
    whole_s, verify_s, resume_s = wall_s(ran), wall_s(verified), wall_s(resumed)
    rest_s = whole_s * (FLIGHT_ROWS - 300_000) / FLIGHT_ROWS
    overhead = (resume_s - rest_s) / whole_s
    return [
        Figure(
            "verify all flights against their run",
            verify_s,
            "s",
            whole_s / verify_s,
            f">= {VERIFY_BAR:g}x",
            whole_s / verify_s >= VERIFY_BAR,
            f"the run took {whole_s:.1f} s",
        ),
        Figure(
            "resume at row 300,000 of 336,776, without the rest of the work",
            resume_s - rest_s,
            "s",
            overhead,
            f"<= {RESUME_BAR}x of the run",
            overhead <= RESUME_BAR,
            f"{resume_s:.1f} s in all, {rest_s:.1f} s of it for the rest of the rows",
        ),
    ]


def crash(folder: Path, rows: int, environ: dict[str, str] | None = None) -> None:
    """A run of the pipeline in `folder`, cleared before, that is killed when `rows` rows are on record."""
    subprocess.run(
        [*frame("run"), "--quiet", folder / "pipeline.yaml"],
        env={**os.environ, **(environ or {}), "FRAME_FAILPOINT": f"after_commit:{rows // CHUNK_ROWS}=kill"},
        check=False,
        stderr=subprocess.DEVNULL,
    )


def memory(few: Reference, rounds: int) -> list[Figure]:
    """Peak memory at ten times the rows."""
    many = Reference(few.rows * 10)
    return [
        _flat("resume", few, many, rounds, crashed=True),
        _flat("verify", few, many, rounds),
        _flat("export", few, many, rounds),
    ]


def _flat(what: str, few: Reference, many: Reference, rounds: int, *, crashed: bool = False) -> Figure:
    small, large = (_peak(what, reference, rounds, crashed) for reference in (few, many))
    return Figure(
        f"peak memory of {what} at {many.rows:,} rows against {few.rows:,}",
        large / 1e6,
        "MB",
        large / small,
        f"<= {MEMORY_BAR}x",
        large / small <= MEMORY_BAR,
        f"{small / 1e6:.1f} MB at {few.rows:,} rows",
    )


def _peak(what: str, reference: Reference, rounds: int, crashed: bool) -> float:
    environ = with_plugin({})
    audit = f"sqlite:///{reference.folder / 'audit.db'}"
    out = reference.folder / "out" / "export.jsonl"
    argv = [*frame(what), "latest", "--audit", audit, *(["--out", out] if what == "export" else [])]

    def prepare() -> None:
        reference.clear()
        if crashed:
            crash(reference.folder, reference.rows * 9 // 10, environ)
        else:
            repeat(Command(reference.framed().argv, environ), 1)

    ran = repeat(Command(argv, environ, prepare), rounds)
    return median(each.peak_bytes for each in ran)
