"""Reading from SQLite: by pages, or from a temporary copy, since an open statement keeps others from writing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from frame_sql.reading import Reading, Rows
from frame_sql.sqlite import kind_of
from frame_sql.values import Read, reader_of_text

_VIEW = "temp.frame_sql_reads"
_COPY = "temp.frame_sql_rows"


class SqliteReading(Reading):
    """One look at a file."""

    collation: ClassVar[str] = " COLLATE BINARY"

    @property
    def snapshot(self) -> str | None:
        return None

    @property
    def server(self) -> str:
        return f"SQLite {self._connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"

    def _names_something(self, table: Sequence[str]) -> bool:
        asked = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
        return self._connection.exec_driver_sql(asked, tuple(table)).first() is not None

    def _look(self) -> tuple[Sequence[str], list[tuple[int, Read]]]:
        # A view knows the declared types of its columns, and is made of nothing but one SELECT.
        self._connection.exec_driver_sql("PRAGMA query_only = OFF")
        self._connection.exec_driver_sql(f"DROP VIEW IF EXISTS {_VIEW}")
        selects = f"SELECT q.* FROM {self.relation} AS q" if self._table else self._select
        self._connection.exec_driver_sql(f"CREATE VIEW {_VIEW} AS {selects}")
        found = self._connection.exec_driver_sql("PRAGMA temp.table_info(frame_sql_reads)").all()
        self._connection.commit()
        self._connection.exec_driver_sql("PRAGMA query_only = ON")
        return self._names(found), self._readers(found)

    def _names(self, found: Sequence[Any]) -> list[str]:
        if self._table:
            return [column.name for column in found]
        cursor = self._connection.exec_driver_sql(self._select or "").cursor
        assert cursor is not None
        names = [name for name, *_ in cursor.description]
        self._connection.rollback()
        return names

    def _readers(self, found: Sequence[Any]) -> list[tuple[int, Read]]:
        kinds = [(at, kind_of(column.type)) for at, column in enumerate(found)]
        reads = [(at, reader_of_text(kind.name, self._zone)) for at, kind in kinds if kind is not None]
        return [(at, read) for at, read in reads if read is not None]

    def batches(self, place: Callable[[], Any], size: int) -> Iterator[Rows]:
        if not self.key:
            yield from self._copied(size)
            return
        full = True
        while full:
            after = place()
            statement, bound = self._statement(after, size + 1)
            rows = self._connection.exec_driver_sql(statement, bound).all()
            self._connection.rollback()
            full = len(rows) > size
            yield self._behind(after, rows)

    def _copied(self, size: int) -> Iterator[Rows]:
        """All rows, of one state of the file, from a copy that SQLite keeps on disk and drops with the connection."""
        self._connection.exec_driver_sql("PRAGMA query_only = OFF")
        self._connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_COPY}")
        self._connection.exec_driver_sql(f"CREATE TABLE {_COPY} AS SELECT q.* FROM {self.relation} AS q")
        self._connection.commit()
        options = {"yield_per": size}
        rows = self._connection.exec_driver_sql(f"SELECT * FROM {_COPY}", (), execution_options=options)
        yield from rows.partitions()
