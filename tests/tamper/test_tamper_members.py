"""The rows that are kept of an open batch are those that came to it, whoever has put the chain in order since."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frame.audit.payloads import compress, decompress
from frame.canonical import digest

from tests.integration.explain_pipelines import numbers, ran
from tests.tamper.tamper_chain import rewriting
from tests.tamper.tamper_store import verified

SUM = {"name": "sum", "aggregate": {"plugin": "total"}, "to": "out"}
DOUBLED: list[dict[str, Any]] = [{"name": "double", "plugin": "double", "to": "sum"}, SUM]
NODE = 2


def another_row(items: list[bytes]) -> list[bytes]:
    return [*items[:-1], b'{"n":7}']


def another_order(items: list[bytes]) -> list[bytes]:
    return items[::-1]


@pytest.mark.parametrize(("change", "token"), [(another_row, 3), (another_order, 2)])
def test_a_member_that_was_changed_is_found_in_a_chain_that_fits_it(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], token: int
) -> None:
    made = ran(tmp_path, numbers(1, 2, 3, 4, 5), DOUBLED, settings={"chunk_rows": 2})
    path, run_id = tmp_path / "audit.db", made.result.run_id
    assert verified(path, None).all_findings == []

    with rewriting(path, run_id) as (connection, run):
        (chunk, number, data) = connection.execute(
            "SELECT chunk, number, data FROM payload_blocks JOIN payload_data USING (run, chunk, number, part) "
            "WHERE kind = 'members' ORDER BY chunk LIMIT 1 OFFSET 1"
        ).fetchone()
        raw_bytes, changed = compress(change(decompress(2, data)))
        place = run, chunk, number
        where = "WHERE run = ? AND chunk = ? AND number = ?"
        connection.execute(f"UPDATE payload_data SET data = ? {where}", [changed, *place])
        connection.execute(
            f"UPDATE payload_blocks SET raw_bytes = ?, stored_bytes = ?, data_sha256 = ? {where}",
            [raw_bytes, len(changed), digest(changed), *place],
        )

    (finding,) = verified(path, None).all_findings
    assert (finding.check, finding.run_id, finding.chunk, finding.token) == ("H1", run_id, chunk, token)
    said = (
        f"of node {NODE} (members): what it keeps of token {token} has another hash than the visit recorded"
    )
    assert said in finding.what
