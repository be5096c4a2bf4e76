"""An objective as a function of the threshold, for many weightings of the items at once.

Import it where it is needed: it brings numpy. Each objective is a ratio of two sums over answers,
where what an answer adds depends only on whether its score reaches the threshold. Sorted by score,
both sums at all thresholds are one cumulative sum; weighting an item by how often a bootstrap
sample has it, or by whether a fold may see it, is one multiplication.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS, REPEATS = 10, 5
Z95_ONE_SIDED = 1.6448536269514722
_SAME = 1e-9  # values of the objective closer than this are ties
_CELLS = 500_000  # of one block of weightings times answers: about 4 MB an array

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Curve:
    """The objective of one set of answers at each threshold that makes a difference.

    Thresholds are numbered: at place j the j lowest distinct finite scores are declined.
    """

    def __init__(
        self,
        scores: Sequence[float],
        right: Sequence[bool],
        declined_right: Sequence[bool],
        ids: Sequence[str],
        weights: Sequence[float],
        *,
        objective: str,
        wrong: float,
        declined: float,
    ) -> None:
        given = np.asarray(scores, dtype=float)
        if np.isnan(given).any():
            raise ValueError("a score that is no number; inf or -inf for answers without one")
        # items in the order of their ids, answers in the order of scores and then of items: the
        # same set in another order gives the same figures
        item = np.unique(np.asarray(ids, dtype=str), return_inverse=True)[1].reshape(-1)
        order = np.lexsort((item, given))
        given, self._item = given[order], item[order]
        self.items = int(item.max()) + 1 if len(item) else 0
        weight = np.asarray(weights, dtype=float)[order]
        if not (np.isfinite(weight) & (weight > 0)).all():
            raise ValueError("a weight that is not above 0; leave out what counts for nothing")
        self._weight = float(weight.sum())
        self._answered, self._declined = (
            side * weight
            for side in _sums(
                np.asarray(right, dtype=bool)[order],
                np.asarray(declined_right, dtype=bool)[order],
                objective,
                wrong,
                declined,
            )
        )
        self._change = self._declined - self._answered  # what declining an answer adds
        self._top = 2.0 if objective == "f1" else 1.0  # the most that one answer adds
        self._place(given)

    def _place(self, scores: Floats) -> None:
        finite = np.isfinite(scores)
        first = int(np.searchsorted(scores, -np.inf, side="right"))
        self._distinct, counts = np.unique(scores[finite], return_counts=True)
        # at place j the first ends[j] answers are declined
        self._ends = first + np.concatenate(([0], np.cumsum(counts)))
        bearing = len(np.unique(self._item[finite]))
        due = len(np.unique(self._item[self._declined[1] > 0]))  # f1: a few are as bad as none
        self.bearing = min(bearing, due)

    def place(self, threshold: float) -> int:
        """Return the place of *threshold*; a score equal to it is answered."""
        return int(np.searchsorted(self._distinct, threshold, side="left"))

    def threshold(self, place: int) -> float:
        """Return a threshold for *place*, halfway between the scores on its two sides."""
        scores = self._distinct
        lowest, highest = float(scores[0]), float(scores[-1])
        if 0 < place < len(scores):
            low, high = float(scores[place - 1]), float(scores[place])
            middle = low / 2 + high / 2
            return middle if low < middle < high else high  # neighbours: nothing lies between
        shares = lowest >= 0 and highest <= 1
        step = (highest / 2 - lowest / 2) / max(1, len(scores) - 1) or 0.5
        if place == 0:
            return lowest / 2 if shares else lowest - step
        above = (1 + highest) / 2 if shares and highest < 1 else highest + step
        return above if above > highest else math.nextafter(highest, math.inf)

    def apparent(self, place: int) -> tuple[float, int]:
        """Return the best value minus that at *place*, and the place of the best."""
        values = self._values(np.ones((1, self.items)))
        found = int(_middles(values)[0])
        return float(values[0, found] - values[0, place]), found

    def optimism(self, place: int, *, seed: int, replicates: int) -> float:
        """Return by how much the apparent gain is too high, in the mean of *replicates* samples.

        Each sample of items chooses its best threshold; its gain on the sample is compared with
        its gain on all items.
        """
        whole = self._values(np.ones((1, self.items)))[0]
        total = 0.0
        for counts in self._samples(seed, replicates):
            values = self._values(counts)
            found = _middles(values)
            rows = np.arange(len(counts))
            seen = values[rows, found] - values[rows, place]
            total += float((seen - (whole[found] - whole[place])).sum())
        return total / replicates

    def lower_bound(self, place: int, *, seed: int) -> float:
        """Return the 95 % lower bound of the gain, from thresholds tried on items not chosen on.

        REPEATS divisions of the items into FOLDS; the answers of a fold are given or declined by
        the threshold that is best on the other folds. The spread is that of the items' influence
        on the difference of the two ratios, and at least one item's worth.
        """
        dice = np.random.default_rng((seed, 1))
        influence, gain = np.zeros(self.items), 0.0
        rank = np.arange(len(self._item))
        now = self._judged(rank >= self._ends[place])
        for _ in range(REPEATS):
            fold = dice.permutation(self.items) % FOLDS
            seen = (fold[None, :] != np.arange(FOLDS)[:, None]).astype(float)
            found = _middles(self._values(seen))
            ends = self._ends[found][fold[self._item]]
            value, own = self._judged(rank >= ends)
            gain += (value - now[0]) / REPEATS
            influence += (own - now[1]) / REPEATS
        spread = math.sqrt(float(influence @ influence) * self.items / (self.items - 1))
        below = np.where(rank >= self._ends[place], self._answered[1], self._declined[1]).sum()
        one_item = self._top * self._weight / self.items / float(below)
        return gain - Z95_ONE_SIDED * max(spread, one_item)

    def _judged(self, answered: NDArray[np.bool_]) -> tuple[float, Floats]:
        """Return the ratio when the answers *answered* are given, and each item's influence."""
        above, below = np.where(answered, self._answered, self._declined)
        total = below.sum()
        value = float(above.sum() / total)
        own = np.bincount(self._item, above - value * below, minlength=self.items)
        return value, own / total

    def _values(self, counts: Floats) -> Floats:
        """Return the objective for each weighting of the items, shape (weightings, places)."""
        above, below = (self._summed(counts, part) for part in (0, 1))
        return np.divide(above, below, out=np.zeros_like(above), where=below > 0)

    def _summed(self, counts: Floats, part: int) -> Floats:
        change = self._change[part]
        start = counts @ np.bincount(self._item, self._answered[part], minlength=self.items)
        if not change.any():
            return np.broadcast_to(start[:, None], (len(counts), len(self._ends)))
        sums = np.zeros((len(counts), len(self._item) + 1))
        np.cumsum(counts[:, self._item] * change, axis=1, out=sums[:, 1:])
        return sums[:, self._ends] + start[:, None]

    def _samples(self, seed: int, replicates: int) -> Iterator[Floats]:
        """Yield how often each of *replicates* bootstrap samples has each item, in blocks."""
        dice = np.random.default_rng((seed, 0))
        block = max(1, _CELLS // max(self.items, len(self._item)))
        for start in range(0, replicates, block):
            rows = min(block, replicates - start)
            drawn = dice.integers(self.items, size=(rows, self.items))
            drawn += np.arange(rows)[:, None] * self.items
            counts = np.bincount(drawn.ravel(), minlength=rows * self.items)
            yield counts.reshape(rows, self.items).astype(float)


def _sums(
    right: NDArray[np.bool_],
    declined_right: NDArray[np.bool_],
    objective: str,
    wrong: float,
    declined: float,
) -> tuple[Floats, Floats]:
    """Return what answers add to numerator and denominator when given, and when declined.

    F1 = 2 hits / (answers given + answers that should be given).
    """
    ones = np.ones(len(right))
    if objective == "accuracy":
        return np.stack([right, ones]), np.stack([declined_right, ones])
    if objective == "f1":
        due = (~declined_right).astype(float)
        return np.stack([2.0 * right, 1 + due]), np.stack([0 * ones, due])
    if objective == "cost":
        dearest = max(wrong, declined)
        if not (wrong >= 0 and declined >= 0 and 0 < dearest < math.inf):
            raise ValueError(f"costs of {wrong} and {declined}; give 0 or more, not both 0")
        given = 1 - ~right * (wrong / dearest)
        return np.stack([given, ones]), np.stack([1 - ~declined_right * (declined / dearest), ones])
    raise ValueError(f"{objective!r} is no objective; write accuracy, f1 or cost")


def _middles(values: Floats) -> Ints:
    """Return for each row the place in the middle of its highest values (the lower of two)."""
    ties = values >= values.max(axis=1, keepdims=True) - _SAME
    upto = np.cumsum(ties, axis=1, dtype=np.int32)
    found: Ints = np.argmax(upto >= (upto[:, -1:] + 1) // 2, axis=1)
    return found
