"""What pydantic finds wrong with a pipeline, as problems that a person can act upon."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from frame.config.fields import FileModel, Finding, show
from frame.config.nodes import (
    KIND_KEYS,
    AggregationConfig,
    CoalesceConfig,
    GateConfig,
    TransformConfig,
)
from frame.config.positions import Path, Positions
from frame.config.shape import TAGS, keys_of, model_at
from frame.errors import Problem

MOST = 100
"""How many problems are listed; nobody reads more."""

_KIND_NAMES: dict[type[FileModel], str] = {
    TransformConfig: "a transform",
    GateConfig: "a gate",
    AggregationConfig: "an aggregation",
    CoalesceConfig: "a coalesce",
}
_SHAPES = {
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "string_type": "should be text",
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def findings_of(error: ValidationError) -> Iterator[Finding]:
    """Everything that `error` holds, each with its path from the top of the file."""
    for detail in error.errors(include_url=False)[: 10 * MOST]:
        path = tuple(part for part in detail["loc"] if part not in TAGS)
        for finding in _findings(detail):
            yield Finding(
                path=(*path, *finding["path"]) if path[-1:] != ("[key]",) else path[:-1],
                message=finding["message"],
                remedy=finding.get("remedy", ""),
                at_key=finding.get("at_key", False) or path[-1:] == ("[key]",),
            )


def problems_of(findings: Iterable[Finding], positions: Positions) -> list[tuple[Path, Problem]]:
    """`findings` as problems with their places in the file."""
    return [
        (
            finding["path"],
            positions.problem(
                finding["path"],
                finding["message"],
                finding.get("remedy", ""),
                at_key=finding.get("at_key", False),
            ),
        )
        for finding in findings
    ]


def in_order(found: Iterable[tuple[Path, Problem]]) -> list[Problem]:
    """The problems by their place in the file, each once, and at most `MOST` of them."""
    told = dict.fromkeys(problem for _, problem in found)
    ordered = sorted(told, key=lambda problem: (problem.line, problem.column))
    if len(ordered) > MOST:
        return [*ordered[:MOST], Problem("there are more problems than these", file=ordered[0].file)]
    return ordered


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message that suggests what `word` may have meant; empty if nothing is near."""
    matches = get_close_matches(word[:60], list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""


def _findings(detail: ErrorDetails) -> list[Finding]:
    if detail["type"] == "frame":
        findings: list[Finding] = detail["ctx"]["findings"]
        return findings
    about_keys = _ABOUT_KEYS.get(detail["type"])
    return [about_keys(detail) if about_keys else _about_value(detail)]


def _about_value(detail: ErrorDetails) -> Finding:
    kind, shown = detail["type"], show(detail["input"])
    if kind in _SHAPES:
        remedy = "Fill it in, or take the key out." if detail["input"] is None else ""
        return Finding(path=(), message=f"{_SHAPES[kind]} and is {shown}", remedy=remedy)
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return Finding(path=(), message=f"should be {words} {detail['ctx'][key]} and is {shown}")
    if kind == "shape":
        return Finding(path=(), message=f"{detail['msg']}, and is {shown}")
    return Finding(path=(), message=f"{detail['msg'][:1].lower()}{detail['msg'][1:]}")


def _missing(detail: ErrorDetails) -> Finding:
    key = str(detail["loc"][-1])
    model = model_at(detail["loc"][:-1])
    about = keys_of(model)[key].description if model is not None else ""
    return Finding(path=(), message="is missing", remedy=f"Add {key}: {about}" if about else f"Add {key}.")


def _unknown_key(detail: ErrorDetails) -> Finding:
    key = str(detail["loc"][-1])
    model = model_at(detail["loc"][:-1])
    known = keys_of(model) if model is not None else {}
    remedy = f"Known keys here are {', '.join(known)}."
    if model in _KIND_NAMES:
        owners = [name for other, name in _KIND_NAMES.items() if key in keys_of(other)]
        if owners:
            message = f"{_KIND_NAMES[model]} has no key {key!r}: it belongs to {' or '.join(owners)}"
            return Finding(path=(), message=message, remedy=remedy, at_key=True)
    return Finding(path=(), message=f"unknown key {key[:60]!r}{near(key, known)}", remedy=remedy, at_key=True)


def _no_kind(detail: ErrorDetails) -> Finding:
    value = detail["input"]
    keys = ", ".join(KIND_KEYS)
    if not isinstance(value, Mapping):
        return Finding(path=(), message=f"should be a node (a mapping) and is {show(value)}")
    chosen = [key for key in KIND_KEYS if value.get(key) is not None]
    if chosen:
        message = f"a node has one of {keys}, and this one has {' and '.join(chosen)}"
        return Finding(path=(), message=message, remedy="Keep one of them, or make two nodes of it.")
    message = f"a node has one of {keys}, and this one has none"
    unknown = [key for key in value if isinstance(key, str) and key not in _ALL_NODE_KEYS]
    hint = next((text for text in (near(key, KIND_KEYS) for key in unknown[:MOST]) if text), "")
    return Finding(path=(), message=message + hint, remedy="Say what the node does.")


_ALL_NODE_KEYS = frozenset(key for model in _KIND_NAMES for key in keys_of(model))


def _not_one_of(detail: ErrorDetails) -> Finding:
    value, expected = detail["input"], detail["ctx"]["expected"]
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    hint = near(value, choices) if isinstance(value, str) else ""
    words = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    return Finding(path=(), message=f"should be {words} and is {show(value)}{hint}")


_ABOUT_KEYS: dict[str, Callable[[ErrorDetails], Finding]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "node_kind": _no_kind,
    "literal_error": _not_one_of,
}
