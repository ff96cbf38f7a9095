"""A plugin's options: checked by its own model, with secrets filled in.

A secret enters an option only by reference (`${secret:NAME}` in the file), and only where the model says SecretStr.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from frame.config.positions import Path
from frame.config.problems import near
from frame.config.secret import NoSecret, SecretReference
from frame.errors import PluginError
from frame.plugin.paths import FOLDER
from frame.secrecy import Screen

ReadSecret = Callable[[str], str]
"""The value of the secret of this name (all that stands after `secret:`).

Raises LookupError when there is none, PluginError when it cannot be asked for.
"""


@dataclass(frozen=True, slots=True)
class OptionFault:
    """What is wrong with the option at `path`, from the top of the options.

    `of_a_plugin`: the option is well-formed, and a plugin has to be installed or repaired.
    """

    path: Path
    message: str
    remedy: str = ""
    at_key: bool = False
    of_a_plugin: bool = False


@dataclass(slots=True)
class Options:
    """The options of one node. `config` is None when there are `faults`; `secrets` are all values to keep quiet."""

    config: Any = None
    faults: list[OptionFault] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def quiet(self, text: str) -> str:
        """`text` without any of the secrets."""
        return Screen(self.secrets).text(text)


def check_options(
    model: type[BaseModel], written: Mapping[str, Any], read_secret: ReadSecret, folder: str | None
) -> Options:
    """The options `written` in the file as an instance of `model`, or all that is wrong with them.

    `folder`: where relative paths among them start.
    """
    options = Options()
    revealed = _reveal(written, (), read_secret, options)
    try:
        config = model.model_validate(revealed, context={FOLDER: folder})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            options.faults.append(_fault(detail, model, written, options))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a validator may raise anything
        options.faults.append(OptionFault((), options.quiet(f"cannot be checked: {error!r}")))
    else:
        options.faults += _literal_secrets(config, written)
        options.config = None if options.faults else config
    return options


def _reveal(value: object, path: Path, read_secret: ReadSecret, options: Options) -> object:
    if isinstance(value, SecretReference):
        try:
            secret = read_secret(value.name)
        except NoSecret as error:
            options.faults.append(OptionFault(path, str(error), error.remedy))
            return SecretStr("")
        except LookupError:
            remedy = f"Set {value.name} in the environment before the run; its value is never recorded."
            options.faults.append(OptionFault(path, f"{value}: there is no secret of this name", remedy))
            return SecretStr("")
        except PluginError as error:
            options.faults.append(OptionFault(path, options.quiet(str(error)), of_a_plugin=True))
            return SecretStr("")
        options.secrets.add(secret)
        return SecretStr(secret)
    if isinstance(value, Mapping):
        return {key: _reveal(inner, (*path, key), read_secret, options) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_reveal(inner, (*path, index), read_secret, options) for index, inner in enumerate(value)]
    return value


def _fault(
    detail: ErrorDetails, model: type[BaseModel], written: Mapping[str, Any], options: Options
) -> OptionFault:
    location, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        known = _option_names(model) if len(location) == 1 else []
        key = str(location[-1])
        remedy = f"Options here are {', '.join(known)}." if known else ""
        return OptionFault(location, f"unknown option {key[:60]!r}{near(key, known)}", remedy, at_key=True)
    if kind == "missing":
        described = model.model_fields.get(str(location[0])) if len(location) == 1 else None
        about = f": {described.description}" if described and described.description else "."
        return OptionFault(location, "is missing", f"Add {location[-1]}{about}")
    if isinstance(detail["input"], SecretStr):
        remedy = "Only options that the plugin declares as SecretStr take a secret."
        return OptionFault(_in_file(location, written), "is no option for a secret", remedy)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return OptionFault(_in_file(location, written), options.quiet(f"{message[:1].lower()}{message[1:]}"))


def _option_names(model: type[BaseModel]) -> list[str]:
    return [described.alias or name for name, described in model.model_fields.items()]


def _in_file(location: Path, written: Any) -> Path:
    """As much of pydantic's `location` as stands in the file: it also names members of unions."""
    found: list[str | int] = []
    for part in location:
        try:
            written = written[part]
        except (LookupError, TypeError):
            continue
        found.append(part)
    return tuple(found)


def _literal_secrets(config: object, written: Any, path: Path = ()) -> Iterator[OptionFault]:
    """Secret options whose value stands in the file in so many words. `written` is what stands at `path`."""
    if isinstance(config, SecretStr | SecretBytes):
        if isinstance(written, str | bytes):
            remedy = "Write ${secret:NAME}, and set NAME in the environment."
            yield OptionFault(path, "is a secret and stands in the pipeline itself", remedy)
        return
    for key, inner in _parts(config):
        if _in_file((key,), written):
            yield from _literal_secrets(inner, written[key], (*path, key))


def _parts(config: object) -> Iterator[tuple[Any, object]]:
    """What `config` is made of, by what it is called in the file."""
    match config:
        case BaseModel():
            for name, described in type(config).model_fields.items():
                yield described.alias or name, getattr(config, name)
        case Mapping():
            yield from config.items()
        case list() | tuple():
            yield from enumerate(config)
