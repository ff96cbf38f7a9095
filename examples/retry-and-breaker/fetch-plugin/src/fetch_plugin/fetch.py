"""The transform `fetch`."""

import json
import urllib.error
import urllib.request
from typing import Any

from frame.errors import RetryableError
from frame.plugin import Context, Determinism, Fail, PluginConfig, Transform, TransformResult
from frame.rows import Row
from pydantic import Field

OVERLOADED = (429, 500, 502, 503, 504)


class Fetch(Transform):
    """Add what a web service says about a field's value.

    A service that is overloaded or cannot be reached is worth another attempt; any other answer than 200 is not.
    """

    name = "fetch"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        url: str = Field(description="Where to ask; `/` and the value of `key` are put behind it.")
        key: str = Field(description="The field whose value is asked about.")
        into: str = Field(description="The field that takes the answer.")

    config: Config

    def process(self, row: Row, context: Context) -> TransformResult:
        answer = context.call("http", f"{self.config.url}/{row[self.config.key]}", _get)
        if answer["status"] == 200:
            return {**row, self.config.into: answer["body"]}
        return Fail(f"HTTP status {answer['status']}", retryable=answer["status"] in OVERLOADED)


def _get(url: str) -> dict[str, Any]:
    """Status and body, as JSON values: this is what stands on record."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the pipeline's author chose the URL
            return {"status": response.status, "body": json.load(response)}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "body": None}
    except OSError as error:
        raise RetryableError(f"{url}: {error}") from error
