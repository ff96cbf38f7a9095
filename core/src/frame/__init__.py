"""frame: data pipelines made of plugins, with every row's every step on record.

    import frame

    result = frame.run("pipeline.yaml")

What a program asks of frame is here, imported when it is first used. What a plugin author needs is in
`frame.plugin`, what a test needs in `frame.testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frame.config.in_code import pipeline
    from frame.config.models import PipelineConfig as Pipeline
    from frame.engine.result import RunResult
    from frame.errors import FrameError
    from frame.events import RunStatus
    from frame.operations import (
        RunReport,
        Runs,
        Validation,
        dead_letters,
        graph_of,
        plugin_info,
        plugins,
        resolve_dead_letters,
        resume,
        retry_dead_letters,
        run,
        run_info,
        runs,
        schema,
        validate,
    )

__version__ = "0.1.0"

__all__ = [
    "FrameError",
    "Pipeline",
    "RunReport",
    "RunResult",
    "RunStatus",
    "Runs",
    "Validation",
    "__version__",
    "dead_letters",
    "graph_of",
    "pipeline",
    "plugin_info",
    "plugins",
    "resolve_dead_letters",
    "resume",
    "retry_dead_letters",
    "run",
    "run_info",
    "runs",
    "schema",
    "validate",
]

_HOMES = {
    "FrameError": "frame.errors:FrameError",
    "Pipeline": "frame.config.models:PipelineConfig",
    "RunResult": "frame.engine.result:RunResult",
    "RunStatus": "frame.events:RunStatus",
    "pipeline": "frame.config.in_code:pipeline",
}
"""Name -> where it is, for those that are not in frame.operations."""


def __getattr__(name: str) -> Any:
    """The name, from where it lives (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'frame' has no attribute {name!r}")
    home, _, inside = _HOMES.get(name, f"frame.operations:{name}").partition(":")
    value = globals()[name] = getattr(import_module(home), inside)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
