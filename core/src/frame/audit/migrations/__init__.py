"""The schema versions of a store, from the first published one on, recorded in `migrations` and in the store's log.

A new store is built as a whole and stamped with all versions; an older one goes through those that it lacks, one
after the other. Both ways end at the same schema. A store that is newer than this frame is refused before anything
is written to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, inspect, select

from frame.audit import schema
from frame.audit.migrations import fresh, v0001_packed_record, v0002_chained_record, v0003_places_in_batches
from frame.audit.store_log import LogKind, append
from frame.errors import Refused


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    apply: Callable[[Connection], None]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "packed record", v0001_packed_record.apply),
    Migration(2, "chained record", v0002_chained_record.apply),
    Migration(3, "places in batches", v0003_places_in_batches.apply),
)
NEWEST = MIGRATIONS[-1].number
CHAINED = 2
"""The first version whose runs have blocks."""


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


def migrate(
    connection: Connection, where: str, now_us: int, build: Callable[[Connection], None] = fresh.build
) -> None:
    """Bring the store to the newest version, inside the caller's transaction. `build`: make it where there is none."""
    stands_at = version(connection)
    check(where, stands_at)
    if stands_at == 0:
        build(connection)
        done = MIGRATIONS
    else:
        done = MIGRATIONS[stands_at:]
        for migration in done:
            migration.apply(connection)
    _stamp(connection, stands_at, done, now_us)


def _stamp(connection: Connection, stood_at: int, done: tuple[Migration, ...], now_us: int) -> None:
    """Record what the store has gone through, and which runs are from before there were blocks."""
    rows = [{"number": each.number, "name": each.name, "applied_us": now_us} for each in done]
    if rows:
        connection.execute(insert(schema.migrations), rows)
        applied = connection.execute(select(schema.migrations).order_by(schema.migrations.c.number))
        newest = select(func.max(schema.run_headers.c.run))
        runs_before = (connection.scalar(newest) or 0) if stood_at < CHAINED else 0
        detail = {
            "applied": [[row.number, row.name, row.applied_us] for row in applied],
            "runs_before": runs_before,
        }
        append(connection, LogKind.MIGRATED, now_us, detail)
