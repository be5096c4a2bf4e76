"""Ask a live model many items: bounded in parallel, inside the budget, answers as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from time import monotonic
from typing import Protocol

from seamwatch.errors import Reason
from seamwatch.models.budget import Budget
from seamwatch.models.concurrency import AdaptiveLimit
from seamwatch.pipeline import Answer, GoldenItem

ATTEMPTS = 3
"""Times that one item is asked while the model answers 429 or 503, which says: not done."""


class ModelClient(Protocol):
    """A way to ask one live model."""

    host: str
    """``host:port``: clients of the same host share an AdaptiveLimit."""

    version: str | None
    """The version that the configuration asks for; None when it asks for none."""

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        """Return the answer to *item* within *timeout* seconds; expected failures are values."""
        ...

    def check(self, item: GoldenItem) -> None:
        """Raise ReadError when *item* can never be asked: it does not fit the template."""
        ...


class Asking:
    """One run over many items; iterate over it once, for pairs of item and answer.

    Pairs come in the order in which answers come. Leaving the loop early cancels what is under
    way (at once inside ``contextlib.aclosing``).
    """

    def __init__(
        self,
        client: ModelClient,
        items: Iterable[GoldenItem],
        *,
        timeout: float,
        limit: AdaptiveLimit,
        budget: Budget | None,
        clock: Callable[[], float],
    ) -> None:
        self.asked = 0  # items for which an answer or a failure came
        self.out_of_budget = False  # whether the run ended because the budget was spent
        self._client = client
        self._items = iter(items)
        self._timeout = timeout
        self._limit = limit
        self._budget = budget
        self._clock = clock
        self._done: deque[tuple[GoldenItem, Answer]] = deque()
        self._waiting: asyncio.Future[None] | None = None  # the reader, for the next answer
        self._room = asyncio.Event()
        self._room.set()

    async def __aiter__(self) -> AsyncGenerator[tuple[GoldenItem, Answer], None]:
        """Yield each item with its answer."""
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._limit.most)]
        ended = asyncio.gather(*workers)
        ended.add_done_callback(lambda _: self._wake_reader())
        try:
            while True:
                while self._done:
                    self.asked += 1
                    yield self._done.popleft()
                self._room.set()
                if ended.done():
                    ended.result()  # raises what a worker raised: a mistake of ours
                    return
                self._waiting = asyncio.get_running_loop().create_future()
                await self._waiting
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, ended, return_exceptions=True)

    async def _work(self) -> None:
        limit = self._limit
        for item in self._unasked():
            for attempt in range(1, ATTEMPTS + 1):
                began = limit.try_acquire()
                if began is None:
                    began = await limit.acquire()
                try:
                    if self._budget is not None and not self._budget.take(self._clock()):
                        self.out_of_budget = True
                        if attempt == 1:
                            return  # nothing was asked, so there is nothing to tell
                        break
                    answer = await self._client.ask(item, timeout=self._timeout)
                    limit.record(answer.failure, limit.clock(), started=began)
                finally:
                    limit.release()
                if answer.failure is None or answer.failure.reason is not Reason.OVERLOADED:
                    break
            self._done.append((item, answer))
            if self._waiting is not None:
                self._wake_reader()
            if len(self._done) >= 2 * limit.most:
                await self._wait_for_room()

    def _wake_reader(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _wait_for_room(self) -> None:
        """Wait until the reader has taken what there is: answers are not piled up."""
        self._room.clear()
        await self._room.wait()

    def _unasked(self) -> Iterator[GoldenItem]:
        """Yield items until there are none or the budget is spent; all workers share them."""
        while not self.out_of_budget:
            for item in self._items:
                yield item
                break
            else:
                return


def ask_all(
    client: ModelClient,
    items: Iterable[GoldenItem],
    *,
    timeout: float,
    limit: AdaptiveLimit,
    budget: Budget | None = None,
    clock: Callable[[], float] = monotonic,
) -> Asking:
    """Ask *items* and give their answers as they come; see Asking.

    Args:
        client: the model.
        items: taken one by one, when their turn comes.
        timeout: seconds for each.
        limit: how many at once; learns from every answer.
        budget: what may be sent; the run ends when it is spent, and ``out_of_budget`` says so.
        clock: seconds for the budget.
    """
    return Asking(client, items, timeout=timeout, limit=limit, budget=budget, clock=clock)
