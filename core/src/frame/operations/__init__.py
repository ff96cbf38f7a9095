"""What a user can ask of frame, one function each. The command line and the Python API only translate."""

from frame.operations.audit_store import ReadyStore, init_store
from frame.operations.backup import Backup, backup
from frame.operations.dead_letter_records import (
    DeadLetter,
    DeadLetters,
    Resolved,
    dead_letter,
    dead_letters,
    resolve_dead_letters,
)
from frame.operations.dead_letter_retry import Retried, retry_dead_letters
from frame.operations.explain import explain
from frame.operations.export import Exported, export
from frame.operations.keys import RevokedKey, ShownKey, generate_key, revoke_key, rotate_key, show_key
from frame.operations.plugin_catalog import doctor, plugin_info, plugins
from frame.operations.proof import ProofReport, prove, verify_proof
from frame.operations.purge import Purged, purge
from frame.operations.replay import Replayed, replay
from frame.operations.resume import resume
from frame.operations.run import run
from frame.operations.run_records import RunReport, Runs, run_info, runs
from frame.operations.starting import Started, init
from frame.operations.validation import Picture, Validation, graph_of, schema, validate
from frame.operations.verify import verify
from frame.operations.verify_export import ExportReport, verify_export

__all__ = [
    "Backup",
    "DeadLetter",
    "DeadLetters",
    "ExportReport",
    "Exported",
    "Picture",
    "ProofReport",
    "Purged",
    "ReadyStore",
    "Replayed",
    "Resolved",
    "Retried",
    "RevokedKey",
    "RunReport",
    "Runs",
    "ShownKey",
    "Started",
    "Validation",
    "backup",
    "dead_letter",
    "dead_letters",
    "doctor",
    "explain",
    "export",
    "generate_key",
    "graph_of",
    "init",
    "init_store",
    "plugin_info",
    "plugins",
    "prove",
    "purge",
    "replay",
    "resolve_dead_letters",
    "resume",
    "retry_dead_letters",
    "revoke_key",
    "rotate_key",
    "run",
    "run_info",
    "runs",
    "schema",
    "show_key",
    "validate",
    "verify",
    "verify_export",
    "verify_proof",
]
