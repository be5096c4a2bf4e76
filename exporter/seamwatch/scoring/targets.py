"""Whether a ratio keeps to its target: the one rule for accuracy, availability and quality."""

from __future__ import annotations

from seamwatch.pipeline import Estimate

ENOUGH = 30
"""Answers from which a ratio is compared with its target, or a whole window if that is smaller."""


def reaches(estimate: Estimate | None, target: float | None, *, enough: int) -> bool | None:
    """Say whether *estimate* reaches *target*; None when that cannot be told.

    Under *enough* answers it cannot: looked at after every answer, a first wrong one would miss
    any target above 0.79, the upper end of the interval of 0 in 1.
    """
    if estimate is None or target is None or estimate.n < enough:
        return None
    if estimate.value >= target:
        return True
    return False if estimate.upper < target else None


def stays_under(estimate: Estimate | None, limit: float | None, *, enough: int) -> bool | None:
    """Say whether *estimate* is at most *limit*; the mirror image of ``reaches``."""
    if estimate is None or limit is None or estimate.n < enough:
        return None
    if estimate.value <= limit:
        return True
    return False if estimate.lower > limit else None
