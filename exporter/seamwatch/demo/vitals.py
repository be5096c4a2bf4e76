"""What a team looks at for its own stage: does the process answer, how fast, with what errors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

KEPT = 200  # calls that the figures are over
SLOW = 0.5  # seconds; the objective of every team for its 95th percentile
ERRORS = 0.01  # the share of failed calls that a team tolerates


class Vitals:
    """The last calls of one stage."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, bool]] = deque(maxlen=KEPT)  # seconds, failed
        self.count = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Time one call; an exception passes through and counts as failed."""
        start, failed = perf_counter(), True
        try:
            yield
            failed = False
        finally:
            self._calls.append((perf_counter() - start, failed))
            self.count += 1

    def page(self) -> dict[str, Any]:
        """Return the figures that the team's page shows."""
        times = sorted(seconds for seconds, _ in self._calls)
        slow = times[min(len(times) - 1, int(0.95 * len(times)))] if times else 0.0
        failed = sum(failed for _, failed in self._calls)
        return {
            "calls": self.count,
            "error_ratio": failed / len(times) if times else 0.0,
            "p95_seconds": round(slow, 4),
        }

    @property
    def well(self) -> bool:
        """Say whether errors and times keep the team's objectives."""
        page = self.page()
        return bool(page["error_ratio"] <= ERRORS and page["p95_seconds"] <= SLOW)
