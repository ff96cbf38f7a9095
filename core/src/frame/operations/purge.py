"""Removing the data of old runs from the record, and keeping the proof of what happened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock, as_datetime
from frame.errors import AuditError, UsageError
from frame.operations.asker import asker
from frame.operations.stores import store_url

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.purge import Candidate

LEAST_OF_AN_ID = 6
"""Characters. In a store with one run, a single digit names it."""
COPIES = "Backups and other copies of the store keep what they have."


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has removed, or with `dry_run` would remove.

    `kept`: runs that keep their data although they were meant, each with the reason. `finished`: runs whose purge an
    earlier process had put on record and not brought to its end. `log_n`: the record of the store's log, None if
    nothing was purged. `notes`: what its owner should know.
    """

    store: str
    at_us: int
    by: str
    reason: str
    dry_run: bool
    purged: tuple["Candidate", ...]
    kept: tuple["Candidate", ...]
    finished: tuple[str, ...] = ()
    log_n: int | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "at": as_datetime(self.at_us).isoformat(),
            "by": self.by,
            "reason": self.reason,
            "dry_run": self.dry_run,
            "log_record": self.log_n,
            "purged": [_as_json(each) for each in self.purged],
            "kept": [_as_json(each) | {"because": each.kept_because} for each in self.kept],
            "finished": list(self.finished),
            "notes": list(self.notes),
        }


def _as_json(run: "Candidate") -> dict[str, Any]:
    return {
        "run": run.run_id,
        "pipeline": run.pipeline,
        "status": run.status,
        "ended_at": None if run.ended_us is None else as_datetime(run.ended_us).isoformat(),
        "blocks": run.blocks,
        "bytes": run.stored_bytes,
        "given_up": run.given_up,
    }


def purge(
    older_than: timedelta | None = None,
    runs: Sequence[str] = (),
    *,
    reason: str = "",
    give_up: bool = False,
    dry_run: bool = False,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> Purged:
    """What came of removing the rows, outputs and calls of runs from the record. Hashes, lineage and events stay.

    `older_than`: of runs that ended longer ago. `runs`: of these (ids, beginnings of ids, "latest"). At least one of
    them is given; with both a run has to fit both. `reason` goes on record, as does who asks. `dry_run`: say what
    would be removed, and change nothing. `give_up`: of the `runs`, those that could be resumed are ended for good, on
    record, and lose their data, too.

    Otherwise a run that can be resumed keeps its data, as does one that has open dead letters, or that a process works
    on. Raises UsageError if a run is not there or hardly named, TryAgainLater if one is taken up while it is given up.
    """
    from frame.audit import database

    if older_than is None and not runs:
        raise UsageError("say which runs: --older-than 90d, or --run RUN, or both")
    if give_up and (not runs or older_than is not None):
        raise UsageError("runs are given up by name alone: say which with --run RUN, and no age")
    clock = clock or SystemClock()
    with database.open(store_url(audit, pipeline), create=False) as store:
        with store.reading() as connection:
            now_us = store.now_us(connection, clock.time_us())
            numbers = [_meant(connection, each) for each in runs]
        before_us = None if older_than is None else now_us - older_than // timedelta(microseconds=1)
        asked = _Asked(now_us, before_us, tuple(numbers), give_up, asker(), reason)
        return _Purging(store, asked).look() if dry_run else _Purging(store, asked).carry_out()


def _meant(connection: Any, asked: str) -> int:
    """The number of a run that is to lose its data. Raises UsageError if a slip of the finger could mean it."""
    from frame.audit.queries import find_run, run_ids
    from frame.audit.runs import LATEST

    number = find_run(connection, asked)
    if asked != LATEST and len(asked) < LEAST_OF_AN_ID:
        (run_id,) = run_ids(connection, [number])
        raise UsageError(
            f"{asked!r} is too little of an id to remove data by: it means run {run_id} now; type at least "
            f"{LEAST_OF_AN_ID} characters of it"
        )
    return number


@dataclass(frozen=True, slots=True)
class _Asked:
    now_us: int
    before_us: int | None
    runs: tuple[int, ...]
    give_up: bool
    by: str
    reason: str

    @property
    def which(self) -> tuple[int, int | None, tuple[int, ...], bool]:
        """The runs that are meant."""
        return self.now_us, self.before_us, self.runs, self.give_up


class _Purging:
    def __init__(self, store: "Database", asked: _Asked) -> None:
        self._store, self._asked = store, asked

    def look(self) -> Purged:
        """What would be purged."""
        from frame.audit import purge

        with self._store.reading() as connection:
            going, staying = _parted(purge.choose(connection, *self._asked.which))
        return self._told(going, staying, dry_run=True)

    def carry_out(self) -> Purged:
        """Finish what was begun before, then put this purge on record and carry it out."""
        from frame.audit import purge

        asked, log_n = self._asked, None
        with self._store.reading() as connection:
            purge.refuse_without_right(connection, self._store.where)
            left = purge.unfinished(connection)
        self._remove(list(left))
        given_up = self._give_up()
        with self._store.writing() as connection:
            going, staying = _parted(purge.choose(connection, *asked.which))
            going = [replace(each, given_up=each.run in given_up) for each in going]
            if going:
                log_n = purge.put_down(
                    connection, going, asked.now_us, asked.by, asked.reason, asked.before_us
                )
        self._remove([each.run for each in going])
        notes = self._leave_no_remains()
        notes = (*notes, COPIES) if going or left else notes
        return self._told(going, staying, finished=tuple(left.values()), log_n=log_n, notes=notes)

    def _give_up(self) -> frozenset[int]:
        """End the runs that could be resumed, if that was asked for."""
        from frame.audit import purge

        asked = self._asked
        if not asked.give_up:
            return frozenset()
        with self._store.reading() as connection:
            found = [each for each in purge.choose(connection, *asked.which) if each.given_up]
        for each in found:
            purge.give_up(self._store, each, asked.now_us, asked.by, asked.reason)
        return frozenset(each.run for each in found)

    def _told(self, going: Sequence["Candidate"], staying: Sequence["Candidate"], **more: Any) -> Purged:
        asked = self._asked
        facts = {"dry_run": False, **more}
        return Purged(
            self._store.where,
            asked.now_us,
            asked.by,
            asked.reason,
            purged=tuple(going),
            kept=tuple(staying),
            **facts,
        )

    def _remove(self, runs: Sequence[int]) -> None:
        from frame.audit import erasure, purge

        for run in runs:
            with self._store.reading() as connection:
                portions = list(purge.portions(connection, run))
            for first, last in portions:
                with self._store.writing() as connection:
                    if erasure.is_file(self._store):
                        erasure.overwriting(connection)
                    purge.remove(connection, run, first, last)

    def _leave_no_remains(self) -> tuple[str, ...]:
        """Make what was deleted unreadable; what could not be done, or is not ours to do."""
        from frame.audit import erasure

        if not erasure.is_file(self._store):
            return (
                "PostgreSQL reuses the room in its own time; to have it back at once: VACUUM FULL payload_data.",
            )
        notes = []
        if erasure.has_remains(self._store):
            notes += self._rewrite()
        if not erasure.empty_log(self._store):
            notes.append(
                "The write-ahead log of the store is in use and may still have removed bytes: purge again "
                "when no run is under way."
            )
        return tuple(notes)

    def _rewrite(self) -> list[str]:
        from frame.audit import erasure
        from frame.audit.purge import runs_under_way

        with self._store.reading() as connection:
            busy = runs_under_way(connection, self._asked.now_us)
        if busy:
            wait = f"{busy} run{'s' * (busy != 1)} would have to wait"
            return [f"The file was not written anew, since {wait}: purge again when no run is under way."]
        try:
            erasure.rewrite(self._store)
        except AuditError as error:
            return [f"The file could not be written anew: {error.why}. Purge again, and it becomes smaller."]
        return []


def _parted(found: Sequence["Candidate"]) -> tuple[list["Candidate"], list["Candidate"]]:
    """The runs whose data may go, and those whose data has to stay."""
    return [each for each in found if not each.kept_because], [each for each in found if each.kept_because]
