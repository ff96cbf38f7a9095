"""Making the data of deterministic visits again, with the plugins that are installed now.

A plugin is used only if it is the one on record, file for file. Nothing of the outside world is called: what a
plugin takes through its context is answered from the record, and where the record has no answer, the visit is not
made again.
"""

import asyncio
import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frame.canonical import canonical, digest, restore
from frame.clock import SystemClock
from frame.engine.context import NodeContext, RunFacts
from frame.engine.executors.coalesce import unite
from frame.engine.redaction import Redactor
from frame.errors import FrameError, NotCanonical, PluginError
from frame.expressions import Expression
from frame.graph.model import CoalesceNode, MergeHow, MergePolicy, OnCollision, To
from frame.operations.fingerprints import KEY_FILE, KEY_VARIABLE, Fingerprints
from frame.operations.secrets import Secrets
from frame.plugin.paths import FOLDER
from frame.plugin.protocols import RECOMPUTABLE, Determinism, Kind, Plugin
from frame.plugin.registry import Registry
from frame.plugin.registry_found import Found
from frame.plugin.results import Route
from frame.rows import Row, freeze

_SECRET = re.compile(r"\$\{secret:([^}\r\n]+)\}")
_TRUTH = {True: "true", False: "false"}


class NotRecomputable(FrameError):
    """Something cannot be made again; the text says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A node as the record has it. `written`: its options as they stand in the pipeline file."""

    number: int
    name: str
    kind: str
    plugin: str | None
    package: str | None
    distribution: str | None
    version: str | None
    record_sha256: str | None
    determinism: str | None
    options: Mapping[str, Any]
    written: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an external call brought back then; `answer` is None if it was not kept or none came."""

    kind: str
    request_sha256: bytes
    status: str
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Visiting:
    """Which attempt is made again, and the answers that it got from the outside world."""

    token: int | None
    visit: int
    attempt: int
    answers: Sequence[Answer] = ()


class _Replay(NodeContext):
    """A context that answers from the record and remembers what it could not answer."""

    def __init__(
        self, facts: RunFacts, node: Recorded, visiting: Visiting, secrets: Callable[[str], str]
    ) -> None:
        super().__init__(facts, node.number, node.name, secrets)
        self.token, self.visit, self.attempt = visiting.token, visiting.visit, visiting.attempt
        self._answers = list(visiting.answers)
        self.missing = ""

    def call(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        wanted = digest(self._facts.redactor.text(canonical(request).decode()).encode())
        for place, each in enumerate(self._answers):
            if (each.kind, each.request_sha256) == (kind, wanted):
                del self._answers[place]
                if each.status == "ok" and each.answer is not None:
                    return restore(each.answer)
                break
        self.missing = f"it makes a call ({kind}) of which the record has no answer"
        raise NotRecomputable(self.missing)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plugin that has been started again."""

    plugin: Any
    redactor: Redactor


class Recomputer:
    """The plugins of one recorded run, built again when they are first needed; `close()` it.

    `folder`: that of the pipeline file, if it had one. `environ`: where secrets are.
    """

    def __init__(
        self,
        run_id: str,
        seed: int,
        *,
        folder: str | None,
        registry: Registry | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._run_id, self._seed, self._folder = run_id, seed, folder
        self._registry = registry
        self._environ = os.environ if environ is None else environ
        self._secrets: Secrets | None = None
        self._ready: dict[int, _Ready | NotRecomputable] = {}

    def close(self) -> None:
        """Close every plugin that was built."""
        for each in self._ready.values():
            if isinstance(each, _Ready):
                _quietly(each.plugin.close)

    # --- What can be made again -----------------------------------------------------------------

    def process(self, node: Recorded, row: Row, visiting: Visiting) -> Any:
        """What a transform gives for `row`. Raises NotRecomputable."""
        return self._call(node, row, visiting, _process)

    def label(self, node: Recorded, row: Row, visiting: Visiting) -> str:
        """The label that a gate gives for `row`. Raises NotRecomputable."""
        expression = node.options.get("expression") if node.plugin is None else None
        if expression is not None:
            try:
                value: Any = Expression.compile(expression).evaluate(row)
            except (ValueError, FrameError) as error:
                raise NotRecomputable(str(error)) from error
        else:
            value = self._call(node, row, visiting, _evaluate)
        return _label(value)

    @staticmethod
    def merged(node: Recorded, branches: Mapping[str, Row]) -> Row:
        """The row that a coalesce makes of `branches`. Raises NotRecomputable."""
        try:
            return freeze(unite(coalesce_of(node), branches))
        except FrameError as error:
            raise NotRecomputable(str(error)) from error

    def _call(
        self, node: Recorded, row: Row, visiting: Visiting, call: Callable[[Any, Row, _Replay], Any]
    ) -> Any:
        if node.determinism is None or Determinism(node.determinism) not in RECOMPUTABLE:
            raise NotRecomputable(f"{node.plugin} is {node.determinism}, and its output was not kept")
        ready = self._get(node)
        context = self._context(node, ready.plugin, ready.redactor, visiting)
        try:
            value = call(ready.plugin, row, context)
        except NotRecomputable:
            raise
        except (Exception, SystemExit) as error:
            if context.missing:
                raise NotRecomputable(context.missing) from error
            why = ready.redactor.text(f"{type(error).__name__}: {error}")
            raise NotRecomputable(f"made again, it fails: {why}") from error
        if context.missing:
            raise NotRecomputable(context.missing)
        return value

    def _context(self, node: Recorded, plugin: Plugin, redactor: Redactor, visiting: Visiting) -> _Replay:
        def secret(name: str) -> str:
            value: str = getattr(plugin.config, name).get_secret_value()
            return value

        facts = RunFacts(self._run_id, self._seed, SystemClock(), redactor)
        return _Replay(facts, node, visiting, secret)

    # --- Plugins built again --------------------------------------------------------------------

    def _get(self, node: Recorded) -> _Ready:
        if node.number not in self._ready:
            try:
                self._ready[node.number] = self._build(node)
            except NotRecomputable as error:
                self._ready[node.number] = error
        ready = self._ready[node.number]
        if isinstance(ready, NotRecomputable):
            raise NotRecomputable(*ready.args)
        return ready

    def _build(self, node: Recorded) -> _Ready:
        found = self._find(node)
        revealed: list[str] = []
        options = self._with_secrets(node.options, node.written, revealed)
        redactor = Redactor(revealed)
        context = {FOLDER: self._folder} if self._folder else None
        plugin: Any = None
        try:
            plugin = found.plugin(found.plugin.Config.model_validate(options, context=context))
            plugin.start(self._context(node, plugin, redactor, Visiting(None, 0, 0)))
            self._check_evidence(node, plugin)
        except NotRecomputable:
            _quietly(plugin.close)
            raise
        except (Exception, SystemExit) as error:
            if plugin is not None:
                _quietly(plugin.close)
            why = redactor.text(str(error) or type(error).__name__)
            raise NotRecomputable(f"{node.plugin} cannot be started again: {why}") from error
        return _Ready(plugin, redactor)

    def _find(self, node: Recorded) -> Found:
        recorded = f"{node.distribution} {node.version}" if node.distribution else "the pipeline's own code"
        if self._registry is None:
            self._registry = Registry.discover()
        try:
            found = self._registry.find(Kind(node.kind), f"{node.package}.{node.plugin}")
        except PluginError as error:
            raise NotRecomputable(f"recorded by {recorded}, which is not at hand here") from error
        if (found.distribution, found.version) != (node.distribution or "", node.version or ""):
            installed = f"{found.distribution} {found.version}".strip() or "a class of one's own"
            raise NotRecomputable(f"recorded by {recorded}, installed is {installed}")
        if found.record_sha256 != (node.record_sha256 or ""):
            raise NotRecomputable(f"recorded by {recorded}, whose code has changed since")
        return found

    def _check_evidence(self, node: Recorded, plugin: Any) -> None:
        tell = getattr(plugin, "evidence", None)
        if node.evidence is None or tell is None:
            return
        if canonical(tell()) != canonical(node.evidence):
            raise NotRecomputable(f"what {node.plugin} reads is not what it was when the run took place")

    def _with_secrets(self, options: Any, written: Any, revealed: list[str]) -> Any:
        """Recorded options with the secrets that the pipeline file refers to."""
        if isinstance(written, str) and (match := _SECRET.fullmatch(written)):
            revealed.append(self._secret(match[1], options))
            return revealed[-1]
        if isinstance(options, Mapping):
            inner = written if isinstance(written, Mapping) else {}
            return {
                key: self._with_secrets(value, inner.get(key), revealed) for key, value in options.items()
            }
        if isinstance(options, list):
            items = (
                written
                if isinstance(written, list) and len(written) == len(options)
                else [None] * len(options)
            )
            return [self._with_secrets(*pair, revealed) for pair in zip(options, items, strict=True)]
        return options

    def _secret(self, name: str, recorded: Any) -> str:
        if self._secrets is None:
            self._registry = self._registry or Registry.discover()
            self._secrets = Secrets(self._environ, Path(self._folder or "."), self._registry)
        try:
            value = self._secrets.read(name)
        except (LookupError, PluginError) as error:
            raise NotRecomputable(f"it needs the secret {name}. {error}") from error
        known = recorded.get("secret") if isinstance(recorded, Mapping) else None
        key_folder = Path(self._folder or ".") / ".frame"
        has_key = KEY_VARIABLE in os.environ or (key_folder / KEY_FILE).is_file()
        if has_key and known is not None and Fingerprints(key_folder).of(value) != known:
            raise NotRecomputable(f"the secret {name} is another one than it was when the run took place")
        return value


def coalesce_of(node: Recorded) -> CoalesceNode:
    """The coalesce that the record describes."""
    options = node.options
    return CoalesceNode(
        node.number,
        node.name,
        MergePolicy(options["policy"]),
        options["quorum"],
        options["timeout_s"],
        MergeHow(options["merge"]),
        OnCollision(options["on_collision"]),
        options["select"],
        To(node.number),
    )


def form_of(value: Any) -> tuple[Row, bytes]:
    """The row that a plugin gave, with its canonical form. Raises NotRecomputable if it is none."""
    if not isinstance(value, Mapping):
        raise NotRecomputable(f"made again, it gives {type(value).__name__} instead of a row")
    try:
        row = freeze(value)
        return row, canonical(row)
    except NotCanonical as error:
        raise NotRecomputable(f"made again, it gives what has no canonical form: {error}") from error


def _process(plugin: Any, row: Row, context: _Replay) -> Any:
    many = getattr(plugin, "process_many", None)
    if many is not None:
        return next(iter(many([row], context)))
    if inspect.iscoroutinefunction(plugin.process):
        return asyncio.run(plugin.process(row, context))
    return plugin.process(row, context)


def _evaluate(plugin: Any, row: Row, context: _Replay) -> Any:
    if inspect.iscoroutinefunction(plugin.evaluate):
        return asyncio.run(plugin.evaluate(row, context))
    return plugin.evaluate(row, context)


def _label(value: Any) -> str:
    if isinstance(value, Route):
        return value.label
    if isinstance(value, bool):
        return _TRUTH[value]
    if isinstance(value, str):
        return value
    raise NotRecomputable(f"asked again, it gives {type(value).__name__} instead of a label")


def _quietly(close: Callable[[], Any]) -> None:
    with suppress(Exception):
        close()
