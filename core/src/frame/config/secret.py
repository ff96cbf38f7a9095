"""A secret as the pipeline file names it: never its value."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class SecretReference:
    """`${secret:NAME}`: the environment variable that holds a secret."""

    name: str

    def __str__(self) -> str:
        return f"${{secret:{self.name}}}"

    def read(self, environ: Mapping[str, str]) -> SecretStr:
        """The secret itself. Raises KeyError when the variable is not set."""
        return SecretStr(environ[self.name])


def with_references_written(value: object) -> object:
    """`value` with every reference inside it written as the file has it."""
    if isinstance(value, SecretReference):
        return str(value)
    if isinstance(value, Mapping):
        return {key: with_references_written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [with_references_written(inner) for inner in value]
    return value
