"""The schema versions of a store, from the first published one on, applied in order and recorded in `migrations`.

A store that is newer than this frame is refused before anything is written to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, inspect, select

from frame.audit import schema
from frame.audit.migrations import v0001_packed_record
from frame.errors import Refused


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    apply: Callable[[Connection], None]


MIGRATIONS = (Migration(1, "packed record", v0001_packed_record.apply),)
NEWEST = MIGRATIONS[-1].number


def version(connection: Connection) -> int:
    """The number of the newest migration that the store has gone through; 0 for an empty one."""
    if not inspect(connection).has_table("migrations"):
        return 0
    return max(connection.scalars(select(schema.migrations.c.number)), default=0)


def check(where: str, stands_at: int) -> None:
    """Raises Refused if the store is newer than this frame."""
    if stands_at > NEWEST:
        raise Refused(
            f"audit store {where} has schema version {stands_at}, and this frame knows {NEWEST}: "
            "use the frame that wrote it, or a newer one. Nothing was written."
        )


def migrate(connection: Connection, where: str, now_us: int) -> None:
    """Bring the store to the newest version, inside the caller's transaction."""
    stands_at = version(connection)
    check(where, stands_at)
    for migration in MIGRATIONS[stands_at:]:
        migration.apply(connection)
        done = {"number": migration.number, "name": migration.name, "applied_us": now_us}
        connection.execute(insert(schema.migrations), done)
