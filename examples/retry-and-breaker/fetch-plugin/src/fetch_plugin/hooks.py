"""What this package offers to frame."""

from frame.plugin import hookimpl


@hookimpl
def frame_transforms() -> list[str]:
    return ["fetch_plugin.fetch:Fetch"]
