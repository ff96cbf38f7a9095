"""The export that a pipeline asks for at the end of a run: made sure of before the run begins."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frame.config.load import LoadedPipeline
from frame.engine.result import RunResult
from frame.errors import ConfigError, ExportError, Refused, UsageError
from frame.operations.export import check, signing_key

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.signing import PrivateKey

RUN_ID = "{run_id}"


@dataclass(frozen=True, slots=True)
class ClosingExport:
    """What to write, where, and who signs it; `path` is None for nothing."""

    format: str = ""
    path: Path | None = None
    key: "PrivateKey | None" = None
    overwrite: bool = False

    def write(self, store: "Database", result: RunResult) -> None:
        """Export the run if it has come to a good end; one that is to be resumed is exported then.

        Raises ExportError if it cannot be written, and says that the run itself is done.
        """
        from frame.audit.recorder import ENDED_WELL

        if self.path is None or result.status not in ENDED_WELL:
            return
        from frame.audit import queries
        from frame.audit.export import formats
        from frame.audit.export.source import RunRecord

        target = _named(self.path, result.run_id)
        try:
            with store.reading() as connection:
                record = RunRecord(connection, queries.find_run(connection, result.run_id))
                formats.write(self.format, record, target, self.key, self.overwrite)
        except (ExportError, Refused) as error:
            why = error.why if isinstance(error, ExportError) else str(error)
            later = f"The run has ended well and is on record: frame export {result.run_id} writes it later"
            raise ExportError(str(target), f"{why.rstrip('.')}. {later}") from error


def closing_export(loaded: LoadedPipeline, key: "PrivateKey | None") -> ClosingExport:
    """The export that the pipeline asks for; `key` signs it if it names none.

    Raises ConfigError if its key cannot be used, or if something that may not be replaced is at its path.
    """
    asked = loaded.config.export
    if asked is None:
        return ClosingExport()
    path, own = loaded.folder / asked.path, key_of_export(loaded)
    try:
        check(asked.format, _named(path, "a-run"), asked.overwrite)
    except (Refused, UsageError) as error:
        remedy = (
            f"Put {RUN_ID} into the path, so that every run has an export of its own, or say overwrite: true."
        )
        raise ConfigError([loaded.positions.problem(("export", "path"), str(error), remedy)]) from None
    return ClosingExport(asked.format, path, own or key, asked.overwrite)


def key_of_export(loaded: LoadedPipeline) -> "PrivateKey | None":
    """The key that the pipeline names for its export. Raises ConfigError if it cannot be used."""
    asked = loaded.config.export
    if asked is None or asked.sign is None:
        return None
    try:
        return signing_key(loaded.folder / asked.sign)
    except UsageError as error:
        raise ConfigError([loaded.positions.problem(("export", "sign"), str(error))]) from None


def _named(path: Path, run_id: str) -> Path:
    return Path(str(path).replace(RUN_ID, run_id))
