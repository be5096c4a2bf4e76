"""Numbers as people say them: points, durations, how rare something is."""

from __future__ import annotations

from math import inf

from seamwatch.planning.pace import DAY, HOUR, YEAR

_MINUTE = 60.0


def percent(ratio: float) -> str:
    """Return ``90%`` or ``88.5%``."""
    text = f"{ratio:.1%}"
    return text.replace(".0%", "%")


def points(ratio: float) -> str:
    """Return a difference of ratios as ``9 points``."""
    value = f"{100 * ratio:.1f}".removesuffix(".0")
    return f"{value} point" if value == "1" else f"{value} points"


def duration(seconds: float) -> str:
    """Return two digits and a unit: ``45 s``, ``32 min``, ``4.1 h``, ``3 days``."""
    for length, unit in ((YEAR, "years"), (DAY, "days"), (HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 1.5 * length:
            return f"{_digits(seconds / length)} {unit}"
    return f"{_digits(seconds)} s"


def a_year(value: float) -> str:
    """Return how often something happens: ``0.4 a year``, ``once in 3,000 years``, ``never``."""
    if value == inf:
        return "all the time"
    if value == 0:
        return "never"
    if value < 1e-4:  # what is rarer than that hangs on how the healthy set is taken to behave
        return "less than once in 10,000 years"
    if value < 0.1:
        years = 1 / value
        return f"once in {float(f'{years:.2g}'):,.0f} years"
    return f"{_digits(value)} a year"


def count(value: float) -> str:
    """Return a number of probes without digits that chance made: ``86``, ``1,240``, ``12,000``."""
    return f"{float(f'{value:.3g}'):,.0f}"


def large(value: float) -> str:
    """Return three digits of a large number: ``52,600``, ``14.6 million``."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return count(value)


def _digits(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:,.0f}"
