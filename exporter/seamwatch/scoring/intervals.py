"""How sure a ratio is: 95 % intervals for shares and for means of values in [0, 1]."""

from __future__ import annotations

import math

from seamwatch.pipeline import Estimate

Z95 = 1.959963984540054  # 97.5 % point of the normal distribution


def wilson(value: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a ratio *value* in [0, 1] seen over *n* > 0 answers.

    For right/wrong answers this is Wilson's score interval. For credits in [0, 1] it is wider than
    it need be and never too narrow for their spread: of all variables in [0, 1] with mean m the
    0/1 one has the largest variance, m (1 - m).

    Sources: Wilson, JASA 22 (1927) 209-212; Bhatia and Davis, American Mathematical Monthly 107
    (2000) 353-357 for the bound on the variance.
    """
    squared = Z95 * Z95 / n
    centre = (value + squared / 2) / (1 + squared)
    half = Z95 / (1 + squared) * math.sqrt(value * (1 - value) / n + squared / (4 * n))
    return max(0.0, min(value, centre - half)), min(1.0, max(value, centre + half))


def effective_n(weights: float, squares: float) -> float:
    """Return how many equal answers weigh as much evidence as these: (sum w)^2 / sum w^2.

    Source: Kish, Survey Sampling (1965), ch. 8.2.
    """
    return weights * weights / squares


def estimate(total: float, weights: float, squares: float, n: int) -> Estimate | None:
    """Return the weighted mean of *n* values in [0, 1] with its 95 % interval; None without any.

    Args:
        total: sum of weight times value.
        weights: sum of the weights.
        squares: sum of the squared weights.
        n: number of values.
    """
    if n == 0:
        return None
    value = min(1.0, max(0.0, total / weights))
    lower, upper = wilson(value, effective_n(weights, squares))
    return Estimate(value=value, lower=lower, upper=upper, n=n)
