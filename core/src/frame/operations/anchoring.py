"""What a run leaves outside its store: signatures, if there is a key, and a receipt, always."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frame.audit.key_files import read_private
from frame.audit.notes import Note
from frame.audit.signing import PRIVATE, PrivateKey
from frame.clock import Clock
from frame.config.load import LoadedPipeline
from frame.engine.recorder import Recorder
from frame.engine.result import KeptReceipt
from frame.errors import ConfigError, FrameError, Problem, UsageError

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.recorder import RunRecorder

KEY_VARIABLE = "FRAME_SIGNING_KEY"
FOLDER = "receipts"

_log = logging.getLogger("frame.pipeline")


@dataclass(frozen=True, slots=True)
class Anchoring:
    """The key that signs, None for none, and the folder that takes the receipts."""

    key: PrivateKey | None
    folder: Path

    def announce(self, store: "Database", clock: Clock) -> None:
        """Put on record whose signatures come now. Raises Refused if that key was revoked, AuditError."""
        if self.key is not None:
            from frame.audit.checkpoints import announce

            announce(store, self.key.public, clock.time_us())

    def recorder(self, recorder: "RunRecorder", clock: Clock) -> Recorder:
        """`recorder`, signing if there is a key."""
        if self.key is None:
            return recorder
        from frame.audit.checkpoints import SigningRecorder

        return SigningRecorder(recorder, self.key, clock)

    def keep_receipt(self, recorder: "RunRecorder", clock: Clock) -> KeptReceipt | None:
        """Where the run's receipt is now; None if it could not be written, which is logged and stops nothing."""
        from frame.audit.checkpoints import log_head
        from frame.audit.receipts import keep, text_of

        try:
            with recorder.database.reading() as connection:
                log = log_head(connection)
            text = text_of(recorder.head, clock.time_us(), log)
            note = Note(text) if self.key is None else self.key.sign(text)
            path = keep(self.folder, recorder.run_id, note)
        except FrameError as error:
            _log.warning("no receipt was kept of run %s: %s", recorder.run_id, error)
            return None
        return KeptReceipt(str(path), None if self.key is None else self.key.public.key_id.hex())


def anchoring_of(
    loaded: LoadedPipeline, audit_url: str, environ: Mapping[str, str] = os.environ
) -> Anchoring:
    """How a run of this pipeline is anchored, its key looked at. Raises ConfigError if the key cannot be used."""
    return Anchoring(_key_of(loaded, environ), receipts_folder(loaded, audit_url))


def receipts_folder(loaded: LoadedPipeline, audit_url: str) -> Path:
    """The folder in the pipeline file; else one beside the store; else, for a server, one beside the pipeline."""
    named = loaded.config.audit.receipts
    if named is not None:
        return (loaded.folder / named).resolve()
    path = audit_url.removeprefix("sqlite:///")
    beside = loaded.folder / ".frame" if path == audit_url else Path(path).parent
    return beside.resolve() / FOLDER


def _key_of(loaded: LoadedPipeline, environ: Mapping[str, str]) -> PrivateKey | None:
    named = environ.get(KEY_VARIABLE)
    if named and named.startswith(PRIVATE):
        said = f"{KEY_VARIABLE} names the file of a key, and a key itself stands in it: replace that key"
        raise ConfigError([Problem(said)])
    try:
        if named:
            return read_private(Path(named))
        if loaded.config.audit.sign is not None:
            return read_private(loaded.folder / loaded.config.audit.sign)
    except UsageError as why:
        if named:
            raise ConfigError([Problem(f"{KEY_VARIABLE}: {why}")]) from None
        raise ConfigError([loaded.positions.problem(("audit", "sign"), str(why))]) from None
    return None
