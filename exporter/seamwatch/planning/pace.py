"""How fast probes go: the drip, the burst, and what the budget leaves of both."""

from __future__ import annotations

from dataclasses import dataclass

HOUR, DAY, YEAR = 3600.0, 86_400.0, 8766 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """Times between probes. A probe over budget is not sent: its turn passes."""

    every: float  # seconds between two probes of the drip, as configured
    factor: float = 1.0  # how many times faster a burst asks
    per_hour: int | None = None  # probes in any hour, at most
    per_day: int | None = None  # probes in any day, at most

    @property
    def limits(self) -> tuple[tuple[int, float], ...]:
        """The budget as (probes, seconds): never more than so many in so long."""
        both = ((self.per_hour, HOUR), (self.per_day, DAY))
        return tuple((most, length) for most, length in both if most is not None)

    @property
    def drip(self) -> float:
        """Seconds between two probes in normal operation, inside the budget."""
        return max(self.every, *(length / most for most, length in self.limits), 0.0)

    @property
    def capped(self) -> bool:
        """Say whether the budget and not ``every`` sets the drip."""
        return self.drip > self.every * (1 + 1e-9)

    @property
    def burst(self) -> float:
        """Seconds between two probes of a burst while the budget has some left."""
        return self.every / max(1.0, self.factor)

    @property
    def sustained(self) -> float:
        """Seconds between two probes of a burst that goes on for days."""
        return max(self.burst, *(length / most for most, length in self.limits), 0.0)

    @property
    def a_day(self) -> float:
        """Probes a day in normal operation."""
        return DAY / self.drip

    @property
    def an_hour(self) -> float:
        """Probes an hour in normal operation."""
        return HOUR / self.drip

    @property
    def burst_probes(self) -> float:
        """Probes that a burst can send before the budget holds it back; infinity without one.

        The drip of the time before has used its part of each window.
        """
        # after n burst probes the window holds n and the drip of the window's remaining time
        rooms = []
        for most, length in self.limits:
            before = length / self.drip
            if length / self.burst <= most:
                continue  # even a window full of bursts fits
            rooms.append(max(0.0, (most - before) / (1 - self.burst / self.drip)))
        return min(rooms, default=float("inf"))
