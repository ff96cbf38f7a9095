"""The models as a tree to walk: which keys are known at a place of the file."""

from collections.abc import Iterator
from inspect import get_annotations
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from frame.config.fields import FileModel
from frame.config.models import PipelineConfig
from frame.config.nodes import AGGREGATION, COALESCE, FORK, GATE, LOOP, ONE, TRANSFORM
from frame.config.policies import CLAUSES, ONE_TARGET

TAGS = frozenset({TRANSFORM, GATE, AGGREGATION, COALESCE, ONE, FORK, LOOP, ONE_TARGET, CLAUSES})
"""Marks that pydantic puts into the place of an error for the member of a union that it chose."""

_IDENTITY = ("name", "plugin", "options")

Keys = dict[str, FieldInfo]


def keys_of(model: type[FileModel]) -> Keys:
    """The keys of `model` as the file writes them: what it is, its own, then what it shares."""
    own = get_annotations(model)

    def rank(item: tuple[str, FieldInfo]) -> int:
        return 1 if item[0] in own else 0 if item[0] in _IDENTITY else 2

    return {field.alias or name: field for name, field in sorted(model.model_fields.items(), key=rank)}


def model_at(place: tuple[str | int, ...]) -> type[FileModel] | None:
    """The model of the mapping at `place` (as pydantic gives it, tags and all); None if no model is there."""
    here: Any = PipelineConfig
    for part in place:
        here = _below(here, part)
    return next((member for member in _members(here) if _is_model(member)), None)


def models_in(annotation: object) -> Iterator[type[FileModel]]:
    """Every model that a value of type `annotation` may be or hold."""
    for member in _members(annotation):
        if _is_model(member):
            yield member
        else:
            for argument in get_args(member):
                yield from models_in(argument)


def _below(annotation: object, part: str | int) -> object:
    if part in TAGS:
        return next((member for member in _tagged(annotation) if _tag(member) == part), None)
    for member in _members(annotation):
        if _is_model(member) and part in keys_of(member):
            return keys_of(member)[str(part)].annotation
        if get_origin(member) in (dict, tuple):
            return get_args(member)[1 if get_origin(member) is dict else 0]
    return None


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, FileModel)


def _members(annotation: object) -> list[Any]:
    """What `annotation` may be, with `Annotated` and unions opened."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _tagged(annotation: object) -> Iterator[object]:
    if _tag(annotation) is not None:
        yield annotation
    elif get_origin(annotation) is Annotated or get_origin(annotation) in (Union, UnionType):
        arguments = get_args(annotation)
        for member in arguments[:1] if get_origin(annotation) is Annotated else arguments:
            yield from _tagged(member)


def _tag(annotation: object) -> str | None:
    return next((data.tag for data in getattr(annotation, "__metadata__", ()) if isinstance(data, Tag)), None)
