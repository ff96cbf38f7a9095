"""The order of a graph's nodes: which edges are loops, and a numbering in which all others lead onward.

A loop is an edge back to a node that every path to its origin passes (a back edge to a dominator). Without its
loops a well-formed graph has no cycle.
"""

from collections.abc import Collection, Iterator, Sequence
from heapq import heappop, heappush

Successors = Sequence[Sequence[int]]


def reachable(after: Successors, start: int, without: int | None = None) -> set[int]:
    """Every node that can be reached from `start` on a path that avoids node `without`.

    >>> sorted(reachable([[1], [2], [1, 3], []], 0)), sorted(reachable([[1], [2], [1, 3], []], 0, without=2))
    ([0, 1, 2, 3], [0, 1])
    """
    if start == without:
        return set()
    found, ahead = {start}, [start]
    while ahead:
        for target in after[ahead.pop()]:
            if target not in found and target != without:
                found.add(target)
                ahead.append(target)
    return found


def dominates(after: Successors, header: int, node: int) -> bool:
    """Whether every path from node 0 to `node` passes `header`. Of an unreachable node that is true."""
    return header == node or node not in reachable(after, 0, without=header)


def loops(after: Successors) -> set[tuple[int, int]]:
    """The edges (origin, target) that lead back to a node which every path to their origin passes.

    >>> loops([[1], [2], [1, 3], []])
    {(2, 1)}
    """
    return {(origin, target) for origin, target in _retreating(after) if dominates(after, target, origin)}


def _retreating(after: Successors) -> Iterator[tuple[int, int]]:
    """Edges of a depth-first walk from node 0 to a node that the walk is still inside of."""
    seen, inside = {0}, {0}
    walk: list[tuple[int, Iterator[int]]] = [(0, iter(after[0]))] if after else []
    while walk:
        node, targets = walk[-1]
        target = next(targets, None)
        if target is None:
            walk.pop()
            inside.discard(node)
        elif target in inside:
            yield node, target
        elif target not in seen:
            seen.add(target)
            inside.add(target)
            walk.append((target, iter(after[target])))


def graph_order(after: Successors) -> list[int]:
    """The nodes, ordered so that every edge but a loop leads onward; the given order is kept where it can be.

    In a graph that is not well-formed some edges lead back all the same.

    >>> graph_order([[2], [3], [1], []])
    [0, 2, 1, 3]
    """
    loop_edges = loops(after)
    onward = [{to for to in targets if (node, to) not in loop_edges} for node, targets in enumerate(after)]
    due = [0] * len(after)
    for targets in onward:
        for target in targets:
            due[target] += 1
    ready = [node for node, count in enumerate(due) if count == 0]
    waiting = dict.fromkeys(node for node, count in enumerate(due) if count)
    order: list[int] = []
    while ready or waiting:
        node = heappop(ready) if ready else _entrance([list(targets) for targets in onward], waiting)
        waiting.pop(node, None)
        order.append(node)
        for target in onward[node]:
            due[target] -= 1
            if due[target] == 0 and target in waiting:
                del waiting[target]
                heappush(ready, target)
    return order


def _entrance(onward: Successors, waiting: Collection[int]) -> int:
    """The first waiting node of a cycle that waits for no other cycle."""
    among = [
        [to for to in targets if to in waiting] if node in waiting else []
        for node, targets in enumerate(onward)
    ]
    reach = {node: reachable(among, node) for node in waiting}
    return next(
        node for node in waiting if all(other in reach[node] for other in waiting if node in reach[other])
    )
