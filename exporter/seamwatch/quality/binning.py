"""Bins with equally many values in each; import it where it is needed, it brings numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def cuts(ordered: Floats, count: int) -> Floats:
    """Return the upper ends of all bins but the last, shape (at most count - 1,).

    A bin holds what is above the cut before and at most its own. Equal values share a bin, so
    that with many of them there are fewer bins.
    """
    ranks = (np.arange(1, count) * len(ordered) + count // 2) // count
    found: Floats = np.unique(ordered[ranks - 1])
    lower: Floats = found[found < ordered[-1]]
    return lower


def places(values: Floats, upper_ends: Floats) -> Ints:
    """Return the bin of each value."""
    found: Ints = np.searchsorted(upper_ends, values, side="left")
    return found
