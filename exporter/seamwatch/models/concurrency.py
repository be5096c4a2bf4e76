"""How many questions may be under way at once: what the model bears, found by trying.

Additive increase, multiplicative decrease (Chiu and Jain, 1989): an answer adds a little, a 429,
503 or timeout halves. Retry-After is a time without questions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from seamwatch.errors import Reason
from seamwatch.pipeline import Failure

_CONGESTED = frozenset({Reason.OVERLOADED, Reason.TIMEOUT})
_FIRST_HOLD = 0.5  # seconds without questions after a 429 that names no time; doubles
_LONGEST_HOLD = 30.0


class AdaptiveLimit:
    """The limit for one model; share one among all who ask the same host.

    Args:
        most: the configured concurrency, 1 or more; the limit starts there.
        clock: monotonic seconds.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = monotonic) -> None:
        self.most = most
        self.in_use = 0
        self.clock = clock
        self._limit = float(most)
        self._held_until = float("-inf")
        self._cut_at = float("-inf")  # when the limit was last halved
        self._refusals = 0  # overloads in a row
        self._waiting: deque[asyncio.Future[None]] = deque()

    def current(self, now: float) -> int:
        """Return how many questions may be under way at *now*; 0 while held by Retry-After."""
        return 0 if now < self._held_until else int(self._limit)

    def held(self, now: float) -> float:
        """Return the seconds until questions may be asked again; 0 when they may."""
        return max(0.0, self._held_until - now)

    def record(self, failure: Failure | None, now: float, *, started: float | None = None) -> None:
        """Learn from one question that ended at *now*.

        *started* is when it was asked: questions that were under way when the limit was halved
        tell of the same jam and do not halve it again.
        """
        if failure is None or failure.reason not in _CONGESTED:
            self._refusals = 0
            if self._limit < self.most:
                self._limit = min(float(self.most), self._limit + 1 / self._limit)
            return
        if failure.reason is Reason.OVERLOADED:
            self._hold(failure.retry_after, now)
        if started is None or started >= self._cut_at:
            self._limit = max(1.0, self._limit / 2)
            self._cut_at = now

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a turn and hold it; gives the time at which it began."""
        started = await self.acquire()
        try:
            yield started
        finally:
            self.release()

    def try_acquire(self) -> float | None:
        """Take a turn if one is free now; return the time at which it began, or None."""
        now = self.clock()
        if self.in_use >= int(self._limit) or now < self._held_until:
            return None
        self.in_use += 1
        return now

    async def acquire(self) -> float:
        """Wait for a turn; return the time at which it began. Ends with ``release``."""
        try:
            while (began := self.try_acquire()) is None:
                if (wait := self._held_until - self.clock()) > 0:
                    await asyncio.sleep(wait)
                elif self.in_use >= int(self._limit):
                    await self._wait()
            return began
        except asyncio.CancelledError:
            self._wake()  # a turn that may have been meant for us goes to the next
            raise

    def release(self) -> None:
        """Give a turn back."""
        self.in_use -= 1
        if self._waiting:
            self._wake()

    async def _wait(self) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            await woken
        finally:
            if woken.cancelled():
                self._waiting.remove(woken)

    def _wake(self) -> None:
        free = int(self._limit) - self.in_use
        while free > 0 and self._waiting:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                free -= 1

    def _hold(self, retry_after: float | None, now: float) -> None:
        self._refusals += 1
        wait = retry_after
        if wait is None:
            wait = min(_LONGEST_HOLD, _FIRST_HOLD * 2 ** min(self._refusals - 1, 10))
        self._held_until = max(self._held_until, now + wait)
