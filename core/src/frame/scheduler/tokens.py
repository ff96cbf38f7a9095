"""Sequences of tokens. Most are long, sorted and handled whole; these functions keep the whole case cheap."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

from frame.events import Tokens, Visits


class Group:
    """Tokens that wait together. Taking all of them costs nothing; taking some makes a set of them first."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: Tokens) -> None:
        self._tokens: Sequence[int] | dict[int, None] = tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and sorted(self._tokens) == sorted(other._tokens)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Group({list(self._tokens)})"

    def __iter__(self) -> Iterator[int]:
        return iter(self._tokens)

    def add(self, tokens: Tokens) -> None:
        """Let `tokens` wait here, too."""
        self._tokens = [*self._tokens, *tokens]

    def take(self, tokens: Tokens) -> None:
        """Let `tokens` go. Raises KeyError if one of them does not wait here."""
        if len(tokens) == len(self._tokens) and len(tokens) > 1:
            self._tokens = ()
            return
        if not isinstance(self._tokens, dict):
            self._tokens = dict.fromkeys(self._tokens)
        for token in tokens:
            del self._tokens[token]

    def ordered(self, root_of: Mapping[int, int]) -> list[int] | range:
        """The tokens in the order of the source rows that they come from, then of their own making."""
        if isinstance(self._tokens, range):
            return self._tokens
        return in_order(self._tokens, root_of)


def in_order(tokens: Iterable[int], root_of: Mapping[int, int]) -> list[int]:
    """`tokens` by the source token that each descends from, then by their own number.

    A chunk's boundaries thus leave no trace in the order in which rows reach a sink.
    """
    if not root_of:
        return sorted(tokens)
    return sorted(tokens, key=lambda token: (root_of.get(token, token), token))


def pack(tokens: Tokens) -> Tokens:
    """The same tokens in little memory, for those that have to be kept for long.

    >>> pack([4, 5, 6])
    range(4, 7)
    """
    if isinstance(tokens, range | array):
        return tokens
    if (
        len(tokens)
        and tokens[-1] - tokens[0] == len(tokens) - 1
        and list(tokens) == list(range(tokens[0], tokens[-1] + 1))
    ):
        return range(tokens[0], tokens[-1] + 1)
    return array("q", tokens)


def visits_of(visits: Visits, count: int) -> Sequence[int]:
    """One visit number a token, whichever way they were given."""
    return [visits] * count if isinstance(visits, int) else visits


def share_visits(visits: Sequence[int]) -> Visits:
    """The one visit number that all share, or all of them.

    >>> share_visits([2, 2]), share_visits([1, 2])
    (2, [1, 2])
    """
    return visits[0] if len(set(visits)) == 1 else visits
