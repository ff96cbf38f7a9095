"""Whether the sinks go together: who takes what another refuses, and who writes where."""

from collections.abc import Iterator
from pathlib import Path

from frame.graph.faults import Fault, title
from frame.graph.model import Graph, SinkNode


def bad_fallbacks(graph: Graph) -> Iterator[Fault]:
    """Sinks whose refused rows could go to something that is no sink, to themselves, or further than one step."""
    for sink in graph.sinks:
        if sink.on_error is None:
            continue
        target = graph.nodes[sink.on_error]
        if not isinstance(target, SinkNode):
            message = f"rows that {title(sink)} refuses cannot go to {title(target)}"
            yield Fault(sink.number, ("on_error",), message, "Name another sink.")
        elif target.number == sink.number:
            message = f"{title(sink)} cannot take the rows that it refuses itself"
            yield Fault(sink.number, ("on_error",), message, "Name another sink.")
        elif target.on_error is not None:
            message = (
                f"rows that {title(sink)} refuses go to {target.name!r}, "
                f"which has an on_error of its own: refused rows go one step and no further"
            )
            remedy = f"Name a sink without on_error, or take on_error out of {target.name!r}."
            yield Fault(sink.number, ("on_error",), message, remedy)


def shared_files(graph: Graph) -> Iterator[Fault]:
    """Sinks that would write the same file, however differently they write its path."""
    writer: dict[str, SinkNode] = {}
    for sink in graph.sinks:
        place = _place(sink.plugin.options.get("path"))
        if place is None:
            continue
        first = writer.setdefault(place, sink)
        if first is not sink:
            message = f"{title(sink)} writes the same file as {title(first)}: {sink.plugin.options['path']}"
            remedy = "Give each sink a file of its own, or send both kinds of rows to one sink."
            yield Fault(sink.number, ("options", "path"), message, remedy)


def _place(path: object) -> str | None:
    """What is the same for two paths that lead to one file; on some disks that is so whatever the case."""
    if not isinstance(path, str) or not path:
        return None
    if "://" in path:
        return path
    try:
        return str(Path(path).resolve()).casefold()
    except (OSError, RuntimeError, ValueError):
        return path.casefold()
