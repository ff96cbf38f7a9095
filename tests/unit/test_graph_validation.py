"""What keeps a pipeline from running, said before any row is read."""

from typing import Any

import pytest

from tests.unit.graph_examples import (
    compiled,
    forked,
    gate,
    gather,
    join,
    out,
    refused,
    step,
)

TWO = {"out": out(), "bad": out()}
YES_NO = {"true": "out", "false": "discard"}
A_TO_J, B_TO_J = step("a", to="j"), step("b", to="j")

BAD: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None, list[str]]] = {
    # --- Names ---
    "a target that is near a name": (
        [step("clean", to="outt")],
        None,
        ["nodes[0] (clean).to: there is no node or sink 'outt'; did you mean 'out'?"],
    ),
    "a target that is near nothing": (
        [step("clean", on_error="quarantine")],
        None,
        ["nodes[0] (clean).on_error: there is no node or sink 'quarantine'"],
    ),
    "a route to the source": (
        [gate("g", routes={"true": "source", "false": "out"})],
        None,
        ["nodes[0] (g).routes.true: rows cannot go to the source"],
    ),
    "every kind of way that leads nowhere": (
        [
            step("a", on_error=[{"when": "error.attempts > 1", "to": "zzz1"}]),
            gate("g", routes={"true": ["zzz2", "out"], "false": {"to": "zzz3"}}),
        ],
        {"out": out(on_error="zzz4")},
        [
            "nodes[0] (a).on_error[0].to: there is no node or sink 'zzz1'",
            "nodes[1] (g).routes.true[0]: there is no node or sink 'zzz2'",
            "nodes[1] (g).routes.false.to: there is no node or sink 'zzz3'",
            "sinks.out.on_error: there is no node or sink 'zzz4'",
        ],
    ),
    "nothing after the last node and two sinks": (
        [step("clean")],
        TWO,
        [
            "nodes[0] (clean): nothing says where rows go after 'clean': no node follows it, and there are 2 sinks"
        ],
    ),
    "a to that no route takes": (
        [gate("g", to="out", routes={"true": "bad", "false": "discard"})],
        TWO,
        [
            "nodes[0] (g).to: says what `continue` means, and no route of this gate continues",
            "sinks.out: no row can reach sink 'out'",
        ],
    ),
    # --- Reachability ---
    "a node that is jumped over": (
        [step("a", to="c"), step("b"), step("c")],
        None,
        ["nodes[1] (b): no row can reach transform 'b'"],
    ),
    "a sink that nothing leads to": ([step("a", to="out")], TWO, ["sinks.bad: no row can reach sink 'bad'"]),
    "a loop that nothing leads out of": (
        [step("a"), gate("g", routes={"true": {"to": "a"}, "false": {"to": "a"}}, on_error="out")],
        None,
        ["nodes[0] (a): a row that comes to transform 'a' can never leave the loop"],
    ),
    # --- Loops ---
    "a cycle without a gate": (
        [step("a"), step("b", to="a", on_error="out")],
        None,
        ["nodes[1] (b).to: 'a' -> 'b' -> 'a' is a cycle that no gate closes: rows would go round for ever"],
    ),
    "a node that leads to itself": (
        [step("a", to="a", on_error="out")],
        None,
        ["nodes[0] (a).to: 'a' -> 'a' is a cycle that no gate closes: rows would go round for ever"],
    ),
    "a loop to a node that a row can go round": (
        [
            gate("first", routes={"true": "a", "false": "b"}),
            step("a"),
            step("b"),
            gate("back", routes={"true": "a", "false": "out"}),
        ],
        None,
        [
            (
                "nodes[3] (back).routes.true: route 'true' of gate 'back' leads back to 'a', "
                "but a row can come to 'back' without having been there"
            )
        ],
    ),
    "a loop past a join": (
        [
            step("s"),
            forked("f", "a", "b"),
            A_TO_J,
            B_TO_J,
            join("j", to="back"),
            gate("back", routes={"true": "s", "false": "out"}),
        ],
        None,
        [
            (
                "nodes[5] (back).routes.true: route 'true' of gate 'back' leads back to 's' "
                "past coalesce 'j', which makes new rows of those it takes"
            )
        ],
    ),
    "a loop past an aggregation": (
        [step("s"), gather("g"), gate("back", routes={"true": "s", "false": "out"})],
        None,
        [
            (
                "nodes[2] (back).routes.true: route 'true' of gate 'back' leads back to 's' "
                "past aggregation 'g', which makes new rows of those it takes"
            )
        ],
    ),
    "a loop past a transform that expands": (
        [{"name": "s", "plugin": "split"}, gate("back", routes={"true": "s", "false": "out"})],
        None,
        [
            (
                "nodes[1] (back).routes.true: route 'true' of gate 'back' leads back to 's' "
                "past transform 's', which makes new rows of those it takes"
            )
        ],
    ),
    "an aggregation that leads its members back": (
        [step("s"), gather("g", on_error="s")],
        None,
        [
            (
                "nodes[1] (g).on_error: on_error of aggregation 'g' leads back to 's' "
                "past aggregation 'g', which makes new rows of those it takes"
            )
        ],
    ),
    "a loop out of an open fork": (
        [step("s"), forked("f", "back", "bad"), gate("back", routes={"true": "s", "false": "out"})],
        TWO,
        [
            (
                "nodes[2] (back).routes.true: route 'true' of gate 'back' leads back to 's' "
                "from inside the fork at gate 'f'"
            )
        ],
    ),
    "a branch that leads back": (
        [step("s"), gate("g", routes={"true": ["s", "out"], "false": "out"})],
        None,
        ["nodes[1] (g).routes.true: a branch of the fork at gate 'g' leads back to transform 's'"],
    ),
    "a max on a way that leads onward": (
        [gate("g", routes={"true": {"to": "a", "max": 3}, "false": "out"}), step("a")],
        None,
        ["nodes[0] (g).routes.true: max bounds a way back, and gate 'g' leads onward to transform 'a'"],
    ),
    # --- Labels ---
    "a truth without a false": (
        [gate("g", routes={"true": "out"})],
        None,
        ["nodes[0] (g).routes: gate 'g' has no route for 'false', which the expression gives"],
    ),
    "a comparison with names for its values": (
        [gate("g", "row.a > 1 || row.b == 'x'", routes={"yes": "out"})],
        None,
        [
            "nodes[0] (g).routes: gate 'g' has no route for 'true', which the expression gives",
            "nodes[0] (g).routes: gate 'g' has no route for 'false', which the expression gives",
            "nodes[0] (g).routes.yes: gate 'g' has a route for 'yes', and the expression gives only 'false' and 'true'",
        ],
    ),
    "a third truth value": (
        [gate("g", "row.flag", routes={**YES_NO, "maybe": "discard"})],
        None,
        [
            (
                "nodes[0] (g).routes.maybe: gate 'g' has a route for 'maybe', "
                "and the expression gives only 'false' and 'true'"
            )
        ],
    ),
    "labels of a plugin without a route, and a route without a label": (
        [
            {
                "name": "g",
                "plugin": "grade",
                "options": {"says": ["hi", "lo"]},
                "routes": {"hi": "out", "low": "out"},
            }
        ],
        None,
        [
            "nodes[0] (g).routes: gate 'g' has no route for 'lo', which the plugin gives",
            "nodes[0] (g).routes.low: gate 'g' has a route for 'low', and the plugin gives only 'hi' and 'lo'",
        ],
    ),
    # --- Forks and joins ---
    "two branches to one place by two names": (
        [gate("g", routes={"true": ["continue", "a"], "false": "discard"}), step("a")],
        None,
        ["nodes[0] (g).routes.true: two branches of the fork go to transform 'a'"],
    ),
    "rows that were never forked at a join": (
        [step("s", to="j"), join("j")],
        None,
        ["nodes[1] (j): rows come to coalesce 'j' from 's' without having been forked"],
    ),
    "a join of one branch": (
        [forked("f", "a", "out"), step("a", to="j"), join("j")],
        None,
        ["nodes[2] (j): only branch 'a' of the fork at 'f' (route 'true') comes to coalesce 'j'"],
    ),
    "a join of two forks": (
        [
            gate("g", routes={"true": ["a", "b"], "false": ["a", "c"]}),
            A_TO_J,
            B_TO_J,
            step("c", to="j"),
            join("j"),
        ],
        None,
        [
            (
                "nodes[4] (j): coalesce 'j' joins branches of 2 forks: "
                "the fork at 'g' (route 'false') and the fork at 'g' (route 'true')"
            )
        ],
    ),
    "two terminal branches of a fork within a branch": (
        [forked("f", "g", "b"), forked("g", "a", "c"), A_TO_J, step("c", to="j"), B_TO_J, join("j")],
        None,
        [
            (
                "nodes[5] (j): the fork at 'g' (route 'true') is still open where its branches come to coalesce 'j', "
                "which joins the fork at 'f' (route 'true')"
            )
        ],
    ),
    "a fork that meets twice": (
        [
            forked("f", "a", "b", "c", "d"),
            A_TO_J,
            B_TO_J,
            step("c", to="k"),
            step("d", to="k"),
            join("j"),
            join("k"),
        ],
        None,
        [
            (
                "nodes[0] (f).routes.true: the branches of the fork meet at 'j' and 'k', "
                "and a fork has one coalesce at most"
            )
        ],
    ),
    "an expansion between fork and join": (
        [forked("f", "a", "b"), {"name": "a", "plugin": "split", "to": "j"}, B_TO_J, join("j")],
        None,
        [
            (
                "nodes[3] (j): transform 'a' stands between the fork at 'f' (route 'true') and coalesce 'j', "
                "and the rows that it makes are no branches of the fork any more"
            )
        ],
    ),
    "a batch between fork and join": (
        [forked("f", "a", "b"), gather("a", to="j"), B_TO_J, join("j")],
        None,
        [
            (
                "nodes[3] (j): aggregation 'a' stands between the fork at 'f' (route 'true') and coalesce 'j', "
                "and the rows that it makes are no branches of the fork any more"
            )
        ],
    ),
    "a selected branch that does not come": (
        [forked("f", "a", "b", "out"), A_TO_J, B_TO_J, join("j", merge="select", select="out")],
        None,
        ["nodes[3] (j).coalesce.select: select names 'out', and these branches come here: 'a' and 'b'"],
    ),
    "a quorum that can never be": (
        [forked("f", "a", "b"), A_TO_J, B_TO_J, join("j", policy="quorum", quorum=3)],
        None,
        ["nodes[3] (j).coalesce.quorum: quorum is 3, and 2 branches can come: 'a' and 'b'"],
    ),
    # --- Sinks ---
    "invalid rows to a transform": (
        [step("a")],
        {"source": {"on_invalid": "a"}},
        ["source.on_invalid: invalid rows cannot go to transform 'a': it expects rows that fit"],
    ),
    "refused rows to a transform": (
        [step("a")],
        {"out": out(on_error="a")},
        ["sinks.out.on_error: rows that sink 'out' refuses cannot go to transform 'a'"],
    ),
    "refused rows that go two steps": (
        [step("a", to="x")],
        {"x": out(on_error="y"), "y": out(on_error="z"), "z": out()},
        [
            (
                "sinks.x.on_error: rows that sink 'x' refuses go to 'y', "
                "which has an on_error of its own: refused rows go one step and no further"
            )
        ],
    ),
    "two sinks on one file": (
        [step("a", to="x", on_error="y")],
        {"x": out(options={"path": "o/late.csv"}), "y": out(options={"path": "o/../O/Late.csv"})},
        ["sinks.y.options.path: sink 'y' writes the same file as sink 'x': o/../O/Late.csv"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_pipeline_that_cannot_run_is_refused_with_the_place_and_the_reason(case: str):
    nodes, sinks, expected = BAD[case]
    top = {"source": sinks.pop("source")} if sinks and "source" in sinks else {}

    assert refused(nodes, sinks or None, **top) == expected


GOOD: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {
    "no node at all": ([], None),
    "a route that names an earlier node": (
        [step("a"), gate("g", routes={"true": "a", "false": "out"})],
        None,
    ),
    "a node that a failed row goes back to": ([step("a"), step("b", on_error=[{"to": "a", "max": 2}])], None),
    "a failed row that comes again to its own node": ([step("a", on_error="a")], None),
    "a loop inside a loop": (
        [
            step("a"),
            step("b"),
            gate("inner", routes={"true": "b", "false": "continue"}),
            gate("outer", routes={"true": "a", "false": "out"}),
        ],
        None,
    ),
    "a loop inside a branch": (
        [
            forked("f", "a", "b"),
            step("a"),
            gate("again", routes={"true": "a", "false": "j"}),
            B_TO_J,
            join("j"),
        ],
        None,
    ),
    "a fork that leaves the loop for good": (
        [step("a"), gate("g", "row.s", routes={"again": "a", "done": ["out", "bad"]})],
        TWO,
    ),
    "a fork within a branch that is joined before": (
        [
            forked("f", "g", "b"),
            forked("g", "c", "d"),
            step("c", to="k"),
            step("d", to="k"),
            join("k", to="j"),
            B_TO_J,
            join("j"),
        ],
        None,
    ),
    "a fork within a branch that goes elsewhere": (
        [
            forked("f", "a", "b"),
            gate("a", routes={"true": ["out", "bad"], "false": "j"}),
            B_TO_J,
            join("j"),
        ],
        TWO,
    ),
    "a branch that goes straight to the join": ([forked("f", "a", "j"), A_TO_J, join("j")], None),
    "an enriching batch between fork and join": (
        [forked("f", "a", "b"), gather("a", "passthrough", to="j"), B_TO_J, join("j")],
        None,
    ),
    "a branch that may go another way": (
        [
            forked("f", "a", "b", "c"),
            gate("a", routes={"true": "j", "false": "bad"}),
            B_TO_J,
            gather("c", to="bad"),
            join("j"),
        ],
        TWO,
    ),
    "a failed branch that comes to the join as it was": (
        [
            forked("f", "a", "b"),
            {"name": "a", "plugin": "split", "to": "bad", "on_error": "j"},
            B_TO_J,
            join("j"),
        ],
        TWO,
    ),
    "labels that only the data know": (
        [
            gate("g", "row.kind", routes={"x": "out", "y": "continue"}),
            {"name": "h", "plugin": "grade", "routes": {"y": "out"}},
        ],
        None,
    ),
    "a sink that only takes what another refuses": (
        [step("a", to="out")],
        {"out": out(on_error="bad"), "bad": out()},
    ),
    "two sinks in one folder": (
        [step("a", to="x", on_error="y")],
        {"x": out(options={"path": "o/a"}), "y": out(options={"path": "o/b"})},
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_pipeline_that_can_run_is_accepted(case: str):
    nodes, sinks = GOOD[case]

    assert refused(nodes, sinks) == []


def test_two_sinks_on_one_file_are_told_apart_neither_by_a_symlink_nor_by_dots(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    paths = [str(tmp_path / "real" / "x.csv"), str(tmp_path / "link" / ".." / "real" / "x.csv")]
    sinks = {f"s{index}": out(options={"path": path}) for index, path in enumerate(paths)}

    found = refused([step("a", to="s0", on_error="s1")], sinks)

    assert found == [f"sinks.s1.options.path: sink 's1' writes the same file as sink 's0': {paths[1]}"]


def test_thirty_forks_in_a_row_are_judged_at_once():
    nodes = []
    for number in range(30):
        nodes += [forked(f"f{number}", f"a{number}", f"b{number}")]
        nodes += [step(f"a{number}", to=f"f{number + 1}"), step(f"b{number}", to=f"f{number + 1}")]
    nodes.append(step("f30"))

    assert len(compiled(nodes).nodes) == 93
