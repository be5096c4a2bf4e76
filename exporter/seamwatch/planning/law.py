"""What the golden set answers: item by item when healthy, and with a part of it broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from seamwatch.evidence import Blessing

MOST_ITEMS = 1000  # a larger set is thinned: by then passes are as good as independent draws ...
MOST_OF_A_SLICE = 40  # ... but a slice must keep its mean
SMOOTHING = 0.5  # of an answer, added to the right and to the wrong ones of a class (Jeffreys)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Law:
    """The outcomes of a golden set's items, arrays of shape (items,).

    An item is right with its *rates*, each time independently; where outcomes are credits, one of
    its *credits*, shape (items, passes), comes instead, each as likely as the others.
    """

    slices: tuple[str, ...]  # names, "" for items that have none; empty where no item has one
    slice_of: Integers  # place in *slices*; 0 without
    classes: tuple[str, ...]  # "solid", "flaky" or "" for each item
    rates: Floats  # mean outcome in [0, 1]
    credits: Floats | None = None

    @classmethod
    def assumed(cls, slices: Mapping[str, int], baseline: float) -> Self:
        """Return a set nobody blessed: *slices* name -> items, all right with *baseline*.

        Right or wrong is the slowest to tell apart of all outcomes in [0, 1] with the same mean.
        """
        names = _names(slices)
        of = np.repeat(np.arange(len(slices)), list(slices.values()))
        if names:
            of = np.array([names.index(name) for name in slices])[of]
        return cls(names, of, ("",) * len(of), np.full(len(of), baseline))

    @classmethod
    def blessed(cls, blessing: Blessing, ids: Sequence[str]) -> Self:
        """Return the set as its blessing passes answered, for the items *ids* that it knows.

        A right/wrong item has its own rate drawn towards that of its class by one more pass, since
        the few passes of one item cannot show how rarely it fails.
        """
        known = [one for one in ids if one in blessing.means]
        slices = _names({blessing.slices.get(one, "") for one in known})
        places = {name: at for at, name in enumerate(slices)}
        of = np.array([places.get(blessing.slices.get(one, ""), 0) for one in known], int)
        classes = tuple(blessing.item_class(one) for one in known)
        rows = [[x for x in blessing.credit[one] if x is not None] for one in known]
        if any(0.0 < x < 1.0 for row in rows for x in row):
            longest = max(len(row) for row in rows)
            table = np.array([np.resize(row, longest) for row in rows])
            return cls(slices, of, classes, table.mean(axis=1), table)
        rates = _drawn(rows, classes, blessing.class_means, blessing.passes)
        return cls(slices, of, classes, rates)

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.rates)

    @cached_property
    def baseline(self) -> float:
        """The mean outcome of the set."""
        return float(self.rates.mean())

    @cached_property
    def sizes(self) -> Integers:
        """Items of each slice; of all where there are none."""
        return np.bincount(self.slice_of, minlength=max(1, len(self.slices)))

    def subset(self, places: Integers) -> Law:
        """Return the law of the items at *places*."""
        return replace(
            self,
            slice_of=self.slice_of[places],
            classes=tuple(self.classes[at] for at in places),
            rates=self.rates[places],
            credits=None if self.credits is None else self.credits[places],
        )

    def only(self, kind: str) -> Law:
        """Return the items of one class."""
        return self.subset(np.array([at for at, one in enumerate(self.classes) if one == kind]))

    def thinned(self, rng: np.random.Generator) -> Law:
        """Return some of the items of a large set, each slice and class by its share."""
        most = max(MOST_ITEMS, MOST_OF_A_SLICE * len(self.slices))
        if self.items <= most:
            return self
        # every n-th of the items in order of slice, class and rate keeps all shares and means
        kinds = np.array(self.classes)
        order = np.lexsort((rng.random(self.items), self.rates, kinds, self.slice_of))
        steps = (np.arange(most) + rng.random()) * (self.items / most)
        return self.subset(np.sort(order[steps.astype(int)]))

    def at_mean(self, mean: float, among: Flags | None = None) -> Law:
        """Return the set changed evenly, so that the mean of all, or of those *among*, is *mean*.

        Every item keeps the same share of its right answers; for a mean above the set's own, of
        its wrong ones.
        """
        chosen = np.ones(self.items, bool) if among is None else among
        now = float(self.rates[chosen].mean())
        if mean <= now:
            share, lift = mean / now, 0.0
        else:
            share = (1 - mean) / max(1e-12, 1 - now)
            lift = 1 - share
        rates = np.where(chosen, share * self.rates + lift, self.rates)
        if self.credits is None:
            return replace(self, rates=rates)
        table = np.where(chosen[:, None], share * self.credits + lift, self.credits)
        return replace(self, rates=rates, credits=table)

    def draw(self, items: Integers, uniform: Floats) -> Floats:
        """Return an outcome of each of *items* for *uniform* numbers in [0, 1), shapes (n,)."""
        if self.credits is None:
            return (uniform < self.rates[items]).astype(float)
        passes = self.credits.shape[1]
        found: Floats = self.credits[items, (uniform * passes).astype(int)]
        return found


def _names(slices: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sorted(set(slices)))
    return () if names == ("",) else names


def _drawn(
    rows: Sequence[Sequence[float]],
    classes: Sequence[str],
    means: Mapping[str, float],
    passes: int,
) -> Floats:
    """Return each item's rate with one more pass at the rate of its class; see ``blessed``."""
    counts = {kind: passes * classes.count(kind) for kind in set(classes)}
    smooth = {}
    for kind, answers in counts.items():
        mean = means.get(kind, float(np.mean([np.mean(row) for row in rows])))
        smooth[kind] = (mean * answers + SMOOTHING) / (answers + 2 * SMOOTHING)
    drawn = [
        (sum(row) + smooth[kind]) / (len(row) + 1) for row, kind in zip(rows, classes, strict=True)
    ]
    return np.array(drawn)
