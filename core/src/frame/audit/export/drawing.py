"""A run's graph as an SVG picture: what led where, and how many tokens came to each node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from frame.audit.contents import NodeContents
from frame.audit.export.layers import Layout, Place, lay_out
from frame.audit.runs import EdgeRecord, NodeRecord

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 46, 28, 52, 16
THROUGH = 20
"""Room for an edge that is led through a layer."""
LONGEST_NAME, LONGEST_LABEL = 22, 16


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    y: float


def draw(nodes: Sequence[NodeRecord], edges: Sequence[EdgeRecord], counts: Mapping[int, NodeContents]) -> str:
    """The picture; its colours come from the style sheet of the page that it stands in."""
    layout = lay_out([node.node for node in nodes], [(edge.origin, edge.target) for edge in edges])
    width = max(_width(layer) for layer in layout.layers) + 2 * MARGIN
    height = len(layout.layers) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    centres = _centres(layout, width)
    known = {node.node: node for node in nodes}
    arrows = [
        _arrow(edge, [centres[vertex] for vertex in way])
        for edge, way in zip(edges, layout.ways, strict=True)
    ]
    boxes = [_box(known[number], centre, counts) for (number, step), centre in centres.items() if step < 0]
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>'
    )
    return (
        f'<svg class="graph" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="The graph of the pipeline">{marker}{"".join(arrows)}{"".join(boxes)}</svg>'
    )


def _room(vertex: Place) -> int:
    return BOX_WIDTH if vertex[1] < 0 else THROUGH


def _width(layer: Sequence[Place]) -> float:
    return sum(map(_room, layer)) + GAP_X * (len(layer) - 1)


def _centres(layout: Layout, width: float) -> dict[Place, _Point]:
    centres = {}
    for depth, layer in enumerate(layout.layers):
        x = (width - _width(layer)) / 2
        y = MARGIN + BOX_HEIGHT / 2 + depth * (BOX_HEIGHT + GAP_Y)
        for vertex in layer:
            centres[vertex] = _Point(x + _room(vertex) / 2, y)
            x += _room(vertex) + GAP_X
    return centres


def _box(node: NodeRecord, at: _Point, counts: Mapping[int, NodeContents]) -> str:
    x, y = at.x - BOX_WIDTH / 2, at.y - BOX_HEIGHT / 2
    round_ = {"source": 22, "sink": 4, "gate": 14}.get(node.kind, 8)
    found = counts.get(node.node, NodeContents())
    failed = f' · <tspan class="bad">{found.failed:,} failed</tspan>' if found.failed else ""
    came = found.went if node.kind == "source" else found.came
    return (
        f'<g class="node {escape(node.kind)}"><rect x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="{round_}"/>'
        f'<text x="{at.x:g}" y="{at.y - 4:g}" class="name">{_short(node.name, LONGEST_NAME)}</text>'
        f'<text x="{at.x:g}" y="{at.y + 13:g}" class="count">{escape(node.kind)} · {came:,}{failed}</text></g>'
    )


def _arrow(edge: EdgeRecord, points: Sequence[_Point]) -> str:
    kind = {"error": "error", "loop": "loop"}.get(edge.mode, "plain")
    first, last = points[0], points[-1]
    if last.y <= first.y:
        path, label_at = _upwards(first, last)
    else:
        path, label_at = _downwards(points)
    label = "" if edge.label in ("to", "continue") else _short(edge.label, LONGEST_LABEL)
    text = f'<text x="{label_at.x:g}" y="{label_at.y:g}" class="label">{label}</text>' if label else ""
    return f'<path d="{path}" class="edge {kind}" marker-end="url(#tip)"/>{text}'


def _downwards(points: Sequence[_Point]) -> tuple[str, _Point]:
    start = _Point(points[0].x, points[0].y + BOX_HEIGHT / 2)
    end = _Point(points[-1].x, points[-1].y - BOX_HEIGHT / 2)
    stops = [start, *points[1:-1], end]
    path = f"M{start.x:g} {start.y:g}"
    for before, after in pairwise(stops):
        bend = (after.y - before.y) / 2
        path += f"C{before.x:g} {before.y + bend:g} {after.x:g} {after.y - bend:g} {after.x:g} {after.y:g}"
    second = stops[1]
    return path, _Point((start.x + second.x) / 2, (start.y + second.y) / 2 + 4)


def _upwards(first: _Point, last: _Point) -> tuple[str, _Point]:
    """A way back around the right side."""
    start, end = first.x + BOX_WIDTH / 2, last.x + BOX_WIDTH / 2
    out = max(start, end) + GAP_X
    path = f"M{start:g} {first.y:g}C{out:g} {first.y:g} {out:g} {last.y:g} {end:g} {last.y:g}"
    return path, _Point(out - 6, (first.y + last.y) / 2)


def _short(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return escape(line if len(line) <= longest else line[: longest - 1] + "…")
