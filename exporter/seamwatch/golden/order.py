"""The order in which a pass asks the items: random, with every prefix a fair sample of slices."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from random import Random

from seamwatch.golden.loading import GoldenSet
from seamwatch.pipeline import GoldenItem


def permutation(golden: GoldenSet, *, seed: int, now: float) -> tuple[GoldenItem, ...]:
    """Return the items that are valid at *now* in a fresh random order.

    In the first m items each slice is there m times its share of the set, give or take less than
    two items, for every m. *now* is when the pass began: with the same seed and the same *now* the
    order is the same, so that a pass goes on after a restart. 10,000 items take about 20 ms.
    """
    dice = Random(seed)  # for the order only, nothing secret hangs on it
    by_slice: dict[str, list[GoldenItem]] = {}
    for item in golden.items:
        if item.is_valid(now=now):
            by_slice.setdefault(item.slice, []).append(item)
    queues = [by_slice[name] for name in sorted(by_slice)]
    for queue in queues:
        dice.shuffle(queue)
    if len(queues) < 2:
        return tuple(item for queue in queues for item in queue)
    pattern = _pattern([len(queue) for queue in queues], dice)
    # a random place to begin: the pattern alone would put each small slice last in its turn
    begin = dice.randrange(len(pattern))
    return tuple(queues[place].pop() for place in pattern[begin:] + pattern[:begin])


def _pattern(sizes: list[int], dice: Random) -> list[int]:
    """Return which slice comes at each step, each never a whole item from its share.

    The j-th item of a slice with share s may come from step floor(j / s) and must by step
    ceil((j + 1) / s); earliest deadline first keeps all of them, as for unit jobs whose shares
    add up to 1. Source: Baruah, Cohen, Plaxton and Varvel, Proportionate progress (1996), sec. 3.
    """
    total = sum(sizes)
    coming = [(0, place, 0) for place in range(len(sizes))]  # first step, slice, j
    ready: list[tuple[int, float, int, int]] = []  # last step, dice, slice, j
    heapify(coming)
    pattern = []
    for step in range(total):
        while coming and coming[0][0] <= step:
            _, place, turn = heappop(coming)
            deadline = -(-(turn + 1) * total // sizes[place])
            heappush(ready, (deadline, dice.random(), place, turn))
        _, _, place, turn = heappop(ready)
        pattern.append(place)
        if turn + 1 < sizes[place]:
            heappush(coming, ((turn + 1) * total // sizes[place], place, turn + 1))
    return pattern
