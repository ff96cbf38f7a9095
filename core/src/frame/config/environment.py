"""References to the environment in a pipeline file.

    ${NAME}  ${env:NAME}        the variable's value; a problem if it is not set
    ${NAME:-default}            the default if it is not set or empty
    ${secret:...}               a reference that only a secret option of a plugin resolves (frame.config.secret)
    $${                         a literal ${

They are expanded once, in text values only, after the YAML was parsed. What comes out is text and is never
read again as YAML or as a reference.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from frame.config import secret
from frame.config.positions import Path, Positions
from frame.config.secret import NoSecret, SecretReference
from frame.errors import Problem

_REFERENCE = re.compile(
    r"\$\$\{"
    r"|\$\{secret:(?P<secret>[^}\r\n]*)\}"
    r"|\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:[^}$]|\$(?!\{))*))?\}"
    r"|(?P<bad>\$\{[^}]{0,60}\}?)"
)
_WAYS = "Write ${NAME}, ${NAME:-default} or ${secret:NAME}; for a literal ${ write $${."


def expand(
    tree: object, environ: Mapping[str, str], positions: Positions, folder: pathlib.Path
) -> tuple[object, list[tuple[Path, Problem]]]:
    """`tree` with every reference replaced, and what is wrong with the others.

    `folder`: where relative paths of secrets start. Secrets are looked for, and not kept.
    """
    expansion = _Expansion(environ, positions, folder)
    return expansion.of(tree, ()), expansion.problems


def in_options(path: Path) -> bool:
    """Whether `path` lies inside the options of a plugin."""
    match path:
        case ("source", "options", _, *_):
            return True
        case ("sinks" | "nodes", _, "options", _, *_) | ("nodes", _, "aggregate", "options", _, *_):
            return True
    return False


@dataclass(slots=True)
class _Expansion:
    environ: Mapping[str, str]
    positions: Positions
    folder: pathlib.Path
    problems: list[tuple[Path, Problem]] = field(default_factory=list)

    def of(self, value: object, path: Path) -> object:
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.of(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner, (*path, index)) for index, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> object:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None and whole["secret"] is not None:
            return self._secret(SecretReference(whole["secret"]), path)
        return "".join(self._pieces(text, path))

    def _pieces(self, text: str, path: Path) -> Iterator[str]:
        end = 0
        for match in _REFERENCE.finditer(text):
            yield text[end : match.start()]
            yield self._piece(match, path)
            end = match.end()
        yield text[end:]

    def _piece(self, match: re.Match[str], path: Path) -> str:
        if match["bad"] is not None:
            self._refuse(path, f"{match['bad']!r} is not a reference", _WAYS)
        elif match["secret"] is not None:
            remedy = "Make the secret the whole value of a secret option."
            self._refuse(path, f"{match[0]} stands inside other text", remedy)
        elif match["name"] is None:
            return "${"
        else:
            return self._variable(match, path)
        return match[0]

    def _variable(self, match: re.Match[str], path: Path) -> str:
        value = self.environ.get(match["name"])
        if match["default"] is not None:
            return value or match["default"]
        if value is None:
            remedy = f"Set it, or give a default: ${{{match['name']}:-default}}."
            self._refuse(path, f"{match[0]}: the environment has no variable {match['name']}", remedy)
            return match[0]
        return value

    def _secret(self, reference: SecretReference, path: Path) -> SecretReference:
        name, _, default = reference.name.partition(":-")
        if not in_options(path):
            remedy = "Secrets go into options of a plugin that are declared secret, nowhere else."
            self._refuse(path, f"{reference} is not allowed here", remedy)
        elif default:
            self._refuse(path, f"{reference}: a secret has no default", f"Write ${{secret:{name}}}.")
        elif not reference.is_well_formed:
            self._refuse(path, f"{reference} names no secret", secret.WAYS)
        elif not reference.provider:
            try:
                reference.read(self.environ, self.folder)
            except NoSecret as error:
                self._refuse(path, str(error), error.remedy)
        return reference

    def _refuse(self, path: Path, message: str, remedy: str) -> None:
        self.problems.append((path, self.positions.problem(path, message, remedy)))
