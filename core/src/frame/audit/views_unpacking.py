"""SQL that unpacks segments `s`: one row a member, the `k.n`-th of them.

The order of tables in a FROM matters: segments first, numbers second (CROSS JOIN keeps SQLite to it).
"""


def nth(first: str, width: str, text: str, n: str = "k.n") -> str:
    """The n-th member of a packed list."""
    piece = f"CAST(substr({text}, {n} * {width} + 1, {width}) AS BIGINT)"
    return f"{first} + CASE WHEN {width} = 0 THEN {n} ELSE {piece} END"


def one_of(column: str, values: dict[str, str]) -> str:
    """What `values` says of what stands in `column`."""
    cases = " ".join(f"WHEN '{key}' THEN '{value}'" for key, value in values.items())
    return f"CASE {column} {cases} END"


TOKEN = nth("s.first_token", "s.token_width", "s.tokens")
VISIT = (
    "s.visit + CASE WHEN s.visit_width = 0 THEN 0 "
    "ELSE CAST(substr(s.visits, k.n * s.visit_width + 1, s.visit_width) AS INTEGER) END"
)
GROUP = nth("s.first_group", "s.group_width", "s.groups", "k.n")
DIGEST = (
    "(SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run "
    "AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part)"
)


def unpacked(columns: str, size: str = "s.size", extra: str = "", then: str = "") -> str:
    """A SELECT with a row for each of the `size` members of a segment; conditions can be added at its end.

    `extra` joins what is one for the segment, `then` what belongs to a single member.
    """
    return f"SELECT {columns} FROM segments s {extra} CROSS JOIN numbers k {then} WHERE k.n < {size}"
