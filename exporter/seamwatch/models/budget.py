"""Hard limits on probes: never more than so many in any hour, in any day.

Each window is a ring of counters, so memory is constant. A window of any position touches at most
one bucket more than fit into it; counting that one too makes the limit hold everywhere, and costs
at most one part in BUCKETS of the rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

BUCKETS = 60

LENGTHS: Mapping[str, float] = {"hour": 3600.0, "day": 86400.0}


class _Window:
    """At most *most* in any *length* seconds; times never go back here."""

    def __init__(self, most: int, length: float) -> None:
        self.most = most
        self.width = length / BUCKETS
        self.counts = [0] * (BUCKETS + 1)
        self._newest = 0  # number of the newest bucket since time 0
        self._used = 0

    def left(self, now: float) -> int:
        number = int(now // self.width)
        for gone in range(self._newest + 1, min(number, self._newest + BUCKETS + 1) + 1):
            place = gone % (BUCKETS + 1)
            self._used -= self.counts[place]
            self.counts[place] = 0
        self._newest = max(number, self._newest)
        return max(0, self.most - self._used)

    def add(self) -> None:
        self.counts[self._newest % (BUCKETS + 1)] += 1
        self._used += 1

    def newest_first(self) -> list[int]:
        return [self.counts[(self._newest - age) % (BUCKETS + 1)] for age in range(BUCKETS + 1)]

    def fill(self, newest_first: list[int], shift: int) -> None:
        """Add counts, each *shift* buckets older than its place says; the oldest fall out."""
        for place, count in enumerate(newest_first):
            age = max(0, place + shift)
            if age <= BUCKETS:
                self.counts[(self._newest - age) % (BUCKETS + 1)] += count
                self._used += count


class Budget:
    """The probes that one pipeline may send.

    *now* is seconds of any clock, a monotonic one at best: only its steps count, and a step back
    counts as no time at all, so that setting the clock never gives a budget twice.

    Args:
        per_hour: probes in any hour; None for no limit.
        per_day: probes in any day; None for no limit.
    """

    def __init__(self, *, per_hour: int | None = None, per_day: int | None = None) -> None:
        limits = {"hour": per_hour, "day": per_day}
        self._windows = {
            name: _Window(most, LENGTHS[name]) for name, most in limits.items() if most is not None
        }
        self._elapsed = 0.0
        self._last: float | None = None

    def remaining(self, now: float) -> Mapping[str, int]:
        """Return what each window (``hour``, ``day``) still has at *now*; empty without limits."""
        elapsed = self._at(now)
        return {name: window.left(elapsed) for name, window in self._windows.items()}

    def take(self, now: float, *, spare: float = 0.0) -> bool:
        """Take one probe at *now*; False, and nothing taken, when a window has none left.

        *spare* is the share of each window, in [0, 1), that must be left for others.
        """
        if not self._windows:
            return True
        elapsed = self._at(now)
        windows = self._windows.values()
        # every window must advance, so no short cut at the first that is empty
        if min([window.left(elapsed) - spare * window.most for window in windows]) <= 0:
            return False
        for window in windows:
            window.add()
        return True

    def state(self, now: float, *, wall: float) -> dict[str, Any]:
        """Return what a restart must remember, fit for JSON; *wall* is seconds since the epoch."""
        self.remaining(now)
        windows = {
            name: {
                "newest_first": window.newest_first(),
                "offset": self._elapsed % window.width,  # seconds into the newest bucket
            }
            for name, window in self._windows.items()
        }
        return {"saved_at": wall, "windows": windows}

    def restore(self, state: Mapping[str, Any], now: float, *, wall: float) -> None:
        """Take over what was spent before a restart; a wall clock set back counts as no time.

        Raises:
            ValueError: *state* was not made by ``state``.
        """
        self._at(now)
        try:
            gone = max(0.0, wall - float(state["saved_at"]))
            saved = {
                name: (float(window["offset"]), [int(count) for count in window["newest_first"]])
                for name, window in state["windows"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is not the state of a probe budget") from error
        for name, window in self._windows.items():
            if name not in saved:
                continue
            offset, counts = saved[name]
            window.left(self._elapsed)
            # rounded so that a probe may look younger than it is, never older
            age = gone + offset - self._elapsed % window.width
            window.fill(counts, math.floor(age / window.width - 1e-9))

    def _at(self, now: float) -> float:
        if self._last is not None:
            self._elapsed += max(0.0, now - self._last)
        self._last = now
        return self._elapsed
