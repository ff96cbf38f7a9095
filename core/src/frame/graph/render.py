"""A graph as a picture: Mermaid text, or SVG where a renderer is installed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frame.errors import UsageError
from frame.graph.model import AnyNode, CoalesceNode, Discard, GateNode, Graph, NodeKind, SourceNode
from frame.graph.ways import ON_ERROR, ON_INVALID, Way, all_ways

_MERMAID_SHAPES = {
    NodeKind.SOURCE: ("([", "])"),
    NodeKind.TRANSFORM: ("[", "]"),
    NodeKind.GATE: ("{", "}"),
    NodeKind.AGGREGATION: ("[[", "]]"),
    NodeKind.COALESCE: ("{{", "}}"),
    NodeKind.SINK: ("[(", ")]"),
}
_DOT_SHAPES = {
    NodeKind.SOURCE: "oval",
    NodeKind.TRANSFORM: "box",
    NodeKind.GATE: "diamond",
    NodeKind.AGGREGATION: "box3d",
    NodeKind.COALESCE: "hexagon",
    NodeKind.SINK: "cylinder",
}
_LONGEST_LINE = 60
_RENDERING_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class _Arrow:
    origin: str
    target: str
    label: str
    dashed: bool


def mermaid(graph: Graph) -> str:
    """`graph` as a Mermaid flowchart; the same graph always gives the same text."""
    lines = ["flowchart TD"]
    for node in graph.nodes:
        opening, closing = _MERMAID_SHAPES[node.kind]
        text = "<br/>".join(_for_mermaid(line) for line in _caption(node))
        lines.append(f'    n{node.number}{opening}"{text}"{closing}')
    arrows = list(_arrows(graph))
    ends = dict.fromkeys(arrow.target for arrow in arrows if arrow.target.startswith("d"))
    lines += [f'    {end}(("discard"))' for end in ends]
    for arrow in arrows:
        shaft = "-.->" if arrow.dashed else "-->"
        label = f'|"{_for_mermaid(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {arrow.origin} {shaft}{label} {arrow.target}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """`graph` in the language of Graphviz."""
    lines = ["digraph pipeline {", "  node [fontname=sans-serif]; edge [fontname=sans-serif, fontsize=10];"]
    for node in graph.nodes:
        text = "\\n".join(_for_dot(line) for line in _caption(node))
        lines.append(f'  n{node.number} [shape={_DOT_SHAPES[node.kind]}, label="{text}"];')
    arrows = list(_arrows(graph))
    ends = dict.fromkeys(arrow.target for arrow in arrows if arrow.target.startswith("d"))
    lines += [f'  {end} [shape=circle, label="discard"];' for end in ends]
    for arrow in arrows:
        style = ", style=dashed" if arrow.dashed else ""
        lines.append(f'  {arrow.origin} -> {arrow.target} [label="{_for_dot(arrow.label)}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def svg(graph: Graph) -> str:
    """`graph` as an SVG picture, drawn by Graphviz or by mermaid-cli. Raises UsageError when neither is there."""
    if graphviz := shutil.which("dot"):
        return _drawn([graphviz, "-Tsvg"], dot(graph))
    if mermaid_cli := shutil.which("mmdc"):
        with tempfile.TemporaryDirectory() as folder:
            source, picture = Path(folder, "graph.mmd"), Path(folder, "graph.svg")
            source.write_text(mermaid(graph), encoding="utf-8")
            _drawn([mermaid_cli, "--quiet", "--input", str(source), "--output", str(picture)], "")
            return picture.read_text(encoding="utf-8")
    raise UsageError(
        "an SVG picture is drawn by Graphviz (`dot`) or mermaid-cli (`mmdc`), and neither is on PATH: install one, "
        "as in `apt install graphviz`, or do without --svg and paste the Mermaid text where it is drawn"
    )


def _drawn(command: list[str], text: str) -> str:
    done = subprocess.run(  # noqa: S603 - the program was found on PATH, and no shell reads the arguments
        command, input=text, capture_output=True, check=False, encoding="utf-8", timeout=_RENDERING_TIMEOUT_S
    )
    if done.returncode:
        raise UsageError(f"{Path(command[0]).name} could not draw the graph: {done.stderr.strip()[-500:]}")
    return done.stdout


# --- What both languages say ----------------------------------------------------------------------------------


def _caption(node: AnyNode) -> Iterator[str]:
    yield node.name
    match node:
        case GateNode(expression=expression) if expression is not None:
            yield _short(expression.source)
        case CoalesceNode(policy=policy, how=how):
            yield f"{policy}, {how}"
        case _:
            plugin = getattr(node, "plugin", None)
            yield _short(plugin.name) if plugin is not None else node.kind.value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."


def _arrows(graph: Graph) -> Iterator[_Arrow]:
    for way in all_ways(graph.nodes):
        dashed = way.place[0] in (ON_ERROR, ON_INVALID)
        yield _Arrow(f"n{way.edge.origin}", f"n{way.edge.target}", _label(way), dashed)
    for node in graph.nodes:
        for label, dashed in _discards(node):
            yield _Arrow(f"n{node.number}", f"d{node.number}", label, dashed)


def _label(way: Way) -> str:
    label = "" if way.place == ("to",) else way.edge.label
    return f"{label}, at most {way.loop_max}x" if way.edge.mode == "loop" else _short(label)


def _discards(node: AnyNode) -> Iterator[tuple[str, bool]]:
    if isinstance(node, GateNode):
        yield from ((_short(label), False) for label, end in node.routes.items() if isinstance(end, Discard))
    if isinstance(node, SourceNode) and isinstance(node.on_invalid, Discard):
        yield ON_INVALID, True
    clauses = getattr(node, "on_error", None)
    if isinstance(clauses, tuple) and any(isinstance(clause.to, Discard) for clause in clauses):
        yield ON_ERROR, True


def _for_mermaid(text: str) -> str:
    """`text` with every character that means something to Mermaid or HTML as a numeric entity."""
    return "".join(
        character if character.isalnum() or character in " _-.,/" else f"#{ord(character)};"
        for character in text
    )


def _for_dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
