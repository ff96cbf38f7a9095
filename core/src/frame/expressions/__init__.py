"""Expressions in the pipeline file: CEL, the Common Expression Language, with budgets and without surprises.

    syntax       what an expression may look like, and which fields it names
    values       how a row's values reach CEL, and how results come back
    functions    what frame adds to CEL's functions
    expression   compiled once, evaluated on every row

docs/reference/expressions.md is the page for users; docs/adr/0002 says why this library.
"""

from frame.expressions.expression import Expression

__all__ = ["Expression"]
