"""What tests of pipelines and plugins are made of.

run_pipeline, TestRun                  a run with everything in memory, and what came of it
row                                    a row in few words
ListSource (Later, Until), ListSink    rows from a list, rows into a list
ManualClock                            time that passes when a test says so
MemoryRecorder                         a record in memory
Applied, Asked                         a function as a transform, as a gate
FlakyTransform, Raises, Hangs, Returns, Mutates, Unsteady      transforms that misbehave
strategies                             random rows, values and pipelines, for Hypothesis (imported when asked for)
"""

from frame.testing.clock import ManualClock
from frame.testing.faults import (
    Applied,
    Asked,
    Expanding,
    FlakyTransform,
    Hangs,
    Mutates,
    Raises,
    Returns,
    Unsteady,
)
from frame.testing.recorder import MemoryRecorder
from frame.testing.rows import row
from frame.testing.run import TestRun, run_pipeline
from frame.testing.sinks import ListSink
from frame.testing.sources import Later, ListSource, Until

__all__ = [
    "Applied",
    "Asked",
    "Expanding",
    "FlakyTransform",
    "Hangs",
    "Later",
    "ListSink",
    "ListSource",
    "ManualClock",
    "MemoryRecorder",
    "Mutates",
    "Raises",
    "Returns",
    "TestRun",
    "Unsteady",
    "Until",
    "row",
    "run_pipeline",
]
