"""Making an audit store, and bringing one up to date."""

from collections.abc import Sequence
from dataclasses import dataclass

from frame.clock import Clock, SystemClock
from frame.errors import UsageError


@dataclass(frozen=True, slots=True)
class ReadyStore:
    """An audit store that can be used. `from_version`: of its schema before; 0: it was made now."""

    store: str
    version: int
    from_version: int
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What was done, in a line."""
        if self.from_version == 0:
            done = f"made audit store {self.store}"
        elif self.from_version < self.version:
            done = (
                f"brought audit store {self.store} from schema version {self.from_version} to {self.version}"
            )
        else:
            done = f"audit store {self.store} is ready as it was"
        granted = [
            f"{', '.join(roles)} may {what}"
            for roles, what in ((self.writers, "write"), (self.readers, "read"))
            if roles
        ]
        return "; ".join([done, *granted])

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "version": self.version,
            "from_version": self.from_version,
            "writers": list(self.writers),
            "readers": list(self.readers),
            "warnings": list(self.warnings),
        }


def init_store(
    url: str, writers: Sequence[str] = (), readers: Sequence[str] = (), clock: Clock | None = None
) -> ReadyStore:
    """The audit store at `url`, made or brought up to date, with the rights of `writers` and `readers` granted.

    Raises UsageError if the URL makes no sense, Refused if something else is in its place or a role is missing,
    AuditError if the database cannot do it.
    """
    from frame.audit import database, migrations

    backend = database.backend_of(url)
    if backend.engine.dialect.name == "postgresql":
        from frame.audit.postgresql_setup import prepare

        done = prepare(backend, (clock or SystemClock()).time_us(), writers, readers)
        granted = tuple(writers), tuple(readers)
        return ReadyStore(backend.where, migrations.NEWEST, done.from_version, *granted, done.warnings)
    if writers or readers:
        raise UsageError("an SQLite file has no roles: its permissions say who may write to it")
    before = database.version_of(backend)
    with database.open(url) as store:
        return ReadyStore(store.where, migrations.NEWEST, before)
