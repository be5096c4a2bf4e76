"""Have the model's scores moved away from the blessed ones? PSI and KS with their null bands.

The usual rule "a PSI over 0.2 is drift" is wrong for small samples, where it calls most healthy
ones drifted, and blind for large ones. What a figure would be without drift depends on the numbers
of scores alone, so it is computed. Both take the samples to be independent: scores of the same
items asked again are closer than that, and raise less often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seamwatch.quality.bands import DRAWS, LEVEL, Banded, bin_count
from seamwatch.scoring.targets import ENOUGH

if TYPE_CHECKING:
    from seamwatch.quality.binning import Floats

MOST_BINS = 10
_HALF = 0.5  # added to each count, so that an empty bin is no infinite distance
_KS_LIMIT = math.sqrt(-math.log((1 - LEVEL) / 2) / 2)  # of Kolmogorov's distribution
_KS_MEAN = math.sqrt(math.pi / 2) * math.log(2)


def psi(blessed: Sequence[float], now: Sequence[float], *, seed: int = 0) -> Banded | None:
    """Return the population stability index of *now* against *blessed*; None with too few scores.

    Sum over bins of (q - p) ln(q / p), p and q the shares of the blessed scores and of those of
    now, over bins with equally many blessed scores. Its band comes from simulation: the share of a
    continuous distribution between given order statistics of a sample is Dirichlet whatever the
    distribution, and the counts of a second sample are multinomial in it.

    Args:
        blessed: 50 or more finite scores.
        now: the same.
        seed: of the simulation, 0 or more.

    Sources: Yurdakul and Naranjo, Journal of Risk Model Validation 14 (2020) for the need of a
    band; David and Nagaraja, Order Statistics (2003), ch. 2 for the Dirichlet shares.
    """
    import numpy as np

    from seamwatch.quality.binning import cuts, places

    before, after = _finite(blessed), _finite(now)
    count = bin_count(min(len(before), len(after)), MOST_BINS)
    if count is None:
        return None
    ends = cuts(before, count)
    if not len(ends):
        return None  # all blessed scores are one: there is no distribution to move away from
    expected = np.bincount(places(before, ends), minlength=len(ends) + 1)
    found = np.bincount(places(after, ends), minlength=len(ends) + 1)
    dice = np.random.default_rng(seed)
    shares = expected.astype(float)
    shares[-1] += 1  # what lies above the largest blessed score
    null = _index(expected, dice.multinomial(len(after), dice.dirichlet(shares, DRAWS)))
    return Banded(
        value=float(_index(expected, found)),
        expected=float(null.mean()),
        limit=float(np.quantile(null, LEVEL, method="higher")),
        n=len(after),
    )


def ks(blessed: Sequence[float], now: Sequence[float]) -> Banded | None:
    """Return the largest distance between the two distribution functions; None with too few.

    The band is that of Kolmogorov's limiting distribution, which is a little wide for small
    samples and for equal scores. Both samples need 30 finite scores.

    Source: Smirnov, Annals of Mathematical Statistics 19 (1948) 279-281.
    """
    import numpy as np

    before, after = _finite(blessed), _finite(now)
    if min(len(before), len(after)) < ENOUGH:
        return None
    at = np.concatenate([before, after])
    below = np.searchsorted(before, at, side="right") / len(before)
    above = np.searchsorted(after, at, side="right") / len(after)
    scale = math.sqrt(1 / len(before) + 1 / len(after))
    return Banded(
        value=float(np.abs(below - above).max()),
        expected=_KS_MEAN * scale,
        limit=_KS_LIMIT * scale,
        n=len(after),
    )


def _index(expected: Any, found: Any) -> Any:
    """Return the index of counts, shape (bins,), and of rows of counts, shape (draws, bins)."""
    import numpy as np

    bins = expected.shape[-1]
    p = (expected + _HALF) / (expected.sum() + _HALF * bins)
    q = (found + _HALF) / (found.sum(axis=-1, keepdims=True) + _HALF * bins)
    return ((q - p) * np.log(q / p)).sum(axis=-1)


def _finite(values: Sequence[float]) -> Floats:
    import numpy as np

    given = np.asarray(values, dtype=float)
    found: Floats = np.sort(given[np.isfinite(given)])
    return found
