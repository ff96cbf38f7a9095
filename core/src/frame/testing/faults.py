"""Transforms that do what a test needs, and those that misbehave."""

import itertools
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any

from frame.errors import RetryableError
from frame.plugin import Context, Determinism, Gate, GateResult, PluginConfig, Transform, TransformResult
from frame.rows import Row


class Applied(Transform):
    """Calls `function` for each row.

    >>> double = Applied(lambda row: {"n": row["n"] * 2})
    >>> double.function(Row(n=2))
    {'n': 4}
    """

    name = "applied"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, function: Callable[[Row], TransformResult]) -> None:
        super().__init__(PluginConfig())
        self.function = function

    def process(self, row: Row, context: Context) -> TransformResult:
        return self.function(row)


class Expanding(Applied):
    """The same for a function that may return `Expand`."""

    name = "expanding"
    determinism = Determinism.DETERMINISTIC
    expands = True


class Asked(Gate):
    """Asks `function` for the label of each row. `labels`: all that it can give, if that is known."""

    name = "asked"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, function: Callable[[Row], GateResult], labels: Collection[str] | None = None) -> None:
        super().__init__(PluginConfig())
        self.function = function
        self._labels = None if labels is None else frozenset(labels)

    def labels(self) -> frozenset[str] | None:
        return self._labels

    def evaluate(self, row: Row, context: Context) -> GateResult:
        return self.function(row)


class FlakyTransform(Transform):
    """Passes rows on, but fails the calls number `fails` (from 1).

    It fails with a RetryableError, so that retries help, or with `error`. `calls` counts.

    >>> flaky = FlakyTransform(fails=[1])
    >>> flaky.process(Row(n=1), None)
    Traceback (most recent call last):
        ...
    frame.errors.RetryableError: call 1 fails
    >>> flaky.process(Row(n=1), None)
    {'n': 1}
    """

    name = "flaky"
    determinism = Determinism.NON_DETERMINISTIC

    def __init__(self, fails: Iterable[int], error: Exception | None = None) -> None:
        super().__init__(PluginConfig())
        self._fails, self._error = frozenset(fails), error
        self._numbers = itertools.count(1)
        self.calls = 0

    def process(self, row: Row, context: Context) -> TransformResult:
        self.calls = number = next(self._numbers)
        if number in self._fails:
            raise self._error or RetryableError(f"call {number} fails")
        return row


class Raises(Transform):
    """Raises `error` for every row."""

    name = "raises"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, error: BaseException) -> None:
        super().__init__(PluginConfig())
        self._error = error

    def process(self, row: Row, context: Context) -> TransformResult:
        raise self._error


class Hangs(Transform):
    """Hangs in the calls number `calls` (from 1; all if None) until it is closed or `release` is set."""

    name = "hangs"
    determinism = Determinism.NON_DETERMINISTIC

    def __init__(self, calls: Iterable[int] | None = None) -> None:
        super().__init__(PluginConfig())
        self._hanging = None if calls is None else frozenset(calls)
        self._numbers = itertools.count(1)
        self.release = threading.Event()

    def process(self, row: Row, context: Context) -> TransformResult:
        number = next(self._numbers)
        if self._hanging is None or number in self._hanging:
            self.release.wait()
        return row

    def close(self) -> None:
        self.release.set()


class Returns(Transform):
    """Returns `value` for every row, whatever that is."""

    name = "returns"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, value: Any) -> None:
        super().__init__(PluginConfig())
        self._value = value

    def process(self, row: Row, context: Context) -> TransformResult:
        value: TransformResult = self._value
        return value


class Mutates(Transform):
    """Tries to change the row that it is given, which is refused."""

    name = "mutates"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> TransformResult:
        fields: Any = row
        fields["changed"] = True
        return row

    def __init__(self) -> None:
        super().__init__(PluginConfig())


class Unsteady(Transform):
    """Says that it is deterministic and adds another number to a row at every call."""

    name = "unsteady"
    determinism = Determinism.DETERMINISTIC

    def __init__(self) -> None:
        super().__init__(PluginConfig())
        self._numbers = itertools.count()

    def process(self, row: Row, context: Context) -> TransformResult:
        return {**row, "number": next(self._numbers)}
