"""Writing down which plugin packages a pipeline may use."""

from dataclasses import dataclass
from pathlib import Path

from frame.operations.compile import Pipeline, compile_with, loaded_pipeline
from frame.plugin.lock import FILE, LockedPackage, lock_of
from frame.plugin.registry import Registry


@dataclass(frozen=True, slots=True)
class WrittenLock:
    """The lock of a pipeline, as it has to be. `is_current`: whether that is what stands at `path`."""

    path: Path
    packages: tuple[LockedPackage, ...]
    is_current: bool


def lock_plugins(pipeline: Pipeline, *, write: bool = True, registry: Registry | None = None) -> WrittenLock:
    """The packages that `pipeline` uses, as they are installed now, put beside it as `plugins.lock` if `write`.

    Raises ConfigError or PluginError as `validate` does; a lock that is there already is not obeyed.
    """
    loaded, registry = loaded_pipeline(pipeline), registry or Registry.discover()
    compile_with(loaded, registry)
    lock = lock_of(registry.used, loaded.folder / FILE)
    is_current = lock.path.is_file() and lock.path.read_text(encoding="utf-8") == lock.as_text()
    if write and not is_current:
        lock.path.write_text(lock.as_text(), encoding="utf-8")
    return WrittenLock(lock.path, lock.packages, is_current)
