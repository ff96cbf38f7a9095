"""Explaining what happened to a row, to a token, or to a row in a sink."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from frame.errors import UsageError

if TYPE_CHECKING:
    from frame.operations.explanation import Explanation
    from frame.plugin.registry import Registry

DEFAULT_AUDIT = "sqlite:///.frame/audit.db"
MEMBERS_LIMIT = 20


def explain(  # noqa: PLR0913 - one keyword for each thing that can be asked
    run: str = "latest",
    *,
    row: int | None = None,
    token: int | None = None,
    sink: str | None = None,
    index: int | None = None,
    field: str | None = None,
    forward: bool = False,
    audit: str = DEFAULT_AUDIT,
    members_limit: int | None = MEMBERS_LIMIT,
    registry: "Registry | None" = None,
    environ: Mapping[str, str] | None = None,
) -> "Explanation":
    """What the record says, with data, about source row `row`, or `token`, or row `index` of `sink`: one of them.

    `run`: a run id, an unambiguous beginning of one, or "latest". `field`: also how that field came about.
    `forward`: also everything that came of it. `members_limit`: of batches and expansions, look at no more members
    than this; None for all. `registry`: plugins to make data again with, if not the installed ones (for classes
    that a pipeline was built from in code). `environ`: where secrets are, if not in the environment.

    Nothing is written and nothing outside is called. Raises UsageError if there is no such run, row, token or sink.
    """
    asked = [what for what in (row, token, sink) if what is not None]
    if len(asked) != 1 or (sink is None) != (index is None):
        raise UsageError("ask for one thing: a row, a token, or a sink with the index of a row in it")
    # SQLAlchemy and the engine: what only looks at this module's signature need not wait for them.
    from frame.operations.explain_answer import Question, answer

    question = Question(run, row, token, sink, index, field, forward, members_limit)
    return answer(question, audit, registry, environ)
