"""The option `encoding`."""

import codecs
from typing import Annotated

from pydantic import AfterValidator


def checked_encoding(name: str) -> str:
    """`name`, if Python knows a text encoding of that name. Raises ValueError.

    >>> checked_encoding("latin-1")
    'latin-1'
    """
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"{name!r} is not a text encoding: use utf-8, utf-16, latin-1, cp1252, ..."
        ) from error
    return "utf-8" if codecs.lookup(name).name == "utf-8-sig" else name


Encoding = Annotated[str, AfterValidator(checked_encoding)]
