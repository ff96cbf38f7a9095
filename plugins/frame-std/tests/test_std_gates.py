"""switch, sample, threshold: which label a row gets."""

from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest
from frame.errors import MissingField, WrongType
from frame.plugin import Determinism, Fail
from frame.rows import freeze
from frame_std.gates.sample import Sample
from frame_std.gates.switch import Switch
from frame_std.gates.threshold import Threshold
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("JFK", "JFK"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (None, "null"),
        (Decimal("1.20"), "1.20"),
        (datetime(2013, 1, 1, tzinfo=UTC), "2013-01-01T00:00:00Z"),
        ("", ""),
    ],
)
def test_switch_gives_the_text_of_the_value(value, label, context):
    switch = Switch(Switch.Config(field="f"))

    assert switch.evaluate(freeze({"f": value}), context) == label
    assert switch.labels() is None


def test_switch_maps_values_to_labels(context):
    cases = {"JFK": "ny", "LGA": "ny", "true": "yes", "null": "none"}
    switch = Switch(Switch.Config(field="f", cases=cases, default="other"))

    labels = [switch.evaluate(freeze({"f": value}), context) for value in ("JFK", "LGA", True, None, "BOS")]

    assert labels == ["ny", "ny", "yes", "none", "other"]
    assert switch.labels() == {"ny", "yes", "none", "other"}


def test_a_value_without_a_case_fails_unless_there_is_a_default(context):
    switch = Switch(Switch.Config(field="f", cases={"a": "A"}))

    assert switch.evaluate(freeze({"f": "b"}), context) == Fail(
        "field 'f': no case for 'b', and there is no default"
    )
    assert switch.labels() == {"A"}


def test_threshold_puts_a_number_on_its_side(context):
    table = {
        ("above", 60): "above",
        ("below", 60): "below",
        ("above", 59.999): "below",
        ("below", 60.001): "above",
        ("above", 10**400): "above",
        ("above", -(10**400)): "below",
        ("above", Decimal("60.0")): "above",
        ("above", Decimal("59.99999999999999999999999999")): "below",
    }

    for (on_bound, value), label in table.items():
        gate = Threshold(Threshold.Config(field="n", bounds=60, on_bound=on_bound))
        assert gate.evaluate(freeze({"n": value}), context) == label


def test_a_decimal_is_compared_with_the_bound_as_it_is_written(context):
    gate = Threshold(Threshold.Config(field="n", bounds=0.1))

    assert gate.evaluate(freeze({"n": Decimal("0.1")}), context) == "above"


def test_a_null_has_a_label_of_its_own_or_fails(context):
    strict = Threshold(Threshold.Config(field="n", bounds=[0, 1], labels=["a", "b", "c"]))
    lenient = Threshold(Threshold.Config(field="n", bounds=0, null_label="unknown"))

    assert lenient.evaluate(freeze({"n": None}), context) == "unknown"
    assert lenient.labels() == {"below", "above", "unknown"}
    assert strict.labels() == {"a", "b", "c"}
    with pytest.raises(WrongType, match="field 'n' should be a number and is null"):
        strict.evaluate(freeze({"n": None}), context)


@pytest.mark.parametrize("value", ["60", True, [1], {}])
def test_what_is_no_number_fails_the_row(value, context):
    with pytest.raises(WrongType, match="should be a number"):
        Threshold(Threshold.Config(field="n", bounds=0, null_label="x")).evaluate(
            freeze({"n": value}), context
        )


@given(
    st.lists(st.integers(-100, 100), min_size=1, max_size=6, unique=True).map(sorted),
    st.one_of(st.integers(-120, 120), st.floats(-120, 120), st.decimals(-120, 120)),
)
def test_every_number_lies_in_the_band_between_its_bounds(bounds, number):
    labels = [str(band) for band in range(len(bounds) + 1)]
    gate = Threshold(Threshold.Config(field="n", bounds=bounds, labels=labels))

    label = gate.evaluate(freeze({"n": number}), None)

    assert label == str(sum(bound <= number for bound in bounds))


def test_a_sample_by_key_sends_all_rows_of_a_key_one_way(context):
    rows = [freeze({"k": key, "n": n}) for key in range(2000) for n in (0, 1)]
    small, large = (Sample(Sample.Config(rate=rate, key="k")) for rate in (0.2, 0.5))

    taken = [{row["k"] for row in rows if gate.evaluate(row, context) == "in"} for gate in (small, large)]
    left = {row["k"] for row in rows if large.evaluate(row, context) == "out"}

    assert taken[0] < taken[1]
    assert not taken[1] & left
    assert (len(taken[0]), len(taken[1])) == (pytest.approx(400, abs=80), pytest.approx(1000, abs=100))


def test_another_salt_makes_another_sample(context):
    rows = [freeze({"k": key}) for key in range(200)]
    one, other = (Sample(Sample.Config(rate=0.5, key="k", salt=salt)) for salt in ("", "b"))

    labels = [[gate.evaluate(row, context) for row in rows] for gate in (one, other)]

    assert labels[0] != labels[1]


def test_a_sample_by_chance_follows_the_contexts_generator(at):
    sample = Sample(Sample.Config(rate=0.3))
    row = freeze({})

    labels = [[sample.evaluate(row, at(random=Random(seed))) for seed in range(500)] for _ in range(2)]

    assert labels[0] == labels[1]
    assert labels[0].count("in") == pytest.approx(150, abs=40)
    assert Sample.determinism is Determinism.SEEDED


@pytest.mark.parametrize(("rate", "label"), [(0, "out"), (1, "in")])
def test_nothing_and_everything_are_samples_too(rate, label, at):
    by_chance, by_key = Sample(Sample.Config(rate=rate)), Sample(Sample.Config(rate=rate, key="k"))

    for number in range(200):
        assert by_chance.evaluate(freeze({}), at(random=Random(number))) == label
        assert by_key.evaluate(freeze({"k": number}), at()) == label


@pytest.mark.parametrize(
    "gate",
    [
        Switch(Switch.Config(field="f")),
        Sample(Sample.Config(rate=0.5, key="f")),
        Threshold(Threshold.Config(field="f", bounds=0)),
    ],
)
def test_a_gate_fails_a_row_that_lacks_its_field_or_has_no_single_value(gate, context):
    with pytest.raises(MissingField, match="no field 'f', which node 'here' needs"):
        gate.evaluate(freeze({"g": 1}), context)
    with pytest.raises(WrongType, match="field 'f' should be a"):
        gate.evaluate(freeze({"f": [1]}), context)
    assert set(gate.requires().fields) == {"f"}


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (Switch.Config, {"field": "f", "default": "x"}, "default needs cases"),
        (Switch.Config, {"field": ""}, "at least 1 character"),
        (Sample.Config, {"rate": 1.5}, "less than or equal to 1"),
        (Sample.Config, {"rate": float("nan")}, "rate"),
        (Threshold.Config, {"field": "n", "bounds": []}, "at least 1"),
        (Threshold.Config, {"field": "n", "bounds": [2, 1], "labels": ["a", "b", "c"]}, "bounds must rise"),
        (Threshold.Config, {"field": "n", "bounds": [1, 1], "labels": ["a", "b", "c"]}, "bounds must rise"),
        (Threshold.Config, {"field": "n", "bounds": float("inf")}, "finite"),
        (Threshold.Config, {"field": "n", "bounds": [1, 2]}, "2 bounds make 3 bands, and there are 2 labels"),
        (
            Threshold.Config,
            {"field": "n", "bounds": 1, "labels": ["a", "a"]},
            "two bands have the same label",
        ),
        (Threshold.Config, {"field": "n", "bounds": "many"}, "bounds"),
        (Threshold.Config, {"field": "n", "bounds": True}, "bounds are numbers, not true or false"),
    ],
)
def test_gate_options_that_do_not_go_are_refused(config, options, message):
    with pytest.raises(ValidationError, match=message):
        config(**options)
