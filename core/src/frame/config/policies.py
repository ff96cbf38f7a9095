"""How a node's plugin is called, and where its failures go."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from frame.config.durations import RATE_PATTERN
from frame.config.fields import (
    CONTINUE,
    DISCARD,
    Duration,
    FileModel,
    Filled,
    Finding,
    Flag,
    LongerThanNone,
    Positive,
    RateText,
    Target,
    refused,
    wrong,
)

DEFAULT_LOOP_MAX = 1000


class RetryConfig(FileModel):
    """Attempts after a failure that may pass: waits grow from `wait`, doubling up to `max_wait`."""

    attempts: Positive = Field(description="How many attempts in all; 1 means that nothing is tried again.")
    wait: Duration = Field(
        default=timedelta(seconds=1), description="How long to wait after the first failed attempt."
    )
    max_wait: Duration = Field(
        default=timedelta(seconds=60), description="The longest wait between two attempts."
    )
    jitter: Flag = Field(
        default=True,
        description="Whether waits are varied by chance, so that many nodes do not call at once.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.wait > self.max_wait:
            message = f"wait ({self.wait.total_seconds():g}s) is longer than max_wait"
            remedy = f"Raise max_wait (now {self.max_wait.total_seconds():g}s) or shorten wait."
            raise refused([Finding(path=("wait",), message=message, remedy=remedy)])
        return self


class BreakerConfig(FileModel):
    """Calls are refused for a while after too many failures in a row, so that a sick service can recover."""

    failures: Positive = Field(default=5, description="How many failed attempts in a row open the breaker.")
    recovery: LongerThanNone = Field(
        default=timedelta(seconds=60),
        description="How long it stays open before one call is let through on trial.",
    )


class RateLimitConfig(FileModel):
    """At most so many calls in a time. `rate_limit: 10/s` is short for `rate_limit: {rate: 10/s}`."""

    rate: RateText = Field(description="Calls per s, m, h or d, as in 10/s or 100/m.")
    service: Filled | None = Field(
        default=None,
        description="A name for what is called: all nodes that give the same one share the limit.",
    )


def _short_rate(value: object) -> object:
    if isinstance(value, Mapping | RateLimitConfig):
        return value
    return {"rate": value}


class _OrShort:
    """Lets the JSON Schema admit the short form, too."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "pattern": RATE_PATTERN}, handler(core)]}


RateLimit = Annotated[RateLimitConfig, BeforeValidator(_short_rate), _OrShort()]


class OnErrorClause(FileModel):
    """One way out for failed rows. Clauses are tried in order; a row that none takes is a dead letter."""

    when: Filled | None = Field(
        default=None,
        description="A CEL expression over error.type, error.attempts, error.message, row; absent: always.",
    )
    to: Target = Field(description="A sink, a node, or discard.")
    max: Positive | None = Field(
        default=None,
        description="When `to` is an earlier node: how often one row may go back there; 1000 if absent.",
    )

    @model_validator(mode="after")
    def _not_onwards(self) -> Self:
        if self.to == CONTINUE:
            raise refused(
                [Finding(path=("to",), message=NOT_ONWARDS, remedy="Name a sink, a node, or discard.")]
            )
        if self.to == DISCARD and self.max is not None:
            message = "max bounds the way back to a node, and this clause discards"
            raise refused([Finding(path=("max",), message=message, remedy="Take max out.", at_key=True)])
        return self


NOT_ONWARDS = "a failed row cannot continue as if nothing had happened"


def _error_target(value: str) -> str:
    if value == CONTINUE:
        raise wrong(NOT_ONWARDS, "Name a sink, a node, or discard.")
    return value


def _clauses_reached(clauses: tuple[OnErrorClause, ...]) -> tuple[OnErrorClause, ...]:
    if not clauses:
        raise wrong("is an empty list", "Name a sink or discard, or take on_error out.")
    always = next((index for index, clause in enumerate(clauses) if clause.when is None), len(clauses))
    if always < len(clauses) - 1:
        message = f"is never reached: clause {always} has no `when` and takes every row"
        raise refused(
            [
                Finding(
                    path=(always + 1,), message=message, remedy="Move the clause without `when` to the end."
                )
            ]
        )
    return clauses


ONE_TARGET, CLAUSES = "<one target>", "<clauses>"


def _on_error_shape(value: object) -> str | None:
    if isinstance(value, str):
        return ONE_TARGET
    return CLAUSES if isinstance(value, list | tuple) else None


OnError = Annotated[
    Annotated[Target, AfterValidator(_error_target), Tag(ONE_TARGET)]
    | Annotated[tuple[OnErrorClause, ...], AfterValidator(_clauses_reached), Tag(CLAUSES)],
    Discriminator(
        _on_error_shape,
        custom_error_type="shape",
        custom_error_message="should be the name of a sink or node, discard, or a list of clauses",
    ),
]
"""Where failed rows go: one target for all of them, or clauses."""


class CallPolicyConfig(FileModel):
    """How a plugin is called; shared by transforms, gates and aggregations."""

    on_error: OnError | None = Field(
        default=None,
        description="Where failed rows go: a sink, a node, discard, or a list of clauses. "
        "Absent: they are dead letters, and the run goes on.",
    )
    retry: RetryConfig | None = Field(
        default=None, description="More attempts after a failure; absent: one attempt."
    )
    timeout: LongerThanNone | None = Field(
        default=timedelta(seconds=300), description="How long one attempt may take; null for no limit."
    )
    breaker: BreakerConfig | None = Field(
        default=None, description="Refuse calls for a while after too many failures in a row; absent: never."
    )
    wait_for_breaker: Flag = Field(
        default=False,
        description="Whether a row waits while the breaker is open; otherwise its attempts end there.",
    )
    rate_limit: RateLimit | None = Field(
        default=None, description="At most so many calls in a time, as in 10/s."
    )
    concurrency: Positive = Field(
        default=1,
        description="How many rows are worked on at once, in order; for plugins that wait for others.",
    )

    @property
    def error_clauses(self) -> tuple[OnErrorClause, ...]:
        """`on_error` as clauses, whichever way it was written; none if it is absent."""
        if isinstance(self.on_error, str):
            return (OnErrorClause(to=self.on_error),)
        return self.on_error or ()

    @model_validator(mode="after")
    def _waits_for_something(self) -> Self:
        if self.wait_for_breaker and self.breaker is None:
            message = "wait_for_breaker waits for a breaker, and there is none"
            remedy = "Add `breaker: {}`, or take wait_for_breaker out."
            raise refused([Finding(path=("wait_for_breaker",), message=message, remedy=remedy)])
        return self
