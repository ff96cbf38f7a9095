"""What a call that did not succeed comes to: the error to record, and whether another attempt may help."""

import traceback
from collections.abc import Callable
from typing import Any

from frame.engine.redaction import Redactor, message_of
from frame.errors import (
    ConfigError,
    FrameError,
    OutOfResources,
    PluginFailed,
    RetryableError,
    RowError,
    SinkError,
    SourceError,
    is_scarcity,
)
from frame.events import ErrorInfo
from frame.graph.model import PluginRef
from frame.plugin.protocols import Kind
from frame.plugin.results import Fail, Suspend

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 8_000


class Raised:
    """A call that raised, among the values of calls that returned."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Failure:
    """A visit that has failed for good, among the values of visits that succeeded."""

    __slots__ = ("info",)

    def __init__(self, info: ErrorInfo) -> None:
        self.info = info


class Cancelled:
    """A visit whose next attempt would have had to wait when the run was asked to stop; its token stays open."""

    __slots__ = ()


def outcome_of(call: Callable[..., Any], *args: Any) -> Any:
    """What `call` returns, `Raised` if it raises."""
    try:
        return call(*args)
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return Raised(error)


UNSUCCESSFUL = frozenset({Raised, Fail, Suspend})
"""Types of values that are not a success; a set, because the loop over a chunk asks it once a row."""


def error_of(value: Any, redactor: Redactor) -> ErrorInfo:
    """The error that an unsuccessful value stands for."""
    if isinstance(value, Fail):
        return ErrorInfo(
            "Fail", _short(redactor.text(str(value.reason)), MAX_MESSAGE), retryable=bool(value.retryable)
        )
    if isinstance(value, Suspend):
        return ErrorInfo(
            "Suspend", "the plugin asked to suspend the row, which plugin API 1 reserves for later"
        )
    return error_from(value.error, redactor)


def error_from(error: BaseException, redactor: Redactor) -> ErrorInfo:
    """The record of an exception. One that is not frame's own is a fault of the plugin and keeps its traceback."""
    trace = None
    if not isinstance(error, FrameError):
        trace = _short(redactor.text("".join(traceback.format_exception(error))), MAX_TRACEBACK)
    message = _short(redactor.text(message_of(error)), MAX_MESSAGE)
    return ErrorInfo(
        type(error).__name__, message, retryable=isinstance(error, RetryableError), traceback=trace
    )


def is_rows_fault(value: Any) -> bool:
    """Whether a call failed because of its row or its options, which says nothing about the service behind it."""
    if isinstance(value, Fail):
        return not value.retryable
    return isinstance(value, Raised) and isinstance(value.error, RowError | ConfigError)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]}\n[...]\n{text[-limit // 2 :]}"


def failed_in(step: str, node: str, plugin: PluginRef, told: str, error: BaseException) -> FrameError:
    """What to raise where `error` has ended a step of a plugin's life; `told` is what may be said of it.

    The world is at fault where a disk is full or a server is away, the plugin otherwise.
    """
    if isinstance(error, OSError) and plugin.kind == Kind.SINK:
        return SinkError(node, told)
    if isinstance(error, OSError) and plugin.kind == Kind.SOURCE:
        return SourceError(node, told)
    if is_scarcity(error):
        return OutOfResources(f"node {node!r}, in {step}: {told}")
    return PluginFailed(node, plugin.name, step, told)
