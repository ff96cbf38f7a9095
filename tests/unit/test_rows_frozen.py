"""What a row refuses, and what it stays good for."""

import copy
import json
import operator
import pickle
from collections import OrderedDict
from types import MappingProxyType

import orjson
import pytest
from frame.rows import FrozenList, Row, freeze


def row() -> Row:
    return freeze(
        {"a": 1, "tags": ["x", {"deep": [1]}], "pair": (1, [2]), "map": MappingProxyType({"k": [3]})}
    )


CHANGES = [
    ("set", lambda row: operator.setitem(row, "a", 2)),
    ("add", lambda row: operator.setitem(row, "new", 2)),
    ("delete", lambda row: operator.delitem(row, "a")),
    ("|=", lambda row: operator.ior(row, {"a": 2})),
    ("clear", lambda row: row.clear()),
    ("pop", lambda row: row.pop("a")),
    ("pop with a default", lambda row: row.pop("z", None)),
    ("popitem", lambda row: row.popitem()),
    ("setdefault", lambda row: row.setdefault("a", 2)),
    ("update", lambda row: row.update(a=2)),
    ("attribute", lambda row: setattr(row, "note", 1)),
]
LIST_CHANGES = [
    ("set", lambda items: operator.setitem(items, 0, 2)),
    ("set slice", lambda items: operator.setitem(items, slice(0, 1), [])),
    ("delete", lambda items: operator.delitem(items, 0)),
    ("+=", lambda items: operator.iadd(items, [1])),
    ("*=", lambda items: operator.imul(items, 2)),
    ("append", lambda items: items.append(1)),
    ("clear", lambda items: items.clear()),
    ("extend", lambda items: items.extend([1])),
    ("insert", lambda items: items.insert(0, 1)),
    ("pop", lambda items: items.pop()),
    ("remove", lambda items: items.remove("x")),
    ("reverse", lambda items: items.reverse()),
    ("sort", lambda items: items.sort(key=str)),
    ("attribute", lambda items: setattr(items, "note", 1)),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
@pytest.mark.parametrize("part", [lambda row: row, lambda row: row["tags"][1], lambda row: row["map"]])
def test_a_row_and_the_maps_in_it_refuse_every_change(part, change):
    frozen = row()

    with pytest.raises((TypeError, AttributeError)):
        change(part(frozen))

    assert frozen == row()


@pytest.mark.parametrize(
    "change", [change for _, change in LIST_CHANGES], ids=[name for name, _ in LIST_CHANGES]
)
@pytest.mark.parametrize(
    "part", [lambda row: row["tags"], lambda row: row["tags"][1]["deep"], lambda row: row["pair"]]
)
def test_a_list_in_a_row_refuses_every_change(part, change):
    frozen = row()

    with pytest.raises((TypeError, AttributeError)):
        change(part(frozen))

    assert frozen == row()


def test_every_method_that_changes_a_dict_or_a_list_is_refused():
    assert {name for name in CHANGING_DICT if getattr(Row, name) is getattr(dict, name)} == set()
    assert {name for name in CHANGING_LIST if getattr(FrozenList, name) is getattr(list, name)} == set()


def _changing(kind: type, probe: object) -> set[str]:
    """The methods of `kind` that are not those of its immutable relative."""
    return {name for name in dir(kind) if not name.startswith("__") and name not in dir(probe)}


CHANGING_DICT = _changing(dict, MappingProxyType({})) - {"fromkeys"} | {
    "__setitem__",
    "__delitem__",
    "__ior__",
}
CHANGING_LIST = _changing(list, ()) - {"copy"} | {"__setitem__", "__delitem__", "__iadd__", "__imul__"}


def test_a_refusal_says_what_to_do_instead():
    with pytest.raises(
        TypeError, match=r"Row is read-only: return a new row instead, as in \{\*\*row, 'field': value\}"
    ):
        row()["a"] = 2


def test_freezing_copies_what_can_be_changed():
    source = {"a": [1], "b": {"c": [2]}}

    frozen = freeze(source)
    source["a"].append(9)
    source["b"]["c"].append(9)

    assert frozen == {"a": [1], "b": {"c": [2]}}
    assert [type(value) for value in (frozen, frozen["a"], frozen["b"], frozen["b"]["c"])] == [
        Row,
        FrozenList,
        Row,
        FrozenList,
    ]


def test_what_is_frozen_is_not_frozen_again():
    frozen = row()

    assert freeze(frozen) is frozen
    assert freeze({"inner": frozen})["inner"] is frozen


@pytest.mark.parametrize("source", [{}, {"a": 1}, OrderedDict(a=[1]), MappingProxyType({"a": (1,)})])
def test_any_mapping_can_be_frozen(source):
    frozen = freeze(source)

    assert type(frozen) is Row
    assert json.loads(json.dumps(frozen)) == json.loads(json.dumps(dict(source)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_row_survives_pickling_as_a_row(protocol):
    back = pickle.loads(pickle.dumps(row(), protocol))

    assert (back, type(back), type(back["tags"]), type(back["tags"][1])) == (row(), Row, FrozenList, Row)


def test_a_deep_copy_of_a_row_is_the_row():
    frozen = row()

    assert copy.deepcopy(frozen) is frozen
    assert copy.deepcopy({"in": frozen})["in"] is frozen
    assert copy.deepcopy(frozen["tags"]) is frozen["tags"]


def test_a_changed_copy_is_a_plain_dict():
    frozen = row()

    changed = {**frozen, "a": 2}
    changed["b"] = 3

    assert type(changed) is dict
    assert (changed["a"], frozen["a"]) == (2, 1)
    assert type(frozen | {"a": 2}) is dict
    assert [*frozen["tags"], "y"][-1] == "y"


def test_rows_are_json_to_orjson_and_json():
    assert orjson.loads(orjson.dumps(row())) == json.loads(json.dumps(row())) == row() | {"pair": [1, [2]]}
