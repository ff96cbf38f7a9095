"""Reading from SQLite: by pages, since a statement that is open keeps others from writing to the file."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from frame_sql.reading import Reading, Rows
from frame_sql.sqlite import kind_of
from frame_sql.values import Read, reader_of_text

_VIEW = "temp.frame_sql_reads"


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
            statement, bound = self._statement(None, None)
            options = {"yield_per": size}
            yield from self._connection.exec_driver_sql(
                statement, bound, execution_options=options
            ).partitions()
            return
        full = True
        while full:
            after = place()
            statement, bound = self._statement(after, size + 1)
            rows = self._connection.exec_driver_sql(statement, bound).all()
            self._connection.rollback()
            full = len(rows) > size
            yield self._behind(after, rows)
