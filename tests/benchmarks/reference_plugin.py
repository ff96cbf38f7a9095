"""The transform of the reference pipeline, and the hooks of the package that it is installed as."""

from frame.plugin import Context, Determinism, PluginConfig, Transform, hookimpl
from frame.rows import Row


class Gain(Transform):
    """Add `gain`, the minutes that a flight made up in the air."""

    name = "gain"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        """No options."""

    def process(self, row: Row, context: Context) -> dict[str, object]:
        return {**row, "gain": row["dep_delay"] - row["arr_delay"]}


@hookimpl
def frame_transforms() -> list[type[Transform]]:
    return [Gain]
