"""Options that take an expression in CEL."""

from typing import Annotated

from frame.plugin import Expression
from pydantic import AfterValidator

_MAY_SKIP = ("?", "&&", "||", "has(", ".map(", ".filter(", ".all(", ".exists")


def _check(source: str) -> str:
    Expression.compile(source)
    return source


CelText = Annotated[str, AfterValidator(_check)]
"""An option that takes a CEL expression over `row`; a wrong one is refused when the pipeline is built."""


def fields_needed(expression: Expression) -> tuple[str, ...]:
    """The fields without which `expression` fails on every row; none when it might not come to look at them.

    >>> fields_needed(Expression.compile("row.a - row.b")), fields_needed(Expression.compile("has(row.a)"))
    (('a', 'b'), ())
    >>> fields_needed(Expression.compile("0"))
    ()
    """
    if any(sign in expression.source for sign in _MAY_SKIP):
        return ()
    return expression.fields.get("row") or ()
