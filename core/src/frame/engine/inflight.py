"""The data of the tokens that are under way in the chunk in hand."""

from collections.abc import Iterable, Sequence

from frame.events import ErrorInfo, Event, Failed, Routed, RouteMode, Tokens
from frame.rows import Row


class InFlight:
    """Rows and their canonical forms, by token; and the errors that tokens carry to an error sink.

    Rows are read-only all the way down, so the children of a fork can share their parent's: none of them can see
    a change that another one makes.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.forms: dict[int, bytes] = {}
        self.errors: dict[int, tuple[int, ErrorInfo]] = {}

    def put(self, tokens: Tokens, rows: Iterable[Row], forms: Iterable[bytes]) -> None:
        """`tokens` now carry `rows`."""
        self.rows.update(zip(tokens, rows, strict=True))
        self.forms.update(zip(tokens, forms, strict=True))

    def rows_of(self, tokens: Tokens) -> list[Row]:
        rows = self.rows
        return [rows[token] for token in tokens]

    def forms_of(self, tokens: Tokens) -> list[bytes]:
        forms = self.forms
        return [forms[token] for token in tokens]

    def follow(self, events: Sequence[Event]) -> None:
        """Give the children of forks their rows, and failed tokens their errors."""
        for event in events:
            if isinstance(event, Routed) and event.mode is RouteMode.FORK and event.tokens:
                self._copy_to_children(event)
            elif isinstance(event, Failed):
                self.errors[event.token] = event.node, event.error

    def _copy_to_children(self, event: Routed) -> None:
        width = len(event.children) // len(event.tokens)
        parents = [parent for parent in event.tokens for _ in range(width)]
        self.put(event.children, self.rows_of(parents), self.forms_of(parents))

    def keep_only(self, tokens: Iterable[int]) -> None:
        """Forget all but `tokens`."""
        kept = set(tokens)
        if not kept:
            self.rows.clear()
            self.forms.clear()
            self.errors.clear()
            return
        for held in (self.rows, self.forms, self.errors):
            for token in [token for token in held if token not in kept]:
                del held[token]
