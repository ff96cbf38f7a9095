"""The page of the audit database."""

from frame.audit import schema
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from tools.reference.markdown import docstring, table


def page() -> str:
    """Every table of the record with its columns."""
    sections = [_section(one) for one in schema.metadata.sorted_tables]
    return "\n\n".join(["# Tables of the record", docstring(schema), *sections]) + "\n"


def _section(one: Table) -> str:
    rows = [
        (
            f"`{column.name}`",
            column.type.compile(dialect=sqlite.dialect()) + ("" if column.nullable else ", not null"),
            ", ".join(f"`{key.target_fullname}`" for key in column.foreign_keys),
            column.comment or "",
        )
        for column in one.columns
    ]
    return (
        f"## {one.name}\n\n{one.comment or ''}\n\n{table(['column', 'type', 'refers to', 'meaning'], rows)}"
    )
