"""The secrets of one pipeline: each is read once, from where the pipeline file says."""

from collections.abc import Mapping
from pathlib import Path

from frame.config.secret import NoSecret, SecretReference
from frame.errors import PluginError
from frame.plugin.registry import Registry
from frame.plugin.registry_source import FOREIGN_FAILURES
from frame.plugin.secrets import SecretProvider
from frame.secrecy import PROCESS, SHORTEST


class Secrets:
    """Reads secrets and remembers them. `folder`: that of the pipeline file."""

    def __init__(self, environ: Mapping[str, str], folder: Path, registry: Registry) -> None:
        self._environ, self._folder, self._registry = environ, folder, registry
        self._read: dict[str, str] = {}
        self._providers: dict[str, SecretProvider] = {}

    def read(self, name: str) -> str:
        """The secret that `${secret:name}` refers to.

        Raises NoSecret when there is none, PluginError when the provider that has it cannot be asked.
        """
        if name not in self._read:
            reference = SecretReference(name)
            value = (
                self._ask(reference) if reference.provider else reference.read(self._environ, self._folder)
            )
            PROCESS.learn([value])
            self._read[name] = value
        return self._read[name]

    @property
    def values(self) -> tuple[str, ...]:
        """All that have been read."""
        return tuple(self._read.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What their owner should know about them."""
        return tuple(
            f"{SecretReference(name)} has fewer than {SHORTEST} characters: it cannot be told from other text, and "
            "so cannot be kept out of messages and of the record if a plugin says it"
            for name, value in self._read.items()
            if len(value) < SHORTEST
        )

    def _ask(self, reference: SecretReference) -> str:
        name = reference.provider
        try:
            if name not in self._providers:
                self._providers[name] = self._registry.secret_provider(name)
            value = self._providers[name].read(reference.path)
        except PluginError as error:
            raise PluginError(f"{reference}: {error}") from error
        except LookupError as error:
            said = f": {error.args[0]}" if error.args else ""
            raise NoSecret(
                f"{reference}: provider {name!r} has no such secret{said}",
                "Check the path, and what it may read.",
            ) from error
        except FOREIGN_FAILURES as error:
            raise PluginError(
                f"{reference}: provider {name!r} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(value, str):
            raise PluginError(f"{reference}: provider {name!r} gave {type(value).__name__} instead of text")
        if not value:
            raise NoSecret(f"{reference} is empty", f"Look what {name!r} has there.")
        return value
