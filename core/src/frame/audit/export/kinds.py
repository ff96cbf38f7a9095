"""The kinds of readable records and their columns, in the order in which an export has them.

docs/reference/export-format.md is the contract; the columns are those of the record's views.
"""

from dataclasses import dataclass
from enum import StrEnum

Value = str | int | bool | None
Record = dict[str, Value]


class Type(StrEnum):
    """What a column holds. A digest is 64 hexadecimal digits, JSON is canonical text."""

    INT = "int"
    TEXT = "text"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: what its lines are called, and its columns."""

    name: str
    columns: dict[str, Type]


def _kind(name: str, columns: str, ints: str = "", bools: str = "") -> Kind:
    """`columns` in order; those that are not text are named again under their type."""
    numbers, flags = ints.split(), bools.split()
    types = {
        column: Type.INT if column in numbers else Type.BOOL if column in flags else Type.TEXT
        for column in columns.split()
    }
    return Kind(name, types)


_AT = "chunk position"

KINDS = (
    _kind(
        "node",
        "number name kind plugin package distribution version record_sha256 api determinism delivery options",
        ints="number api",
    ),
    _kind("edge", "number origin target label mode", ints="number"),
    _kind("chunk", "chunk block opened_us events source_position", ints="chunk block opened_us events"),
    _kind(
        "row",
        "row token chunk position valid digest data data_base64 withheld",
        ints=f"row token {_AT}",
        bools="valid",
    ),
    _kind(
        "token",
        "token chunk position origin row node origin_token digest",
        ints=f"token row origin_token {_AT}",
    ),
    _kind("token_parent", "token parent kind chunk position", ints=f"token parent {_AT}"),
    _kind(
        "visit",
        "chunk position token visit attempt node status output_digest started_us duration_us "
        "segment_duration_us segment_visits error_type error_message",
        ints=f"{_AT} token visit attempt started_us duration_us segment_duration_us segment_visits",
    ),
    _kind(
        "route",
        "chunk position token visit node label mode clause reached_limit",
        ints=f"{_AT} token visit clause reached_limit",
    ),
    _kind(
        "call",
        "chunk position node visit token attempt kind number request_sha256 answer_sha256 status "
        "started_us duration_us",
        ints=f"{_AT} visit token attempt number started_us duration_us",
    ),
    _kind(
        "batch",
        "batch node opened_us members status triggered_by mode ended_chunk ended_position started_us "
        "duration_us failed_attempts",
        ints="batch opened_us members ended_chunk ended_position started_us duration_us failed_attempts",
    ),
    _kind(
        "batch_member",
        "batch node chunk position token visit place",
        ints=f"batch {_AT} token visit place",
    ),
    _kind("batch_output", "batch node chunk position token digest", ints=f"batch {_AT} token"),
    _kind(
        "sink_write",
        "node intent chunk position rows content_sha256 write_key status confirmed_chunk sink_position "
        "started_us duration_us rejected",
        ints=f"intent {_AT} rows confirmed_chunk started_us duration_us rejected",
    ),
    _kind("artifact", "chunk position node uri size_bytes sha256 rows", ints=f"{_AT} size_bytes rows"),
    _kind(
        "outcome",
        "token chunk position outcome path node sink fallback reason error_type error_message batch "
        "fork_group expand_group merge_group",
        ints=f"token {_AT} batch fork_group expand_group merge_group",
    ),
    _kind(
        "error",
        "chunk position type message attempts retryable traceback",
        ints=f"{_AT} attempts retryable",
    ),
    _kind(
        "payload",
        "kind node visit token digest chunk number part place data data_base64 withheld",
        ints="visit token chunk number part place",
    ),
    _kind(
        "event",
        "block chunk position kind status at_us node detail",
        ints=f"block {_AT} at_us",
    ),
)
