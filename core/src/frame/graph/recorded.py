"""Options as the record shows them: values that have a canonical form, and of each secret only a fingerprint."""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from frame.secrecy import without_userinfo

Fingerprint = Callable[[str], str]
"""What the record shows instead of a secret: the same for the same secret, and of no use to find it out."""


def recorded(value: object, fingerprint: Fingerprint) -> Any:
    """`value`, an option or a model of options, as the record shows it."""
    match value:
        case SecretStr() | SecretBytes():
            secret = value.get_secret_value()
            return {"secret": fingerprint(secret if isinstance(secret, str) else secret.hex())}
        case BaseModel():
            fields = {described.alias or name: name for name, described in type(value).model_fields.items()}
            return {key: recorded(getattr(value, name), fingerprint) for key, name in fields.items()}
        case Mapping():
            return {str(key): recorded(inner, fingerprint) for key, inner in value.items()}
        case list() | tuple():
            return [recorded(inner, fingerprint) for inner in value]
        case set() | frozenset():
            return sorted((recorded(inner, fingerprint) for inner in value), key=repr)
        case Enum():
            return recorded(value.value, fingerprint)
        case str():
            return without_userinfo(value)
    return value if _has_canonical_form(value) else without_userinfo(str(value))


def _has_canonical_form(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return value is None or isinstance(value, str | int | bytes | Decimal | date | timedelta | UUID)
