"""Merkle trees: the roots of RFC 6962, and paths that prove what they say and nothing else."""

import pytest
from frame.audit.merkle import EMPTY, Frontier, leaf, node, path, root, root_from_path

DATA = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test vectors of Certificate Transparency's reference implementation."""


def leaves(count: int) -> list[bytes]:
    return [leaf(number.to_bytes(4, "big")) for number in range(count)]


def by_definition(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not hashes:
        return EMPTY
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return node(by_definition(hashes[:half]), by_definition(hashes[half:]))


def test_roots_are_those_of_certificate_transparency() -> None:
    hashes = [leaf(bytes.fromhex(data)) for data in DATA]

    found = [root(hashes[:count]).hex() for count in range(1, 9)]

    assert found == ROOTS


def test_root_and_frontier_follow_the_definition() -> None:
    for count in range(70):
        hashes = leaves(count)

        assert root(hashes) == Frontier(hashes).root() == by_definition(hashes)


def test_every_leaf_of_every_small_tree_can_be_proven() -> None:
    for count in range(1, 40):
        hashes = leaves(count)
        for index in range(count):
            assert root_from_path(hashes[index], index, count, path(hashes, index)) == root(hashes)


def test_a_path_proves_neither_another_leaf_nor_another_place() -> None:
    hashes = leaves(13)

    for index in range(13):
        steps = path(hashes, index)
        assert root_from_path(leaf(b"other"), index, 13, steps) != root(hashes)
        for other in set(range(13)) - {index}:
            try:
                found = root_from_path(hashes[index], other, 13, steps)
            except ValueError:
                continue
            assert found != root(hashes)


@pytest.mark.parametrize(
    ("index", "size", "change", "message"),
    [
        (3, 3, lambda steps: steps, "no leaf 3"),
        (0, 8, lambda steps: steps[:-1], "too short"),
        (0, 8, lambda steps: [*steps, bytes(32)], "too long"),
    ],
)
def test_a_path_of_the_wrong_shape_is_refused(index, size, change, message) -> None:  # type: ignore[no-untyped-def]
    hashes = leaves(8)

    with pytest.raises(ValueError, match=message):
        root_from_path(hashes[0], index, size, change(path(hashes, 0)))


def test_there_is_no_path_to_a_leaf_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="no leaf 5 among 5"):
        path(leaves(5), 5)
