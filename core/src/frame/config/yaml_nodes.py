"""YAML text as a tree of nodes with their places, refusing whatever could execute, explode or surprise.

The tree is built from libyaml's events, not by its composer, so that depth, size and aliases are bounded
while the text is read: nothing is built that a limit forbids. Refused: tags, merge keys, duplicate keys, keys
that are not scalars, a second document, an alias to a node that is still open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from frame.config.positions import Path, Place

MAX_DEPTH = 50
MAX_ALIAS_NODES = 1_000
MAX_NODES = 50_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """`plain`: written without quotes, so that it may be a number, a truth value or null."""

    text: str
    plain: bool
    place: Place
    size: int = 1


@dataclass(frozen=True, slots=True)
class ListNode:
    """`size` counts the nodes below and itself, aliases expanded."""

    items: tuple["AnyNode", ...]
    place: Place
    size: int


@dataclass(frozen=True, slots=True)
class MapNode:
    """`entries`: key to (place of the key, value), in the order of the file."""

    entries: dict[str, tuple[Place, "AnyNode"]]
    place: Place
    size: int


AnyNode = ScalarNode | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the text that is refused, at `place` and, where there is one, at `path`."""

    message: str
    remedy: str
    place: Place
    path: Path = ()


class Unreadable(Exception):
    """The text cannot be read on after `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def read_nodes(text: str) -> tuple[AnyNode | None, list[Fault]]:
    """The tree of the one document in `text` (None if there is none), and what is refused in it.

    After a fault from which reading cannot go on the tree is None.
    """
    reader = _Reader(iter(yaml.parse(text, Loader=_Loader)))
    try:
        return reader.document(), reader.faults
    except Unreadable as stop:
        return None, [*reader.faults, stop.fault]
    except yaml.MarkedYAMLError as error:
        return None, [*reader.faults, _syntax_fault(error, text)]
    except yaml.YAMLError as error:
        return None, [*reader.faults, Fault(f"is not YAML: {error}", "", Place())]


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Fault(f"is not YAML: {error.problem}", "", Place())
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Fault("this line is indented with a tab", "Indent with spaces.", Place(mark.line + 1, 1))
    context = f" {error.context}" if error.context else ""
    message = f"is not YAML: {error.problem}{context}"
    remedy = "Check the indentation, quotes and brackets here and in the line before."
    return Fault(message, remedy, Place(mark.line + 1, mark.column + 1))


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place()


@dataclass(slots=True)
class _Reader:
    events: Iterator[yaml.Event]
    faults: list[Fault] = field(default_factory=list)
    anchors: dict[str, AnyNode | None] = field(default_factory=dict)
    nodes: int = 0
    alias_nodes: int = 0

    def document(self) -> AnyNode | None:
        root: AnyNode | None = None
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if root is not None:
                remedy = "Keep one pipeline a file; take out the `---` in the middle."
                raise Unreadable(Fault("a second document begins here", remedy, _place(event)))
            root = self._node(next(self.events), (), 1)
        return root

    def _node(self, event: yaml.Event, path: Path, depth: int) -> AnyNode:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            fault = Fault(f"more than {MAX_NODES} values", "Split the file.", _place(event))
            raise Unreadable(fault)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            fault = Fault(f"nested more than {MAX_DEPTH} deep", "Nest less.", _place(event))
            raise Unreadable(fault)
        self._refuse_tag(event, path)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = None
        node = self._built(event, path, depth)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def _built(self, event: yaml.Event, path: Path, depth: int) -> AnyNode:
        if isinstance(event, yaml.ScalarEvent):
            return ScalarNode(event.value, event.style in (None, ""), _place(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, path, depth)
        return self._map(event, path, depth)

    def _list(self, start: yaml.Event, path: Path, depth: int) -> ListNode:
        items: list[AnyNode] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return ListNode(tuple(items), _place(start), 1 + sum(item.size for item in items))

    def _map(self, start: yaml.Event, path: Path, depth: int) -> MapNode:
        entries: dict[str, tuple[Place, AnyNode]] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = _place(event)
            key = self._key(self._node(event, path, depth + 1), place, path)
            below = path if key is None else (*path, key)
            value = self._node(next(self.events), below, depth + 1)
            if key is None:
                continue
            if key in entries:
                self._refuse_repeat(key, entries[key][0], place, below)
            else:
                entries[key] = (place, value)
        return MapNode(entries, _place(start), 1 + sum(value.size for _, value in entries.values()))

    def _key(self, node: AnyNode, place: Place, path: Path) -> str | None:
        if not isinstance(node, ScalarNode):
            self.faults.append(Fault("a key has to be text", "Write the key as a word.", place, path))
            return None
        if node.plain and node.text == "<<":
            remedy = "Write the keys out where they are needed."
            self.faults.append(Fault("merge keys (<<) are not supported", remedy, place, path))
            return None
        if node.plain and node.text in ("True", "TRUE", "False", "FALSE"):
            return node.text.lower()
        return node.text

    def _refuse_repeat(self, key: str, first: Place, second: Place, path: Path) -> None:
        message = f"the key {key[:60]!r} is there twice, in lines {first.line} and {second.line}"
        self.faults.append(Fault(message, "Keep one of them.", second, path))

    def _refuse_tag(self, event: yaml.Event, path: Path) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")[:80]
            remedy = "Take it out; quote a value that has to stay text."
            self.faults.append(Fault(f"the tag {shown} is not supported", remedy, _place(event), path))

    def _alias(self, event: yaml.AliasEvent) -> AnyNode:
        name = str(event.anchor)[:60]
        if event.anchor is None or event.anchor not in self.anchors:
            fault = Fault(f"the alias *{name} has no anchor before it", f"Add &{name}.", _place(event))
            raise Unreadable(fault)
        node = self.anchors[event.anchor]
        if node is None:
            message = f"the alias *{name} stands inside its own anchor"
            raise Unreadable(Fault(message, "Write the value out.", _place(event)))
        self.alias_nodes += node.size
        if self.alias_nodes > MAX_ALIAS_NODES:
            message = f"the aliases stand for more than {MAX_ALIAS_NODES} values"
            raise Unreadable(Fault(message, "Write the values out, or use fewer.", _place(event)))
        return node
