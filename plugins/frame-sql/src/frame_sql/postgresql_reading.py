"""Reading from PostgreSQL: through a cursor of the server, in one transaction that sees one state of the database."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

from frame_sql.database import DatabaseRefuses
from frame_sql.names import quoted
from frame_sql.postgresql_values import NAIVE
from frame_sql.reading import Reading, Rows
from frame_sql.values import Read, zoned

_TEXTS = frozenset({25, 1042, 1043})
"""The OIDs of text, char(n) and varchar(n)."""


class PostgresqlReading(Reading):
    """One look at a database."""

    collation: ClassVar[str] = ' COLLATE "C"'

    @property
    def snapshot(self) -> str | None:
        return str(self._connection.exec_driver_sql("SELECT pg_current_snapshot()").scalar_one())

    @property
    def server(self) -> str:
        return f"PostgreSQL {self._connection.exec_driver_sql('SHOW server_version').scalar_one()}"

    def _names_something(self, table: Sequence[str]) -> bool:
        named = ".".join(map(quoted, table))
        return self._connection.exec_driver_sql("SELECT to_regclass(%s)", (named,)).scalar_one() is not None

    @cached_property
    def _description(self) -> list[Any]:
        cursor = self._connection.exec_driver_sql(f"SELECT q.* FROM {self.relation} AS q LIMIT 0", ()).cursor
        assert cursor is not None
        return list(cursor.description)

    def _look(self) -> tuple[Sequence[str], list[tuple[int, Read]]]:
        naive = [
            (at, column.name) for at, column in enumerate(self._description) if column.type_code in NAIVE
        ]
        if naive and self._zone is None:
            raise DatabaseRefuses(
                f"column {', '.join(repr(name) for _, name in naive)} has times without a zone: say with `naive_zone` "
                "in which one they are meant"
            )
        return [column.name for column in self._description], [(at, zoned(self._zone)) for at, _ in naive]

    @cached_property
    def _folds(self) -> bool:
        """Whether the database has collations to which different texts may be equal."""
        asked = "SELECT EXISTS (SELECT FROM pg_collation WHERE NOT collisdeterministic)"
        return bool(self._connection.exec_driver_sql(asked).scalar_one())

    def _collated(self, name: str) -> str:
        type_code = self._description[self.names.index(name)].type_code
        return self.collation if type_code in _TEXTS and self._folds else ""

    def batches(self, place: Callable[[], Any], size: int) -> Iterator[Rows]:
        after = place()
        statement, bound = self._statement(after, None)
        result = self._connection.exec_driver_sql(statement, bound, execution_options={"yield_per": size})
        for rows in result.partitions():
            yield self._behind(after, rows)
            after = None
