"""Places for audit stores in tests: an SQLite file, or a database of its own on the tests' PostgreSQL server."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from frame.audit import database
from frame.audit.postgresql_setup import prepare

from tests.postgresql_server import Server

TEMPLATE = "frame_template"
_numbers = itertools.count()


def prepare_template(server: Server) -> None:
    """Make the store that those of the tests are copies of: building one takes a second, copying it a tenth."""
    with server.superuser() as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE} OWNER frame_owner TEMPLATE template0")
    prepare(database.backend_of(server.url(TEMPLATE)), time.time_ns() // 1000)


@contextmanager
def store_on(server: Server) -> Iterator[str]:
    """The URL of a new, empty store, which is dropped afterwards."""
    name = f"store_{os.getpid()}_{next(_numbers)}"
    with server.database(name, template=TEMPLATE) as url:
        yield url
