"""Is the model right as often as it says? Expected calibration error with its null band.

Even a perfectly calibrated model has an error above 0, the more so the fewer answers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seamwatch.quality.bands import DRAWS, LEVEL, Banded, bin_count

MOST_BINS = 15
_CELLS = 500_000  # of one block of draws times answers


def ece(
    confidence: Sequence[float | None],
    right: Sequence[bool],
    ids: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Banded | None:
    """Return the mean gap between confidence and share right; None with too few answers.

    Over bins with equally many answers, weighted by what is in them. The band comes from
    simulation: each answer is right with the probability that it claims. Answers to one item are
    taken to be right together as far as their claims allow, which makes the band wide enough for
    a model that repeats itself.

    Args:
        confidence: of the answer given, in [0, 1], shape (n,); None or NaN: it gave none, and is
            left out.
        right: whether the answer was right, shape (n,).
        ids: the item of each answer, shape (n,); None: all different. 50 items are enough.
        seed: of the simulation, 0 or more.

    Raises:
        ValueError: the lengths differ, or a confidence is no ratio.

    Sources: Naeini, Cooper and Hauskrecht, AAAI (2015); Nixon et al., CVPR workshops (2019) for
    bins of equal mass; Broecker and Smith, Weather and Forecasting 22 (2007) 651-661 for the band.
    """
    import numpy as np

    from seamwatch.quality.binning import cuts, places

    if ids is None:
        ids = [str(n) for n in range(len(right))]
    if not len(confidence) == len(right) == len(ids):
        raise ValueError(f"columns of {len(confidence)}, {len(right)} and {len(ids)} answers")
    claimed = np.asarray(confidence, dtype=float)  # None becomes NaN
    has = ~np.isnan(claimed)
    claimed, hits = claimed[has], np.asarray(right, dtype=float)[has]
    if ((claimed < 0) | (claimed > 1)).any():
        raise ValueError("a confidence outside [0, 1]; leave out what is no probability")
    item = np.unique(np.asarray(ids, dtype=str)[has], return_inverse=True)[1].reshape(-1)
    items = int(item.max()) + 1 if len(item) else 0
    count = bin_count(items, MOST_BINS)
    if count is None:
        return None
    order = np.lexsort((item, claimed))
    claimed, hits, item = claimed[order], hits[order], item[order]
    bins = places(claimed, cuts(claimed, count))
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    null = _null(claimed, item, items, starts, np.random.default_rng(seed))
    return Banded(
        value=float(_error(hits[None, :] - claimed, starts)[0]),
        expected=float(null.mean()),
        limit=float(np.quantile(null, LEVEL, method="higher")),
        n=len(claimed),
    )


def _null(claimed: Any, item: Any, items: int, starts: Any, dice: Any) -> Any:
    """Return the error of DRAWS sets of answers that are right as often as they claim."""
    import numpy as np

    block = max(1, _CELLS // len(claimed))
    found = []
    for start in range(0, DRAWS, block):
        luck = dice.random((min(block, DRAWS - start), items))
        found.append(_error((luck[:, item] < claimed) - claimed, starts))
    return np.concatenate(found)


def _error(gaps: Any, starts: Any) -> Any:
    """Return the error of each row of gaps, shape (rows, answers), sorted by bin."""
    import numpy as np

    return np.abs(np.add.reduceat(gaps, starts, axis=1)).sum(axis=1) / gaps.shape[1]
