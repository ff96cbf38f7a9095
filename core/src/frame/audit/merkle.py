"""Merkle trees as in RFC 6962, section 2.1: a root that stands for a list, and short proofs that something is in it.

A tree is built over leaf hashes. Leaves and inner nodes are hashed with different first bytes, so that neither can
be taken for the other.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256().digest()
"""The root of no leaves."""


def leaf(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of the inner node over `left` and `right`."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The level over `level`: neighbours joined, a last one without a neighbour as it is."""
    sha256 = hashlib.sha256
    above = [sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes.

    >>> root([]).hex()[:8], root([leaf(b"")]).hex()[:8]
    ('e3b0c442', '6e340b9c')
    """
    if not leaves:
        return EMPTY
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` up to the root, lowest first. Raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} among {len(leaves)}")
    level, at, steps = leaves, index, []
    while len(level) > 1:
        beside = at ^ 1
        if beside < len(level):
            steps.append(level[beside])
        level, at = _above(level), at >> 1
    return steps


def root_from_path(leaf_hash: bytes, index: int, size: int, steps: Sequence[bytes]) -> bytes:
    """The root of a tree of `size` leaves in which `leaf_hash` stands at `index`, by the hashes of `path`.

    Raises ValueError if `steps` cannot be the path of such a leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    hashed, left = leaf_hash, list(reversed(steps))
    while size > 1:
        if index % 2 or index + 1 < size:
            if not left:
                raise ValueError("the path is too short")
            beside = left.pop()
            hashed = node(beside, hashed) if index % 2 else node(hashed, beside)
        index, size = index >> 1, (size + 1) >> 1
    if left:
        raise ValueError("the path is too long")
    return hashed


class Frontier:
    """A tree that only grows, kept as the roots of its full subtrees: some 20 hashes for a million leaves.

    >>> frontier = Frontier([leaf(b"a"), leaf(b"b"), leaf(b"c")])
    >>> frontier.size, frontier.root() == root([leaf(b"a"), leaf(b"b"), leaf(b"c")])
    (3, True)
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._roots: list[bytes] = []
        for each in leaves:
            self.append(each)

    def grown(self, leaf_hash: bytes) -> "Frontier":
        """This tree with one leaf more; this one stays as it is."""
        other = Frontier()
        other.size, other._roots = self.size, self._roots.copy()
        other.append(leaf_hash)
        return other

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf at the end."""
        hashed, size = leaf_hash, self.size
        while size % 2:
            hashed = node(self._roots.pop(), hashed)
            size >>= 1
        self._roots.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._roots:
            return EMPTY
        *others, hashed = self._roots
        for left in reversed(others):
            hashed = node(left, hashed)
        return hashed
