"""The figures of the crash tests, one line each, at the end of a test run (`-p tests.crash.figures`)."""

from collections import Counter, defaultdict
from typing import Any

FIGURES: dict[str, Counter[str]] = defaultdict(Counter)


def count(record: Any, what: str, **figures: int) -> None:
    """Add to the figures of `what`; `record` is the fixture record_property."""
    record("crash figures", (what, figures))


def pytest_runtest_logreport(report: Any) -> None:
    for name, value in report.user_properties if report.when == "call" else ():
        if name == "crash figures":
            what, figures = value
            FIGURES[what].update(figures)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for what, figures in sorted(FIGURES.items()):
        said = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in figures.items())
        terminalreporter.write_line(f"{what}: {said}")
