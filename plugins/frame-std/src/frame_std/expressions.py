"""Options that take an expression in CEL."""

from typing import Annotated

from frame.plugin import Expression
from pydantic import AfterValidator


def _check(source: str) -> str:
    Expression.compile(source)
    return source


CelText = Annotated[str, AfterValidator(_check)]
"""An option that takes a CEL expression over `row`; a wrong one is refused when the pipeline is built."""
