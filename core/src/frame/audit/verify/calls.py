"""`payload_digests`, which follows from the payload blocks of calls: where each request and answer is."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from frame.audit.verify.report import Finding

MOST = 20

_ELSEWHERE = text("""
SELECT i.digest FROM payload_digests i
LEFT JOIN payload_blocks b ON b.run = i.run AND b.chunk = i.chunk AND b.number = i.number AND b.part = i.part
WHERE i.run = :run AND (b.digests IS NULL OR substr(b.digests, i.item * 32 + 1, 32) <> i.digest)
""")
"""Digests that the index places where no such digest is."""

_NOT_THE_FIRST = text("""
SELECT substr(b.digests, k.n * 32 + 1, 32) FROM payload_blocks b CROSS JOIN numbers k
LEFT JOIN payload_digests i ON i.run = b.run AND i.digest = substr(b.digests, k.n * 32 + 1, 32)
WHERE b.run = :run AND b.digests IS NOT NULL AND k.n < b.size AND (i.digest IS NULL
      OR (i.chunk, i.number, i.part, i.item) > (b.chunk, b.number, b.part, k.n))
""")
"""Digests that the index does not have, or places after the first block that holds them."""


def check_places(connection: Connection, run: int, run_id: str) -> Iterator[Finding]:
    """Whether the index of requests and answers is the one that the blocks make: the first place of each digest."""
    for asked, what in (
        (_ELSEWHERE, "it places a request or answer where there is another one"),
        (_NOT_THE_FIRST, "it does not say where a request or answer was kept first"),
    ):
        for (digest,) in connection.execute(asked, {"run": run}).fetchmany(MOST):
            key = digest.hex() if isinstance(digest, bytes) else repr(digest)
            yield Finding("derived", what, table="payload_digests", run_id=run_id, key=key)
