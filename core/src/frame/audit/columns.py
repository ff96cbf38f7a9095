"""What the tables of the record are built from: columns, and references that stay within a run."""

from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData
from sqlalchemy.types import TypeEngine

metadata = MetaData()


def column(name: str, kind: type[TypeEngine[Any]], *, null: bool = False, comment: str = "") -> Column[Any]:
    """A column that is never null unless `null` says so."""
    return Column(name, kind, nullable=null, comment=comment or None)


def of_run() -> ForeignKeyConstraint:
    """The row belongs to a run."""
    return ForeignKeyConstraint(["run"], ["run_headers.run"])


def of_chunk() -> ForeignKeyConstraint:
    """The row belongs to a commit of a run."""
    return ForeignKeyConstraint(["run", "chunk"], ["chunks.run", "chunks.chunk"])


def of_node(name: str = "node") -> ForeignKeyConstraint:
    """Column `name` is a node of the run."""
    return ForeignKeyConstraint(["run", name], ["nodes.run", "nodes.node"])


def of_payload_block() -> ForeignKeyConstraint:
    """The row belongs to a block of payload bytes."""
    key = ("run", "chunk", "number", "part")
    return ForeignKeyConstraint(key, [f"payload_blocks.{name}" for name in key])


def event_key() -> tuple[Column[Any], ...]:
    """The columns that say which event a row is about."""
    return (
        column("run", Integer),
        column("chunk", Integer),
        column("position", Integer, comment="place of the event in its chunk, from 0"),
    )
