"""Changes of single places of a store: through SQL, the way an attacker with the file would, and bit by bit."""

import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tamper.tamper_store import without_triggers

KINDS = ("change", "change", "change", "change", "delete", "insert", "swap")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """What was done, and where."""

    kind: str
    table: str
    column: str
    said: str

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.column}: {self.said}"


class Tamperer:
    """Makes one random change at a time, in tables, rows and columns that are all as likely as each other."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._path, self._chance = path, chance

    def tamper(self) -> Change:
        """Change something and say what."""
        while True:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                connection.execute("BEGIN")
                change = self._attempt(connection)
                if change is not None:
                    connection.execute("COMMIT")
                    return change
            except sqlite3.IntegrityError:
                pass  # the value is taken, or may not be null: another try
            finally:
                connection.close()

    def _attempt(self, connection: sqlite3.Connection) -> Change | None:
        chance = self._chance
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        table = chance.choice([name for (name,) in found if not name.startswith("sqlite_")])
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        names = [column[1] for column in columns]
        keys = [column[1] for column in columns if column[5]]
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        if not rows:
            return None
        triggers = without_triggers(connection, table)
        kind = chance.choice(KINDS)
        said = getattr(self, f"_{kind}")(connection, table, names, keys, rows)
        for trigger in triggers:
            connection.execute(trigger)
        now = connection.execute(f"SELECT * FROM {table}").fetchall()
        same = sorted(map(repr, now)) == sorted(map(repr, rows))
        return None if said is None or same else Change(kind, table, *said)

    def _change(
        self, connection: sqlite3.Connection, table: str, names: list[str], keys: list[str], rows: list[Row]
    ) -> Any:
        at, row = self._chance.randrange(len(names)), self._chance.choice(rows)
        value = self._other(row[at], [other[at] for other in rows])
        self._set(connection, table, names[at], value, (names, keys, row))
        return names[at], f"{_short(row[at])} -> {_short(value)}"

    def _delete(
        self, connection: sqlite3.Connection, table: str, names: list[str], keys: list[str], rows: list[Row]
    ) -> Any:
        row = self._chance.choice(rows)
        connection.execute(f"DELETE FROM {table} WHERE {_where(keys)}", _key(names, keys, row))
        return "*", str(tuple(map(_short, _key(names, keys, row))))

    def _insert(
        self, connection: sqlite3.Connection, table: str, names: list[str], keys: list[str], rows: list[Row]
    ) -> Any:
        row, column = list(self._chance.choice(rows)), self._chance.choice(keys)
        at = names.index(column)
        row[at] = self._other(row[at], [other[at] for other in rows])
        for place, value in enumerate(row):
            if names[place] in ("run_id", "write_key"):
                row[place] = f"{value}-other"
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in names)})", row)
        return column, _short(row[at])

    def _swap(
        self, connection: sqlite3.Connection, table: str, names: list[str], keys: list[str], rows: list[Row]
    ) -> Any:
        if len(rows) < 2:
            return None
        at = self._chance.randrange(len(names))
        one, other = self._chance.sample(rows, 2)
        if one[at] == other[at]:
            return None
        if names[at] in keys:
            between = self._other(one[at], [row[at] for row in rows])
            moved = tuple(between if place == at else value for place, value in enumerate(one))
            self._set(connection, table, names[at], between, (names, keys, one))
            self._set(connection, table, names[at], one[at], (names, keys, other))
            self._set(connection, table, names[at], other[at], (names, keys, moved))
        else:
            self._set(connection, table, names[at], other[at], (names, keys, one))
            self._set(connection, table, names[at], one[at], (names, keys, other))
        return names[at], f"{_short(one[at])} <-> {_short(other[at])}"

    def _set(
        self,
        connection: sqlite3.Connection,
        table: str,
        column: str,
        value: Any,
        which: tuple[list[str], list[str], Row],
    ) -> None:
        names, keys, row = which
        done = connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE {_where(keys)}", [value, *_key(names, keys, row)]
        )
        assert done.rowcount == 1

    def _other(self, value: Any, taken: list[Any]) -> Any:
        """Another value of the same type, often one that stands in another row."""
        chance = self._chance
        others = [other for other in taken if other != value and other is not None]
        if others and chance.random() < 0.3:
            return chance.choice(others)
        match value:
            case None:
                return chance.choice([0, 1, "x"])
            case int():
                return value + chance.choice([-1, 1, 1 << chance.randrange(31)])
            case str():
                at = chance.randrange(len(value) + 1)
                other = chance.choice([each for each in "0a " if each != value[at : at + 1]])
                return value[:at] + other + value[at + 1 :]
            case bytes():
                if not value:
                    return b"\0"
                at = chance.randrange(len(value))
                return value[:at] + bytes([value[at] ^ (1 << chance.randrange(8))]) + value[at + 1 :]
        raise TypeError(type(value))


def _where(keys: list[str]) -> str:
    return " AND ".join(f"{key} IS ?" for key in keys)


def _key(names: list[str], keys: list[str], row: Row) -> list[Any]:
    return [row[names.index(key)] for key in keys]


def _short(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) < 40 else text[:37] + "..."


def flip_bit(path: Path, data: bytes, bit: int) -> None:
    """Write `data` to `path` with one bit turned over."""
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    at, mask = bit >> 3, 1 << (bit & 7)
    path.write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])


def logical(path: Path) -> dict[str, Any] | None:
    """Everything that SQL sees of a store, None if it cannot be read."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    connection.text_factory = bytes
    try:
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        seen: dict[str, Any] = {"": found.fetchall()}
        for kind, name, *_ in seen[""]:
            if kind == b"table":
                table = name.decode()
                keys = [
                    row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})") if row[5]
                ]
                ordered = f" ORDER BY {', '.join(keys)}" if keys else ""
                seen[table] = [
                    tuple(map(repr, row)) for row in connection.execute(f"SELECT * FROM {table}{ordered}")
                ]
        return seen
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return None
    finally:
        connection.close()
