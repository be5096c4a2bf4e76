"""One check of quality: a figure, how sure it is, and whether it keeps to its target."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seamwatch.pipeline import Estimate
from seamwatch.scoring.targets import reaches, stays_under


@dataclass(frozen=True, slots=True)
class Check:
    """What one check says now; a value is a ratio but for score drift and signals."""

    name: str
    value: float | None = None  # None: nothing to go by
    n: int = 0  # answers behind it; 0 for a signal, which does not say
    lower: float | None = None  # of its 95 % interval
    upper: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    holds: bool | None = None  # None: undecided, or it has no target

    @property
    def has_target(self) -> bool:
        """Say whether there is anything to keep to."""
        return self.at_least is not None or self.at_most is not None


def of_estimate(
    name: str,
    estimate: Estimate | None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    enough: int,
) -> Check:
    """Return the check of a ratio, decided by the rule that accuracy is decided by.

    It fails when the whole 95 % interval misses the target and holds when the estimate keeps to
    it; in between, and before there are *enough* answers, it is undecided.
    """
    verdicts = []
    if at_least is not None:
        verdicts.append(reaches(estimate, at_least, enough=enough))
    if at_most is not None:
        verdicts.append(stays_under(estimate, at_most, enough=enough))
    holds = _all(verdicts)
    if estimate is None:
        return Check(name, at_least=at_least, at_most=at_most)
    return Check(
        name,
        estimate.value,
        estimate.n,
        estimate.lower,
        estimate.upper,
        at_least,
        at_most,
        holds,
    )


def signal(
    name: str,
    value: float | None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Check:
    """Return the check of a figure from live traffic; None or NaN: the query had no result."""
    if value is None or math.isnan(value):
        return Check(name, at_least=at_least, at_most=at_most)
    verdicts = []
    if at_least is not None:
        verdicts.append(value >= at_least)
    if at_most is not None:
        verdicts.append(value <= at_most)
    return Check(name, value, at_least=at_least, at_most=at_most, holds=_all(verdicts))


def all_hold(checks: Iterable[Check]) -> bool | None:
    """Say whether the worst of the checks that have a target holds.

    False when one fails; else None when one is undecided, or none has a target.
    """
    return _all([check.holds for check in checks if check.has_target])


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    found = set(verdicts)
    if False in found:
        return False
    return None if None in found or not found else True
