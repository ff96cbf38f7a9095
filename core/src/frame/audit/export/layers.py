"""Where the nodes of a graph stand in a drawing: in layers from the source down, so that few edges cross."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

ROUNDS = 8
"""How often the layers are sorted by their neighbours; more hardly change a drawing."""

Place = tuple[int, int]
"""A vertex: the number of a node and -1, or the n-th step and the number of an edge that is led through a layer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`layers`: vertices from left to right; those whose second number is not -1 lead an edge through.

    `ways`: of each edge, the vertices from its origin to its target. An edge that leads up again has just these two.
    """

    layers: Sequence[Sequence[Place]]
    ways: Sequence[Sequence[Place]]


def lay_out(nodes: Sequence[int], edges: Sequence[tuple[int, int]]) -> Layout:
    """The layout of a graph whose first node is its source.

    >>> lay_out([0, 1, 2], [(0, 1), (1, 2), (0, 2)]).layers
    [[(0, -1)], [(1, -1), (0, 2)], [(2, -1)]]
    """
    depth = _depths(nodes, edges)
    ways = [_way(edge, number, depth) for number, edge in enumerate(edges)]
    layers: dict[int, list[Place]] = defaultdict(list)
    for node in nodes:
        layers[depth[node]].append((node, -1))
    for way in ways:
        for vertex in way[1:-1]:
            layers[depth[way[0][0]] + way.index(vertex)].append(vertex)
    ordered = [layers[at] for at in range(max(layers) + 1)]
    _sort(ordered, ways)
    return Layout(ordered, ways)


def _depths(nodes: Sequence[int], edges: Sequence[tuple[int, int]]) -> dict[int, int]:
    """How far down each node stands: below all that lead to it, without the edges that lead back up."""
    back = _back_edges(nodes, edges)
    forward = [edge for edge in edges if edge not in back and edge[0] != edge[1]]
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = False
        for origin, target in forward:
            if depth[target] <= depth[origin]:
                depth[target], moved = depth[origin] + 1, True
        if not moved:
            break
    return depth


def _back_edges(nodes: Sequence[int], edges: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    onward: dict[int, list[int]] = defaultdict(list)
    for origin, target in edges:
        onward[origin].append(target)
    done: set[int] = set()
    back: set[tuple[int, int]] = set()
    for start in nodes:
        path = [] if start in done else [(start, iter(onward[start]))]
        under_way = {start}
        while path:
            node, targets = path[-1]
            for target in targets:
                if target in under_way:
                    back.add((node, target))
                elif target not in done:
                    path.append((target, iter(onward[target])))
                    under_way.add(target)
                    break
            else:
                path.pop()
                under_way.discard(node)
                done.add(node)
    return back


def _way(edge: tuple[int, int], number: int, depth: Mapping[int, int]) -> list[Place]:
    origin, target = edge
    between = range(depth[target] - depth[origin] - 1)
    return [(origin, -1), *[(step, number) for step in between], (target, -1)]


def _sort(layers: list[list[Place]], ways: Iterable[Sequence[Place]]) -> None:
    """Put each vertex near the middle of its neighbours, downwards and upwards in turn."""
    above: dict[Place, list[Place]] = defaultdict(list)
    below: dict[Place, list[Place]] = defaultdict(list)
    for way in ways:
        for upper, lower in pairwise(way):
            above[lower].append(upper)
            below[upper].append(lower)
    for turn in range(ROUNDS):
        neighbours, order = (above, layers) if turn % 2 == 0 else (below, layers[::-1])
        where = {vertex: place / len(layer) for layer in layers for place, vertex in enumerate(layer)}
        for layer in order:
            near = {
                vertex: _middle([where[one] for one in neighbours[vertex]], where[vertex]) for vertex in layer
            }
            layer.sort(key=lambda vertex: near[vertex])
            where |= {vertex: place / len(layer) for place, vertex in enumerate(layer)}


def _middle(places: Sequence[float], own: float) -> float:
    return sum(places) / len(places) if places else own
