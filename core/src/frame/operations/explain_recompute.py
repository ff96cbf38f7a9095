"""Making the data of deterministic visits again, with the plugins that are installed now.

A plugin is used only if it is the one on record, file for file. It is built from the record alone, as the pipeline
file may be another one by now, and then called as a replay calls it (`frame.engine.remaking`): nothing of the outside
world is reached, and where the record has no answer to what a plugin asks, the visit is not made again.
"""

import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frame.canonical import canonical
from frame.clock import SystemClock
from frame.engine.calls import Call
from frame.engine.context import RunFacts
from frame.engine.executors.coalesce import unite
from frame.engine.executors.gate import label_of
from frame.engine.failures import Raised
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.recorded_calls import Answers, NoAnswer
from frame.engine.redaction import Redactor
from frame.engine.remaking import Made, Otherwise, call_again, made_row, told
from frame.errors import FrameError, PluginError, PluginFailed
from frame.expressions import Expression
from frame.graph.model import (
    CallPolicy,
    CoalesceNode,
    MergeHow,
    MergePolicy,
    OnCollision,
    PluginRef,
    To,
)
from frame.operations.fingerprints import KEY_FILE, KEY_VARIABLE, Fingerprints
from frame.operations.secrets import Secrets
from frame.plugin.paths import FOLDER
from frame.plugin.protocols import RECOMPUTABLE, Determinism, Kind, Plugin
from frame.plugin.registry import Registry
from frame.plugin.registry_found import Found
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
class Visiting:
    """Which attempt is made again, and the answers that it got from the outside world."""

    token: int
    visit: int
    attempt: int
    answers: Answers


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
        self._folder, self._registry = folder, registry
        self._environ = os.environ if environ is None else environ
        self._secrets: Secrets | None = None
        facts = RunFacts(run_id, seed, SystemClock(), Redactor(), Answers())
        self._around = Surroundings(facts, threading.Event(), lambda: None, lambda note: None)
        self._ready: dict[int, PluginNode | NotRecomputable] = {}

    def close(self) -> None:
        """Close every plugin that was built."""
        for each in self._ready.values():
            if isinstance(each, PluginNode):
                each.close()
        self._around.close()

    # --- What can be made again -----------------------------------------------------------------

    def process(self, node: Recorded, row: Row, visiting: Visiting) -> Any:
        """What a transform gives for `row`. Raises NotRecomputable."""
        return self._call(node, row, visiting)

    def label(self, node: Recorded, row: Row, visiting: Visiting) -> str:
        """The label that a gate gives for `row`. Raises NotRecomputable."""
        expression = node.options.get("expression") if node.plugin is None else None
        if expression is not None:
            try:
                value: Any = Expression.compile(expression).evaluate(row)
            except (ValueError, FrameError) as error:
                raise NotRecomputable(str(error)) from error
        else:
            value = self._call(node, row, visiting)
        label = label_of(value)
        if not isinstance(label, str):
            raise NotRecomputable(f"asked again, it gives {type(value).__name__} instead of a label")
        return label

    def form_of(self, value: Any) -> Made:
        """The row that a plugin gave, with its canonical form. Raises NotRecomputable if it is none."""
        try:
            return made_row(value, self._around.facts.redactor)
        except Otherwise as other:
            raise NotRecomputable(f"made again, it gives {other} instead of a row") from other

    @staticmethod
    def merged(node: Recorded, branches: Mapping[str, Row]) -> Row:
        """The row that a coalesce makes of `branches`. Raises NotRecomputable."""
        try:
            return freeze(unite(coalesce_of(node), branches))
        except FrameError as error:
            raise NotRecomputable(str(error)) from error

    def _call(self, node: Recorded, row: Row, visiting: Visiting) -> Any:
        if node.determinism is None or Determinism(node.determinism) not in RECOMPUTABLE:
            raise NotRecomputable(f"{node.plugin} is {node.determinism}, and its output was not kept")
        attempt = visiting.visit, visiting.attempt
        (value,) = call_again(
            self._get(node), self._around, attempt, [visiting.token], [row], visiting.answers
        )
        match value:
            case Raised(error=NoAnswer() as missing):
                raise NotRecomputable(f"it makes a call ({missing.kind}) of which the record has no answer")
            case Raised(error=error):
                why = told(value, self._around.facts.redactor)
                raise NotRecomputable(f"made again, it fails: {why}") from error
        return value

    # --- Plugins built again --------------------------------------------------------------------

    def _get(self, node: Recorded) -> PluginNode:
        if node.number not in self._ready:
            try:
                self._ready[node.number] = self._build(node)
            except NotRecomputable as error:
                self._ready[node.number] = error
        ready = self._ready[node.number]
        if isinstance(ready, NotRecomputable):
            raise NotRecomputable(*ready.args)
        return ready

    def _build(self, node: Recorded) -> PluginNode:
        found = self._find(node)
        options = self._with_secrets(node.options, node.written)
        context = {FOLDER: self._folder} if self._folder else None

        def build() -> Plugin:
            return found.plugin(found.plugin.Config.model_validate(options, context=context))

        try:
            plugin = PluginNode(
                node.number,
                node.name,
                _ref(node, found, build),
                CallPolicy(),
                self._around,
                _CALLS[found.kind],
            )
        except FrameError as error:
            raise self._unstarted(node, error) from error
        try:
            plugin.start()
            self._check_evidence(node, plugin)
        except FrameError as error:
            plugin.close()
            raise self._unstarted(node, error) from error
        return plugin

    def _unstarted(self, node: Recorded, error: FrameError) -> NotRecomputable:
        if isinstance(error, NotRecomputable):
            return error
        why = error.why if isinstance(error, PluginFailed) else str(error)
        why = self._around.facts.redactor.text(why)
        return NotRecomputable(f"{node.plugin} cannot be started again: {why}")

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

    @staticmethod
    def _check_evidence(node: Recorded, plugin: PluginNode) -> None:
        evidence = None if node.evidence is None else plugin.evidence()
        if evidence is not None and canonical(evidence) != canonical(node.evidence):
            raise NotRecomputable(f"what {node.plugin} reads is not what it was when the run took place")

    def _with_secrets(self, options: Any, written: Any) -> Any:
        """Recorded options with the secrets that the pipeline file refers to."""
        if isinstance(written, str) and (match := _SECRET.fullmatch(written)):
            secret = self._secret(match[1], options)
            self._around.facts.redactor.learn([secret])
            return secret
        if isinstance(options, Mapping):
            inner = written if isinstance(written, Mapping) else {}
            return {key: self._with_secrets(value, inner.get(key)) for key, value in options.items()}
        if isinstance(options, list):
            items = (
                written
                if isinstance(written, list) and len(written) == len(options)
                else [None] * len(options)
            )
            return [self._with_secrets(*pair) for pair in zip(options, items, strict=True)]
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


def _process(plugin: Any) -> Call:
    call: Call = plugin.process
    return call


def _evaluate(plugin: Any) -> Call:
    call: Call = plugin.evaluate
    return call


_CALLS = {Kind.TRANSFORM: _process, Kind.GATE: _evaluate}


def _ref(node: Recorded, found: Found, build: Callable[[], Plugin]) -> PluginRef:
    return PluginRef(
        kind=node.kind,
        name=node.plugin or "",
        package=node.package or "",
        distribution=found.distribution,
        version=found.version,
        record_sha256=found.record_sha256,
        api=found.plugin.api,
        determinism=found.plugin.determinism,
        options=node.options,
        build=build,
    )
