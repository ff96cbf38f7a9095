"""Runs a pipeline with telemetry as it is shipped, or as if there were none in frame.

    python told.py as-shipped|without PIPELINE

Prints the CPU seconds that the run took, without the imports; stderr, where spans go, is sent to nowhere.
"""

import os
import sys
from time import process_time

from frame.operations import run as operation


def main(which: str, pipeline: str) -> None:
    """Run it."""
    module = sys.modules[operation.__module__]
    if which == "without":
        module.listener_from_environment = lambda *_: None  # type: ignore[attr-defined]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    started = process_time()
    result = operation(pipeline)
    print(process_time() - started)
    sys.exit(not result.ok)


if __name__ == "__main__":
    main(*sys.argv[1:])
