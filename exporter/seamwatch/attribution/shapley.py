"""Shapley values and pairwise interactions of the repairs of one item; variants are bit masks.

Bit j of a mask says that repair j is applied. Pure. Sources: Shapley (1953); Grabisch and
Roubens, An axiomatic approach to the concept of interaction among players (1999).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb, factorial

MOST_REPAIRS = 8
"""Repairs of one inquiry; exact values need 2 to that power results of an item."""


def exact(results: Mapping[int, float], players: int) -> tuple[float, ...]:
    """Return each player's Shapley value; they add up to ``results[all] - results[none]``.

    Args:
        results: mask -> result in [0, 1], for all 2**players masks.
        players: 1 to MOST_REPAIRS.

    Raises:
        KeyError: a variant is missing.
    """
    weights = _weights(players, 1)
    values = [0.0] * players
    for mask in range(1 << players):
        weight = weights[mask.bit_count()] if mask != (1 << players) - 1 else 0.0
        for player in range(players):
            bit = 1 << player
            if not mask & bit:
                values[player] += weight * (results[mask | bit] - results[mask])
    return tuple(values)


def interactions(results: Mapping[int, float], players: int) -> dict[tuple[int, int], float]:
    """Return for each pair what both repairs win back beyond the sum of what each does.

    Positive: they need each other (synergy). Negative: either does (redundancy). The Shapley
    interaction index; arguments as for `exact`.
    """
    weights = _weights(players, 2)
    found = {}
    for one in range(players):
        for two in range(one + 1, players):
            a, b = 1 << one, 1 << two
            found[one, two] = sum(
                weights[mask.bit_count()]
                * (results[mask | a | b] - results[mask | a] - results[mask | b] + results[mask])
                for mask in range(1 << players)
                if not mask & (a | b)
            )
    return found


def along(
    results: Sequence[Mapping[int, float]], order: Sequence[int], free: Sequence[int]
) -> tuple[float, ...]:
    """Return the contributions along one order, averaged over every place for the free repairs.

    An unbiased estimate of the Shapley values where *order* is a random permutation; without free
    repairs it is the plain permutation estimate. It adds up to what all repairs win back.

    Args:
        results: for 0 to len(order) paid repairs applied in that order: which free ones are
            applied too (a mask over their bits) -> result.
        order: the paid repairs, each a bit number.
        free: the repairs whose variants need no call, each a bit number.

    Returns:
        One value a repair, indexed by bit number.
    """
    paid, spare = len(order), len(free)
    values = [0.0] * (paid + spare)
    orders = comb(paid + spare, spare) * factorial(spare)
    for step in range(paid + 1):
        for mask, here in results[step].items():
            placed = mask.bit_count()
            left = spare - placed
            before = comb(step + placed, placed) * factorial(placed)
            if step < paid:
                after = comb(paid - step - 1 + left, left) * factorial(left)
                gain = results[step + 1][mask] - here
                values[order[step]] += before * after / orders * gain
            if left:
                after = comb(paid - step + left - 1, left - 1) * factorial(left - 1)
                for one in free:
                    if not mask & (1 << one):
                        gain = results[step][mask | (1 << one)] - here
                        values[one] += before * after / orders * gain
    return tuple(values)


def _weights(players: int, joining: int) -> list[float]:
    """Return the chance that a set of 0, 1, ... comes before *joining* players that come together.

    Index: the size of the set; |S|! (n - |S| - joining)! / (n - joining + 1)!.
    """
    total = factorial(players - joining + 1)
    return [
        factorial(size) * factorial(players - size - joining) / total
        for size in range(players - joining + 1)
    ]
