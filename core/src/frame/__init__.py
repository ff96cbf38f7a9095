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
    from frame.operations.backup import backup
    from frame.operations.dead_letter_records import dead_letters, resolve_dead_letters
    from frame.operations.dead_letter_retry import retry_dead_letters
    from frame.operations.explain import explain
    from frame.operations.export import export
    from frame.operations.plugin_catalog import plugin_info, plugins
    from frame.operations.purge import purge
    from frame.operations.replay import replay
    from frame.operations.resume import resume
    from frame.operations.run import run
    from frame.operations.run_records import RunReport, Runs, run_info, runs
    from frame.operations.validation import Validation, graph_of, schema, validate
    from frame.operations.verify import verify
    from frame.operations.verify_export import verify_export

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
    "backup",
    "dead_letters",
    "explain",
    "export",
    "graph_of",
    "pipeline",
    "plugin_info",
    "plugins",
    "purge",
    "replay",
    "resolve_dead_letters",
    "resume",
    "retry_dead_letters",
    "run",
    "run_info",
    "runs",
    "schema",
    "validate",
    "verify",
    "verify_export",
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
