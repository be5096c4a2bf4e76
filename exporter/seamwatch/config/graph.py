"""Walks over the ``after`` edges of a pipeline: order, cycles, parts, what reaches what."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

Edges = Mapping[str, Sequence[str]]
"""For each stage the stages that it comes after; every one of them is a key too."""


def topological(edges: Edges) -> tuple[str, ...]:
    """Return the stages so that each follows its inputs, otherwise in the given order.

    Stages on a cycle, and those after one, are left out.
    """
    names = list(edges)
    position = {name: index for index, name in enumerate(names)}
    waiting = {name: len(set(ups)) for name, ups in edges.items()}
    downstream: dict[str, list[str]] = {name: [] for name in edges}
    for name, ups in edges.items():
        for up in set(ups):
            downstream[up].append(name)
    ready = [position[name] for name, count in waiting.items() if not count]
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for below in downstream[name]:
            waiting[below] -= 1
            if not waiting[below]:
                heapq.heappush(ready, position[below])
    return tuple(order)


def cycles(edges: Edges) -> list[tuple[str, ...]]:
    """Return cycles that share no stage, one at least for each knot, in the direction of data."""
    found: list[tuple[str, ...]] = []
    while True:
        sorted_ = set(topological(edges))
        left = {name: [up for up in edges[name] if up not in sorted_] for name in edges}
        here = next((name for name in edges if name not in sorted_), None)
        if here is None:
            return found
        walk: list[str] = []
        while here not in walk:  # each has an input that is not sorted either: this meets a cycle
            walk.append(here)
            here = left[here][0]
        cycle = walk[walk.index(here) :][::-1]
        names = list(edges)
        first = min(range(len(cycle)), key=lambda index: names.index(cycle[index]))
        found.append((*cycle[first:], *cycle[:first]))
        edges = {
            name: [up for up in ups if up not in cycle]
            for name, ups in edges.items()
            if name not in cycle
        }


def components(edges: Edges) -> list[tuple[str, ...]]:
    """Return the parts that no edge connects, each in the given order."""
    both: dict[str, list[str]] = {name: list(ups) for name, ups in edges.items()}
    for name, ups in edges.items():
        for up in ups:
            both[up].append(name)
    parts: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for name in edges:
        if name not in seen:
            part = reachable([name], both)
            seen |= part
            parts.append(tuple(other for other in edges if other in part))
    return parts


def reachable(starts: Iterable[str], edges: Edges) -> set[str]:
    """Return *starts* and all that can be walked to from them."""
    seen = set(starts)
    open_ = list(seen)
    while open_:
        for name in edges[open_.pop()]:
            if name not in seen:
                seen.add(name)
                open_.append(name)
    return seen
