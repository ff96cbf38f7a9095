"""The options that say which database is meant, and what stands for it where people read."""

from pathlib import Path
from typing import Annotated, Any

from frame.errors import ConfigError, Problem
from frame.plugin import PluginConfig, beside_pipeline
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE = "sqlite:///"
EXAMPLES = "sqlite:///shop.db or postgresql://user@host/name"


def _checked(url: str, info: ValidationInfo) -> str:
    """`url` with a path from the pipeline's folder. Raises ValueError, which shows nothing of a URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"is no database URL such as {EXAMPLES}") from None
    if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
        if not parsed.database:
            raise ValueError("names no database: write postgresql://user@host/name")
        return url
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise ValueError(f"{parsed.drivername} is no database that this plugin knows; write {EXAMPLES}")
    if not parsed.database or parsed.database.startswith(":") or parsed.query or "\0" in parsed.database:
        raise ValueError("SQLite needs the path of a file and nothing else, as in sqlite:///shop.db")
    return SQLITE + beside_pipeline(parsed.database, info)


def _checked_either(url: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
    if isinstance(url, SecretStr):
        return SecretStr(_checked(url.get_secret_value(), info)) if url.get_secret_value() else url
    return _checked(url, info)


class DatabaseOptions(PluginConfig):
    """Which database, and how long to wait for it."""

    url: Annotated[str | SecretStr, AfterValidator(_checked_either)] = Field(
        description=f"The database: {EXAMPLES}; a relative path starts at the pipeline's folder. `${{env:NAME}}` and "
        "`${secret:NAME}` keep it out of the file."
    )
    password: SecretStr | None = Field(default=None, description="The password, where the URL has none.")
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=3600, description="Seconds to wait for a connection."
    )
    statement_timeout_s: float = Field(
        default=300.0,
        gt=0,
        le=86400,
        description="Seconds that a statement may take; with SQLite, that it may wait for a lock.",
    )

    def parsed_url(self) -> URL:
        """The URL with the password in it."""
        url = make_url(self.url.get_secret_value() if isinstance(self.url, SecretStr) else self.url)
        return url if self.password is None else url.set(password=self.password.get_secret_value())

    def place(self) -> str:
        """The database for people: without who connects and how."""
        url = self.parsed_url()
        if url.get_backend_name() == "sqlite":
            return SQLITE + str(url.database)
        query = {name: value for name, value in url.query.items() if name in {"host", "port"}}
        plain = URL.create("postgresql", host=url.host, port=url.port, database=url.database, query=query)
        return plain.render_as_string()

    def short_name(self) -> str:
        """The database in a word, the same on every machine."""
        return Path(str(self.parsed_url().database)).name


def wrong(node: str, message: str, remedy: str = "", option: str = "url") -> ConfigError:
    """The error for an option that cannot be carried out, naming node and option."""
    return ConfigError([Problem(message, remedy, f"{node}.options.{option}")])


def either(first: Any, second: Any, names: str) -> None:
    """Raises ValueError unless one of two options is given, and not both."""
    if (first is None) == (second is None):
        raise ValueError(f"give {names}, one of them")
