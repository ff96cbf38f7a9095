"""What places in a pipeline share: a plugin, a name, the place that rows go to."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from frame.config.fields import (
    CONTINUE,
    DISCARD,
    ChosenPlugin,
    FileModel,
    Finding,
    Name,
    Options,
    Target,
    refused,
)


class WithPlugin(FileModel):
    """A place where a plugin works."""

    plugin: ChosenPlugin = Field(
        description="The plugin's name, as in csv, or files.csv where two packages offer one."
    )
    options: Options = Field(default_factory=dict, description="The plugin's own options.")

    @model_validator(mode="after")
    def _options_once(self) -> Self:
        if findings := list(options_twice(self.plugin, self.options)):
            raise refused(findings)
        return self


def options_twice(plugin: object, options: Mapping[str, Any]) -> Iterable[Finding]:
    """A finding if `plugin` comes with its configuration and there are `options`, too."""
    if options and not isinstance(plugin, str | type | None):
        message = "this plugin was configured in code, so options cannot be given again"
        yield Finding(path=("options",), message=message, remedy="Give the class, or drop options.")


class WithName(FileModel):
    """A place that is called something."""

    name: Name = Field(description="What the node is called, in this file and in the record.")


class WithTarget(FileModel):
    """A place that rows leave."""

    to: Target | None = Field(
        default=None,
        description="The node or sink that rows go to (for a gate: what continue means); "
        "absent: the next node, or after the last one the only sink.",
    )

    @model_validator(mode="after")
    def _to_a_place(self) -> Self:
        if findings := list(not_a_word("to", self.to, (CONTINUE, DISCARD))):
            raise refused(findings)
        return self


def not_a_word(key: str, target: str | None, words: tuple[str, ...]) -> Iterable[Finding]:
    """A finding if `target`, the value of `key`, is one of `words`."""
    if target in words:
        yield Finding(path=(key,), message=f"{key} cannot be {target!r}", remedy="Name where the rows go.")
