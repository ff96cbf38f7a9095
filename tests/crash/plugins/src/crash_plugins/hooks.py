"""What this package offers."""

from frame.plugin import hookimpl


@hookimpl
def frame_transforms() -> list[str]:
    names = ("Twist", "Wobble", "Count", "Ask")
    return [f"crash_plugins.transforms:{name}" for name in names]


@hookimpl
def frame_aggregations() -> list[str]:
    return ["crash_plugins.aggregations:Total", "crash_plugins.aggregations:Rank"]


@hookimpl
def frame_sinks() -> list[str]:
    return ["crash_plugins.ledger:Ledger", "crash_plugins.post:Post", "crash_plugins.append:Append"]
