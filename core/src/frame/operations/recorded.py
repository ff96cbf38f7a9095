"""What the record keeps of a pipeline file, and the way back to the file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame.errors import UsageError
from frame.operations.compile import Compiled, Pipeline
from frame.secrecy import without_userinfo_inside

if TYPE_CHECKING:
    from frame.audit.queries import RunDetails


def recorded(compiled: Compiled) -> dict[str, Any]:
    """What goes on record: where the file is, the hash of its text, and what it says, references to secrets unread."""
    loaded = compiled.loaded
    return {
        "file": str(Path(loaded.file).absolute()) if loaded.file else "",
        "text_sha256": loaded.text_sha256.hex(),
        "pipeline": pipeline_of(compiled),
    }


def pipeline_of(compiled: Compiled) -> dict[str, Any]:
    """What the pipeline file says, as JSON values, without what it leaves at the default, nor users in URLs."""
    said: dict[str, Any] = compiled.loaded.config.model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )
    shown: dict[str, Any] = without_userinfo_inside(said)
    return shown


def file_of(details: "RunDetails", given: Pipeline | None) -> Pipeline:
    """The pipeline of a run: `given`, or else the file that the record names. Raises UsageError if there is none."""
    if given is not None:
        return given
    file = details.config.get("file", "")
    if not file:
        raise UsageError(
            f"run {details.summary.run_id} was given its pipeline in code, and only code can give it again: "
            "frame.resume(run, pipeline=...)"
        )
    if not Path(file).is_file():
        raise UsageError(
            f"the pipeline of run {details.summary.run_id} was {file}, which is not there any more: "
            "say where it is with --pipeline FILE"
        )
    return Path(file)
