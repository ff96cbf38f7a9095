"""Giving up a run that was stopped or has crashed: it is ended for good, and on record is who did so, when and why.

It is taken over as for a resume, so that nobody works on it any more, and ended as failed. What it has written stays
as it is; what was open stays open.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.text import from_json
from frame.clock import as_datetime

SAID = "given_up"
"""Where the detail of the change that ends such a run says so."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What is on record about a run that was given up."""

    at_us: int
    by: str
    reason: str

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"given up for good on {as_datetime(self.at_us):%Y-%m-%d %H:%M:%S}Z by {self.by}{why}"


def given_up(connection: Connection, run: int) -> GivenUp | None:
    """Who gave up a run, when and why; None if nobody did. Nothing follows it on record."""
    changes = schema.run_changes.c
    newest = select(changes.at_us, changes.detail).where(changes.run == run).order_by(changes.number.desc())
    row = connection.execute(newest.limit(1)).one()
    said = from_json(row.detail).get(SAID)
    return None if said is None else GivenUp(row.at_us, said["by"], said["reason"])
