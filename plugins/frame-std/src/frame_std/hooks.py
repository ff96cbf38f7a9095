"""What this package offers. Each plugin is imported when a pipeline chooses it."""

from frame.plugin import hookimpl


@hookimpl
def frame_transforms() -> list[str]:
    return [
        "frame_std.transforms.cast:Cast",
        "frame_std.transforms.compute:Compute",
        "frame_std.transforms.dedupe:Dedupe",
        "frame_std.transforms.delay:Delay",
        "frame_std.transforms.explode:Explode",
        "frame_std.transforms.filter:Filter",
        "frame_std.transforms.lookup:Lookup",
        "frame_std.transforms.python:Python",
        "frame_std.transforms.rename:Rename",
        "frame_std.transforms.select:Select",
    ]


@hookimpl
def frame_gates() -> list[str]:
    return [
        "frame_std.gates.sample:Sample",
        "frame_std.gates.switch:Switch",
        "frame_std.gates.threshold:Threshold",
    ]


@hookimpl
def frame_aggregations() -> list[str]:
    return [
        "frame_std.aggregations.collect:Collect",
        "frame_std.aggregations.group_stats:GroupStats",
        "frame_std.aggregations.window:Window",
    ]
