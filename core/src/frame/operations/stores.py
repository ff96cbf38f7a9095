"""Which audit store is meant when nobody says so."""

import os
from collections.abc import Mapping
from pathlib import Path

from frame.config.load import load
from frame.errors import UsageError
from frame.operations.compile import Pipeline, audit_url_of, loaded_pipeline

VARIABLE = "FRAME_AUDIT"
USUAL_STORE, USUAL_PIPELINE = Path(".frame", "audit.db"), Path("pipeline.yaml")


def store_url(
    audit: str | None = None,
    pipeline: Pipeline | None = None,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """The URL of the audit store to read.

    The first of: `audit`; the store of `pipeline`; the variable FRAME_AUDIT; `.frame/audit.db` in
    this folder; the store of `pipeline.yaml` in this folder. Raises UsageError if there is none of them.
    """
    if audit:
        return audit
    if pipeline is not None:
        return audit_url_of(loaded_pipeline(pipeline))
    if environ.get(VARIABLE):
        return environ[VARIABLE]
    if USUAL_STORE.exists():
        return f"sqlite:///{USUAL_STORE.resolve()}"
    if USUAL_PIPELINE.is_file():
        return audit_url_of(load(USUAL_PIPELINE))
    raise UsageError(
        f"there is no audit store here: neither {USUAL_STORE} nor {USUAL_PIPELINE} is in this folder. "
        f"Go to the pipeline's folder, or say --pipeline FILE or --audit URL (or set {VARIABLE})"
    )
