"""A secret as the pipeline file names it: never its value.

${secret:NAME}              the variable NAME of the environment, or else the file NAME in FRAME_SECRETS_DIR
${secret:file:PATH}         what is in a file; a relative path starts at the pipeline's folder
${secret:PROVIDER:PATH}     what the secret provider of this name (a plugin) has at PATH
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frame.config.secret_files import Unreadable, text_of

FOLDER_VARIABLE = "FRAME_SECRETS_DIR"
FILE = "file"
WAYS = "Write ${secret:NAME}, ${secret:file:PATH} or ${secret:PROVIDER:PATH}."

_TEXT = re.compile(
    r"(?P<plain>[A-Za-z_][A-Za-z0-9_.-]*)"
    r"|(?P<scheme>[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)?):(?P<path>[^\s:][^\r\n]*)"
)


class NoSecret(LookupError):
    """A secret cannot be had. `remedy`: what its user can do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message, self.remedy = message, remedy

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class SecretReference:
    """`${secret:NAME}`: where a secret is. `name`: all that stands after the first colon."""

    name: str

    def __str__(self) -> str:
        return f"${{secret:{self.name}}}"

    @property
    def is_well_formed(self) -> bool:
        """Whether it names a place at all."""
        return _TEXT.fullmatch(self.name) is not None

    @property
    def provider(self) -> str:
        """The name of the provider that has it; "" if frame reads it itself."""
        return "" if self._parts[0] in ("", FILE) else self._parts[0]

    @property
    def path(self) -> str:
        """Where it is: the name of a variable, a file's path, or what a provider makes of it."""
        return self._parts[1]

    def read(self, environ: Mapping[str, str], folder: Path) -> str:
        """The secret itself, from the environment or a file. Raises NoSecret.

        `folder`: that of the pipeline file.
        """
        scheme, path = self._parts
        value = self._read_file(folder / path) if scheme == FILE else self._read_plain(path, environ)
        if not value:
            raise NoSecret(f"{self} is empty", "Give it its value, or take the option out.")
        return value

    @property
    def _parts(self) -> tuple[str, str]:
        match = _TEXT.fullmatch(self.name)
        if match is None or match["plain"]:
            return "", self.name
        return match["scheme"], match["path"]

    def _read_plain(self, name: str, environ: Mapping[str, str]) -> str:
        if name in environ:
            return environ[name]
        folder = environ.get(FOLDER_VARIABLE)
        if folder and (Path(folder) / name).exists():
            return self._read_file(Path(folder) / name)
        message = f"{self}: the environment has no variable {name}"
        if folder:
            message += f", and {folder} ({FOLDER_VARIABLE}) no file {name}"
        raise NoSecret(message, "Set it before the run; its value is never recorded.")

    def _read_file(self, path: Path) -> str:
        try:
            return text_of(path)
        except Unreadable as error:
            raise NoSecret(
                f"{self}: {error}", "Its value is what is in the file, without the last line's end."
            ) from error


def with_references_written(value: object) -> object:
    """`value` with every reference inside it written as the file has it."""
    if isinstance(value, SecretReference):
        return str(value)
    if isinstance(value, Mapping):
        return {key: with_references_written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [with_references_written(inner) for inner in value]
    return value
