"""What this package offers."""

from frame.plugin import hookimpl


@hookimpl
def frame_transforms() -> list[str]:
    return ["stranger_plugins.shout:Shout"]


@hookimpl
def frame_sinks() -> list[str]:
    return ["stranger_plugins.diary:Diary"]
