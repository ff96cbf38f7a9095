"""A run that carries on tokens of another one, against that one: they failed there, and nothing caught them (F6)."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.dead_letters import unhandled_tokens
from frame.audit.linked_runs import carried_tokens, origin_of
from frame.audit.verify.report import Finding, RunReport


def check_linked(connection: Connection, report: RunReport) -> Iterator[Finding]:
    """Whether every token that the run carries on is a dead letter of the run that it names as its origin."""
    origin, carried = origin_of(connection, report.run), carried_tokens(connection, report.run)
    if origin is None:
        if carried:
            yield _finding(
                report, "carries on tokens, and names no run that they are from", min(carried.values())
            )
        return
    headers = schema.run_headers.c
    number = connection.scalar(select(headers.run).where(headers.run_id == origin))
    if number is None:
        yield _finding(report, f"carries on tokens of run {origin}, which is not in this store", None)
        return
    strange = carried.keys() - unhandled_tokens(connection, number)
    if strange:
        token = min(strange)
        yield _finding(
            report, f"carries on token {token} of run {origin}, which is no dead letter there", carried[token]
        )


def _finding(report: RunReport, what: str, token: int | None) -> Finding:
    means = "its rows cannot be traced to the source that they are said to be from"
    return Finding("F6", f"the run {what}", means, table="segments", run_id=report.run_id, token=token)
