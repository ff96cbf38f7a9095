"""The values of YAML nodes by the YAML 1.2 core schema, and where each of them stands.

Only what is plainly a number is one: `no`, `on`, `010`, `12:30:45`, `1_000` and dates stay text.
"""

import math
import re
from dataclasses import dataclass, field

from frame.config.positions import Mark, Path, Place
from frame.config.yaml_nodes import AnyNode, Fault, ListNode, ScalarNode

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_OTHER_BASE = re.compile(r"0(o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_MAX_DIGITS = 1_000


def scalar_value(node: ScalarNode) -> str | int | float | bool | None:
    """The value of a scalar. Raises ValueError for a number that cannot be held.

    >>> [scalar_value(ScalarNode(text, True, Place())) for text in ("no", "010", "1e3", "true", "~", "0x1f")]
    ['no', '010', 1000.0, True, None, 31]
    """
    text = node.text
    if not node.plain:
        return text
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    return _number(text) if text[0] in "0123456789+-." else text


def _number(text: str) -> str | int | float:
    if _INTEGER.match(text) or _OTHER_BASE.match(text):
        if len(text) > _MAX_DIGITS:
            raise ValueError(f"a number of more than {_MAX_DIGITS} digits")
        return int(text, 0)
    if _NOT_FINITE.match(text):
        raise ValueError(f"{text} is not a finite number")
    if not _FLOAT.match(text):
        return text
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]} is too large for a number")
    return value


@dataclass(slots=True)
class Values:
    """The value of a tree of nodes: `root`, the `marks` of all its paths, and the `faults` in it."""

    tree: AnyNode
    marks: dict[Path, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    root: object = None

    def __post_init__(self) -> None:
        self.root = self._value(self.tree, (), None)

    def _value(self, node: AnyNode, path: Path, key: Place | None) -> object:
        self.marks[path] = Mark(node.place, key, isinstance(node, ScalarNode))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, ListNode):
            return [self._value(item, (*path, index), None) for index, item in enumerate(node.items)]
        return {key: self._value(value, (*path, key), place) for key, (place, value) in node.entries.items()}

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        try:
            return scalar_value(node)
        except ValueError as error:
            self.faults.append(Fault(str(error), "Put it in quotes if it is text.", node.place, path))
            return None
