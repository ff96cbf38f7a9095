"""The canonical form of a row against the `rfc8785` package. (canonical_equality.py compares what they write.)"""

from tests.benchmarks import canonical_speed
from tests.benchmarks.figure import Figure


def measure(quick: bool = False) -> list[Figure]:
    """One figure a case."""
    return [
        Figure(
            case["name"],
            case["ours_us"],
            "µs a row",
            case["ratio"],
            f">= {case['bar']:g}x",
            case["ratio"] >= case["bar"],
            f"rfc8785 and hashlib: {case['baseline_us']:.2f} µs a row",
        )
        for case in canonical_speed.measure()
    ]
