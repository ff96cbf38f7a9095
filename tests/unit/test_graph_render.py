"""Graphs as pictures."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from frame.errors import UsageError
from frame.graph.model import Graph
from frame.graph.render import dot, mermaid, svg

from tests.unit.graph_examples import compiled, forked, gate, gather, join, out, step


def drawn() -> Graph:
    nodes: list[dict[str, Any]] = [
        step("clean", on_error=[{"when": "error.attempts > 1", "to": "bad"}, {"to": "discard"}]),
        gate(
            "again",
            'row.a > 1 && row.b != "]-->|x|"',
            routes={"true": {"to": "clean", "max": 3}, "false": "f"},
        ),
        forked("f", "a", "b"),
        step("a", to="j"),
        step("b", to="j"),
        join("j", to="g"),
        gather("g", to="out"),
    ]
    return compiled(nodes, {"out": out(), "bad": out()})


def test_a_mermaid_picture_shows_every_node_and_every_way():
    assert (
        mermaid(drawn())
        == """flowchart TD
    n0(["source<br/>rows"])
    n1["clean<br/>step"]
    n2{"again<br/>row.a #62; 1 #38;#38; row.b #33;#61; #34;#93;--#62;#124;x#124;#34;"}
    n3{"f<br/>row.a #62; 1"}
    n4["a<br/>step"]
    n5["b<br/>step"]
    n6{{"j<br/>require_all, union"}}
    n7[["g<br/>gather"]]
    n8[("out<br/>out")]
    n9[("bad<br/>out")]
    d1(("discard"))
    d3(("discard"))
    n0 --> n1
    n1 --> n2
    n1 -.->|"on_error"| n9
    n2 -->|"true, at most 3x"| n1
    n2 -->|"false"| n3
    n3 -->|"true"| n4
    n3 -->|"true"| n5
    n4 --> n6
    n5 --> n6
    n6 --> n7
    n7 --> n8
    n1 -.->|"on_error"| d1
    n3 -->|"false"| d3
"""
    )


def test_a_label_cannot_break_out_of_a_mermaid_picture():
    label = ']}"--> x\n%%{init}<script>;`#'
    graph = compiled([gate("g", "row.k", routes={label: "out"})])

    (line,) = [line for line in mermaid(graph).splitlines() if "n1 -->" in line]

    assert re.fullmatch(r'    n1 -->\|"[A-Za-z0-9 _.,/#;-]*"\| n2', line)


def test_a_long_expression_is_shown_in_short():
    expression = " || ".join(f"row.field{number} == 1" for number in range(20))
    graph = compiled([gate("g", expression, routes={"true": "out", "false": "discard"})])

    assert "row.field0" in mermaid(graph)
    assert "row.field19" not in mermaid(graph)


def test_a_graphviz_picture_quotes_what_users_wrote():
    text = dot(drawn())

    assert 'n2 [shape=diamond, label="again\\nrow.a > 1 && row.b != \\"]-->|x|\\""];' in text
    assert 'n1 -> n9 [label="on_error", style=dashed];' in text
    assert text.startswith("digraph pipeline {")


def test_without_a_renderer_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        UsageError, match=r"Graphviz \(`dot`\) or mermaid-cli \(`mmdc`\), and neither is on PATH"
    ):
        svg(drawn())


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('sh')}\n{script}\n")
    (folder / name).chmod(0o755)


def test_graphviz_draws_if_it_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program(tmp_path, "dot", 'read first; echo "<svg>$1 $first</svg>"')
    monkeypatch.setenv("PATH", str(tmp_path))

    assert svg(drawn()) == "<svg>-Tsvg digraph pipeline {</svg>\n"


def test_mermaid_cli_draws_if_graphviz_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program(tmp_path, "mmdc", 'read first < "$3"; echo "<svg>$first</svg>" > "$5"')
    monkeypatch.setenv("PATH", str(tmp_path))

    assert svg(drawn()) == "<svg>flowchart TD</svg>\n"


def test_a_renderer_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program(tmp_path, "dot", "echo 'no fonts' >&2; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UsageError, match="dot could not draw the graph: no fonts"):
        svg(drawn())
