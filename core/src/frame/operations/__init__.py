"""What a user can ask of frame, one function each. The command line and the Python API only translate.

Each is imported when it is first used: a command pays for what it does, and not for all that could be asked.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from frame.operations.plugin_locking import WrittenLock, lock_plugins
    from frame.operations.plugin_manifest import MadeManifest, make_manifest
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
    "MadeManifest",
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
    "WrittenLock",
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
    "lock_plugins",
    "make_manifest",
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

_OFFERS = {
    "audit_store": ("ReadyStore", "init_store"),
    "backup": ("Backup", "backup"),
    "dead_letter_records": (
        "DeadLetter",
        "DeadLetters",
        "Resolved",
        "dead_letter",
        "dead_letters",
        "resolve_dead_letters",
    ),
    "dead_letter_retry": ("Retried", "retry_dead_letters"),
    "explain": ("explain",),
    "export": ("Exported", "export"),
    "keys": ("RevokedKey", "ShownKey", "generate_key", "revoke_key", "rotate_key", "show_key"),
    "plugin_catalog": ("doctor", "plugin_info", "plugins"),
    "plugin_locking": ("WrittenLock", "lock_plugins"),
    "plugin_manifest": ("MadeManifest", "make_manifest"),
    "proof": ("ProofReport", "prove", "verify_proof"),
    "purge": ("Purged", "purge"),
    "replay": ("Replayed", "replay"),
    "resume": ("resume",),
    "run": ("run",),
    "run_records": ("RunReport", "Runs", "run_info", "runs"),
    "starting": ("Started", "init"),
    "validation": ("Picture", "Validation", "graph_of", "schema", "validate"),
    "verify": ("verify",),
    "verify_export": ("ExportReport", "verify_export"),
}
"""Module -> what it offers."""
_HOMES = {name: module for module, names in _OFFERS.items() for name in names}


def __getattr__(name: str) -> Any:
    """The name, from where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


class _Operations(ModuleType):
    """This package. `run` is the function, also once the module of that name has been imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Operations
