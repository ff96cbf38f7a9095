"""The reference pipeline with a record as it is often kept: text ids, one SQLAlchemy transaction a record.

    python naive.py ROWS.csv OUT AUDIT.db

Only what is needed at least is recorded: a row, a token, one visit a node (transform, gate, sink), one routing
event, one outcome; seven transactions a row. Prints the seconds that the rows took, without start-up.
"""

import csv
import hashlib
import json
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from bare import NAMES, TYPES
from sqlalchemy import ForeignKey, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


def new_id() -> str:
    return uuid.uuid4().hex


class Base(DeclarativeBase):
    """All tables."""


class Run(Base):
    __tablename__ = "runs"
    run_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)


class Row(Base):
    __tablename__ = "rows"
    row_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), index=True)
    number: Mapped[int]
    data_hash: Mapped[str]
    payload: Mapped[str]


class Token(Base):
    __tablename__ = "tokens"
    token_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    row_id: Mapped[str] = mapped_column(ForeignKey("rows.row_id"), index=True)


class NodeState(Base):
    __tablename__ = "node_states"
    state_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.token_id"), index=True)
    node_id: Mapped[str]
    attempt: Mapped[int]
    status: Mapped[str]
    input_hash: Mapped[str]
    output_hash: Mapped[str]
    started_at: Mapped[datetime]
    duration_ms: Mapped[float]


class RoutingEvent(Base):
    __tablename__ = "routing_events"
    event_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    state_id: Mapped[str] = mapped_column(ForeignKey("node_states.state_id"), index=True)
    label: Mapped[str]
    reason: Mapped[str]


class Outcome(Base):
    __tablename__ = "token_outcomes"
    outcome_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.token_id"), index=True)
    outcome: Mapped[str]
    sink: Mapped[str]


Record = TypeVar("Record", bound=Base)


class Recorder:
    """Writes each record in a transaction of its own."""

    def __init__(self, audit: Path) -> None:
        engine = create_engine(f"sqlite:///{audit}")
        event.listen(engine, "connect", _durable)
        Base.metadata.create_all(engine)
        self._session: sessionmaker[Session] = sessionmaker(engine, expire_on_commit=False)
        self.run_id = self.add(Run()).run_id

    def add(self, record: Record) -> Record:
        """`record`, committed."""
        with self._session.begin() as session:
            session.add(record)
        return record

    def visit(self, token: Token, node: str, before: str, after: str) -> NodeState:
        """A completed visit of `token` to `node`, committed."""
        return self.add(
            NodeState(
                token_id=token.token_id,
                node_id=node,
                attempt=1,
                status="completed",
                input_hash=before,
                output_hash=after,
                started_at=datetime.now(UTC),
                duration_ms=0.0,
            )
        )


def main(source: Path, out: Path, audit: Path) -> None:
    """Read, convert, add the gain, write each row to one of two files, and record every step."""
    recorder = Recorder(audit)
    started = perf_counter()
    with (
        source.open(encoding="utf-8", newline="") as rows,
        (out / "on_time.csv").open("w", encoding="utf-8", newline="") as on_time,
        (out / "late.csv").open("w", encoding="utf-8", newline="") as late,
    ):
        reader = csv.DictReader(rows)
        fields = [*(reader.fieldnames or ()), "gain"]
        writers = {
            "below": csv.DictWriter(on_time, fields, lineterminator="\n"),
            "above": csv.DictWriter(late, fields, lineterminator="\n"),
        }
        for writer in writers.values():
            writer.writeheader()
        for number, row in enumerate(reader):
            label, after = one_row(recorder, number, row)
            writers[label].writerow(after)
    print(perf_counter() - started)


def one_row(recorder: Recorder, number: int, row: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The label and the row as it is written."""
    typed: dict[str, Any] = dict(row) | {name: convert(row[name]) for name, convert in TYPES.items()}
    typed["note"] = row["note"] or None
    payload, before = canonical(typed)
    kept = recorder.add(Row(run_id=recorder.run_id, number=number, data_hash=before, payload=payload))
    token = recorder.add(Token(row_id=kept.row_id))
    typed["gain"] = typed["dep_delay"] - typed["arr_delay"]
    _, after = canonical(typed)
    recorder.visit(token, "gain", before, after)
    label = "above" if typed["arr_delay"] >= 60 else "below"
    decided = recorder.visit(token, "late", after, after)
    recorder.add(RoutingEvent(state_id=decided.state_id, label=label, reason="{}"))
    recorder.visit(token, label, after, after)
    recorder.add(Outcome(token_id=token.token_id, outcome="completed", sink=label))
    return label, {**typed, "diverted": NAMES[typed["diverted"]]}


def canonical(row: Mapping[str, Any]) -> tuple[str, str]:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return text, hashlib.sha256(text.encode()).hexdigest()


def _durable(connection: Any, _: object) -> None:
    """As durable as frame's record is."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
