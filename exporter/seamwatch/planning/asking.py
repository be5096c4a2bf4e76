"""In which order many runs ask a golden set: fresh passes, slices interleaved, half on a focus."""

from __future__ import annotations

import numpy as np

from seamwatch.planning.law import Flags, Floats, Integers, Law


class Asking:
    """The next item of each run. As in ``golden.permutation`` each slice comes by its share.

    A pass draws without replacement: Fisher and Yates' shuffle, one step for each probe, which is
    uniform from whatever order the pass before has left. A focused probe takes any item of its
    slice.
    """

    def __init__(self, law: Law, rows: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pattern = _pattern(law.sizes)
        self._sizes = law.sizes
        self._starts = np.concatenate([[0], np.cumsum(law.sizes)[:-1]])
        by_slice = np.argsort(law.slice_of, kind="stable")
        # the largest of the arrays: small numbers keep it in the cache
        self._order = np.tile(by_slice.astype(np.int32), (rows, 1))
        self._taken = np.zeros((rows, len(law.sizes)), int)
        self._position = np.zeros(rows, int)
        self._begin = rng.integers(law.items, size=rows)
        self._was_focused = np.zeros(rows, bool)

    def next(self, focus: Integers) -> tuple[Integers, Integers, Flags]:
        """Return items, their slices and who is focused, shapes (rows,).

        *focus* is the slice that every other probe of a row goes to, -1 for none.
        """
        focused = (focus >= 0) & ~self._was_focused
        self._was_focused = focused
        if not focused.any():
            items, slices = self._drawn(np.arange(len(focus)))
            return items, slices, focused
        items, slices = np.empty_like(focus), np.where(focused, focus, 0)
        rows = np.flatnonzero(~focused)
        items[rows], slices[rows] = self._drawn(rows)
        rows = np.flatnonzero(focused)
        chosen = slices[rows]
        places = (self._rng.random(len(rows)) * self._sizes[chosen]).astype(int)
        items[rows] = self._order[rows, self._starts[chosen] + places]
        return items, slices, focused

    def _drawn(self, rows: Integers) -> tuple[Integers, Integers]:
        """Take the next item of the pass of each of *rows*."""
        count = len(self._pattern)
        position = self._position[rows]
        slices = self._pattern[(self._begin[rows] + position) % count]
        taken = self._taken[rows, slices]
        left = self._sizes[slices] - taken
        at = self._starts[slices] + taken
        swap = at + (self._rng.random(len(rows)) * left).astype(int)
        items = self._order[rows, swap]
        self._order[rows, swap] = self._order[rows, at]
        self._order[rows, at] = items
        self._taken[rows, slices] = taken + 1
        self._position[rows] = position + 1
        self._end_passes(rows[position + 1 == count])
        return items.astype(int), slices

    def _end_passes(self, rows: Integers) -> None:
        if len(rows):
            self._position[rows] = 0
            self._taken[rows] = 0
            self._begin[rows] = self._rng.integers(len(self._pattern), size=len(rows))

    def keep(self, rows: Integers) -> None:
        """Go on with *rows* only; a row may be given more than once."""
        self._order, self._taken = self._order[rows], self._taken[rows]
        self._position, self._begin = self._position[rows], self._begin[rows]
        self._was_focused = self._was_focused[rows]


def _pattern(sizes: Integers) -> Integers:
    """Return which slice comes at each step of a pass: item j of n at (j + 1/2) / n of the way."""
    keys = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes])
    of = np.repeat(np.arange(len(sizes)), sizes)
    found: Integers = of[np.argsort(keys, kind="stable")]
    return found


def broken(law: Law, loss: float, among: int | None, rows: int, rng: np.random.Generator) -> Flags:
    """Return which items answer nothing right any more, so that the set's mean falls by *loss*.

    Shape (rows, items), for each row other items: of slice *among* only, or of all. Where the loss
    is no whole number of items one more is broken by chance, so that the mean loss is exact.
    """
    members = np.arange(law.items) if among is None else np.flatnonzero(law.slice_of == among)
    shuffled = members[np.argsort(rng.random((rows, len(members))), axis=1)]
    lost = np.cumsum(law.rates[shuffled], axis=1)
    before = lost - law.rates[shuffled]
    target = loss * law.items
    share = np.clip((target - before) / np.maximum(lost - before, 1e-12), 0.0, 1.0)
    found = np.zeros((rows, law.items), bool)
    hit = rng.random((rows, len(members))) < share
    np.put_along_axis(found, shuffled, hit, axis=1)
    return found


def outcomes(law: Law, items: Integers, gone: Flags | None, rng: np.random.Generator) -> Floats:
    """Return what *items* score, 0 for those of each row that are *gone*."""
    x = law.draw(items, rng.random(len(items)))
    if gone is not None:
        x[gone[np.arange(len(items)), items]] = 0.0
    return x
