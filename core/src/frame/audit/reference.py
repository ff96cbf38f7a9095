"""The page about the tables of the record, made from the schema."""

import sqlite3
from collections.abc import Iterator

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from frame.audit import schema, views

HEAD = """# The tables of the record

The audit store is a SQLite file, or the schema `frame` of a PostgreSQL database; tables and views are the same.
Read it with any client; nothing but frame should write to it, and triggers refuse every change of a fact.

Facts are stored packed: one stored row speaks of all tokens that fared alike. The *views* below take them apart
again, one row a token, a visit, an outcome. Ask the views; the stored tables come after them for whoever writes a
verifier. Rows belong to a run (`run`, a small number that the view `runs` pairs with the run id), to a commit of
that run (`chunk`) and to a place in it (`position`): sorted by these three, they are in the order in which they
were decided. Times are microseconds since 1970, UTC. Digests are 32 bytes of SHA-256.

Every visit by its end, over a whole run:

    SELECT status, count(*) FROM node_states WHERE run = 1 GROUP BY status

A token's visits are found fastest by chunk (`SELECT chunk FROM tokens WHERE run = 1 AND token = 17` tells it):

    SELECT * FROM node_states WHERE run = 1 AND chunk = 0 AND token = 17 ORDER BY visit, attempt
"""

ABOUT: dict[str, str] = {
    "runs": "one row a run, with the status that was recorded last; a run that says `running` with an expired lease "
    "has crashed",
    "run_events": "what happened to a run as a whole: started, resumed, a new status, notes such as an opened breaker",
    "rows": "one row a source row, with the token that it became",
    "validation_errors": "source rows that did not fit, and why",
    "tokens": "one row a token, with the commit in which it came into being and the way it did: source, fork, "
    "expansion, merge or batch, or that it was carried on from another run",
    "carried_tokens": "which token of which other run a token carries on, as in a retry of dead letters",
    "batch_members": "which tokens an aggregation held; `place` is their order in the batch, from 0",
    "batch_outputs": "which tokens came out of a batch",
    "batches": "one row a batch, with its trigger and its end",
    "token_parents": "which token came from which; an output of a batch comes from all members",
    "node_states": "one row a visit and attempt. `output_digest` is null where the row was not changed; `duration_us` "
    "is the visit's own where it was measured alone, `segment_duration_us` that of all `segment_visits` made together",
    "routing_events": "every decision of a gate, `continue` included, and every way that a failed row took",
    "sink_intents": "one row a write to a sink, intended and confirmed",
    "payloads": "one row a block of kept bytes; `purged` is 1 where only their hash is left",
    "token_outcomes": "how each token ended: one row a token that has ended",
}


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join((HEAD, "## Views\n", *_views(), "## Stored tables\n", *_tables())).rstrip() + "\n"


def _views() -> Iterator[str]:
    for name, query in views.VIEWS.items():
        yield f"### {name}\n\n{ABOUT[name][0].upper()}{ABOUT[name][1:]}.\n"
        yield f"Columns: {', '.join(f'`{column}`' for column in columns(query))}.\n"


def _tables() -> Iterator[str]:
    dialect = sqlite.dialect()
    for table in schema.metadata.sorted_tables:
        yield f"### {table.name} (stored)\n\n{_sentence(table)}\n\n| column | type | |\n|---|---|---|"
        for column in table.columns:
            kind = column.type.compile(dialect).lower() + (", may be null" if column.nullable else "")
            yield f"| `{column.name}` | {kind} | {column.comment or ''} |"
        yield ""


def _sentence(table: Table) -> str:
    about = table.comment or ""
    key = ", ".join(f"`{column.name}`" for column in table.primary_key)
    return f"{about[:1].upper()}{about[1:]}. Key: {key}."


def columns(query: str) -> list[str]:
    """The column names that a SELECT gives, asked of an empty store."""
    connection = sqlite3.connect(":memory:")
    try:
        for table in schema.metadata.sorted_tables:
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({names})")
        for name, other in views.VIEWS.items():
            connection.execute(f"CREATE VIEW {name} AS {other}")
        return [str(column[0]) for column in connection.execute(f"SELECT * FROM ({query})").description]
    finally:
        connection.close()
