"""The mixture e-SR: a dozen bets on how much was lost, and its mirror for recovery.

Sums go through ``math.fsum``, which rounds exactly: the built-in ``sum`` adds up differently from
Python 3.12 on, and a replay must give the same bits on every version. For the same reason the bets
are literals instead of calls of the platform's ``exp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from operator import mul

# Twelve bets, log-spaced from 0.01 to 0.97: the relative loss each of them expects.
RHOS: tuple[float, ...] = (
    0.01, 0.0151571, 0.0229737, 0.0348214, 0.0527792, 0.0799978,
    0.121253, 0.183785, 0.278564, 0.422222, 0.639965, 0.97,
)  # fmt: skip
EQUAL: tuple[float, ...] = (1.0 / len(RHOS),) * len(RHOS)
# Weights in proportion to the loss that a bet expects. While a pipeline is well, bet k hovers
# around weight / rho: equally weighted, the bets on a loss of 1 to 3 % alone hold S near 50 for
# ever, which is A^0.4 where A is 1e4. So suspicion is weighted like this, and so are slices, of
# which there are many and which are watched for great losses; S of the whole set is not.
WEIGHTS: tuple[float, ...] = tuple(rho / fsum(RHOS) for rho in RHOS)
MIRROR_RHOS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
HIGHEST_NULL = 0.998  # a null of 1 would make one wrong answer infinite evidence
CEILING = 1e300  # of one bet; times the largest gain of a probe, 485, it is still a float


class Detector:
    """Evidence that the mean fell below its null; *r* is one Shiryaev-Roberts sum per bet.

    ``s``, their mean under *weights*, is compared with the limit A. Starting
    the bets anew at every probe, R <- (1 + R) L with E[L] <= 1, makes ``s - probes`` a
    supermartingale while the null holds.
    """

    __slots__ = ("_weights", "r", "s")

    def __init__(self, r: Sequence[float] = (), *, weights: tuple[float, ...] = EQUAL) -> None:
        self.r: Sequence[float] = tuple(r) or (0.0,) * len(RHOS)
        _check(self.r, len(RHOS))
        self._weights = weights
        self.s = self._mean()

    def take(self, x: float, m: float) -> float:
        """Take outcome *x* in [0, 1] of a probe whose null mean is *m* in [0, 1]; return ``s``.

        L_k = 1 + rho_k (m - x) / (1 - m), which is never negative and for right/wrong outcomes
        is the likelihood ratio of m (1 - rho_k) against m. A null above HIGHEST_NULL is taken for
        HIGHEST_NULL, which only weakens the evidence.
        """
        if m > HIGHEST_NULL:
            m = HIGHEST_NULL
        c = (m - x) / (1.0 - m)
        r = [(1.0 + old) * (1.0 + rho * c) for old, rho in zip(self.r, RHOS, strict=True)]
        self.r = r
        self.s = s = self._mean()
        if s > CEILING / len(r):
            self.r = [min(new, CEILING) for new in r]
            self.s = s = self._mean()
        return s

    def suspicion(self) -> float:
        """Return the mean of the bets under WEIGHTS: like ``s``, but low while all is well."""
        return fsum(map(mul, self.r, WEIGHTS))

    def severity(self) -> float | None:
        """Return the relative loss (0.25: a quarter of the null) that fits best; None so far."""
        best = max(self.r)
        return RHOS[self.r.index(best)] if best > 0.0 else None

    def _mean(self) -> float:
        return fsum(map(mul, self.r, self._weights))


class Mirror:
    """Evidence, from the moment of a halt, that the mean is above *r* again.

    No sum grows beyond *ceiling*, so that a fall after the recovery shows soon; less evidence is
    always allowed.
    """

    __slots__ = ("ceiling", "r", "s")

    def __init__(self, r: Sequence[float] = (), *, ceiling: float = CEILING) -> None:
        self.r: Sequence[float] = tuple(r) or (0.0,) * len(MIRROR_RHOS)
        _check(self.r, len(MIRROR_RHOS))
        self.ceiling = min(ceiling, CEILING)
        self.s = fsum(self.r) / len(self.r)

    def take(self, x: float, r: float, *, worst: float | None = None) -> float:
        """Take outcome *x* in [0, 1] against the bound *r* of its mean; return ``s``.

        L_k = 1 + rho_k (x - r) / worst; *worst* (default *r*) is the most that any probe of this
        series can lie below its bound, at least *r*, so that L never is negative.
        """
        c = (x - r) / (r if worst is None else worst)
        top = self.ceiling
        grown = [
            min((1.0 + sum_) * (1.0 + rho * c), top)
            for sum_, rho in zip(self.r, MIRROR_RHOS, strict=True)
        ]
        self.r = grown
        self.s = fsum(grown) / len(grown)
        return self.s


def _check(r: Sequence[float], bets: int) -> None:
    if len(r) != bets or not all(0.0 <= one <= CEILING for one in r):
        raise ValueError(f"these are no sums of {bets} bets: {list(r)}")
