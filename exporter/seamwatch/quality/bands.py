"""A figure that is above 0 even when nothing is wrong, beside what it would be then."""

from __future__ import annotations

from dataclasses import dataclass

from seamwatch.quality.checks import Check

LEVEL = 0.99
"""Share of healthy samples whose figure stays inside the band."""

DRAWS = 2000  # simulated healthy samples
FEWEST_BINS, IN_A_BIN = 5, 10  # with fewer answers a figure from bins says nothing


@dataclass(frozen=True, slots=True)
class Banded:
    """A distance with its null band: what it would be at this n if nothing were wrong."""

    value: float
    expected: float  # its mean if nothing were wrong
    limit: float  # which it exceeds in one of 100 samples if nothing were wrong
    n: int

    @property
    def stands_out(self) -> bool:
        """Say whether it is larger than chance explains."""
        return self.value > self.limit

    def stays_under(self, at_most: float) -> bool | None:
        """Say whether it is at most *at_most*; None when it is more, but as much as chance."""
        if self.value <= at_most:
            return True
        return False if self.stands_out else None

    def check(self, name: str, *, at_most: float | None) -> Check:
        """Return it as a check; one without a target decides nothing."""
        holds = None if at_most is None else self.stays_under(at_most)
        return Check(name, self.value, self.n, at_most=at_most, holds=holds)


def bin_count(n: int, most: int) -> int | None:
    """Return into how many bins *n* values go; None when they are too few."""
    count = min(most, n // IN_A_BIN)
    return count if count >= FEWEST_BINS else None
