"""Writing behind: rows are taken without waiting, written in batches, kept when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seamwatch.errors import Reason, StoreError
from seamwatch.freshness import Publication
from seamwatch.store.database import Store
from seamwatch.store.gatestore import FOLLOWS
from seamwatch.store.queue import Queue, Waiting, halves
from seamwatch.store.rows import Forgotten, Published, Row, is_word

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_REOPEN = frozenset(Reason) - {Reason.LOCKED, Reason.DISK_FULL, Reason.QUERY, Reason.NOT_LEADER}
"""After these the connection is not trusted any more."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """How the store is doing."""

    pending: int = 0  # rows that wait
    dropped: int = (
        0  # rows given up since the start: more waited than may, or refused by themselves
    )
    failures: Mapping[Reason, int] = field(default_factory=dict)  # attempts since the start
    last_success: float | None = None  # wall clock of the last batch on disk


class Journal:
    """Takes rows without waiting and writes them behind, a batch a transaction.

    Rows that are put together are written in one transaction, and in the order in which they were
    put: evidence is never on disk ahead of the probes that it counts. Rows that cannot be written
    stay in memory and are tried again, after longer and longer pauses. A row with the key of one
    that waits replaces it. Above *limit* the oldest probes and publications are given up, and
    counted; evidence, its terms and events are not, as long as anything else waits. Failures are
    logged when they begin, change their reason, and end. Use it from one event loop; `state` may
    be read from any thread.
    """

    def __init__(
        self,
        url: str,
        *,
        store: Store | None = None,
        every: float = 0.2,
        longest_pause: float = 30.0,
        limit: int = 100_000,
        batch: int = 2_000,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
        on_new: Callable[[], None] | None = None,
    ) -> None:
        """Make a journal; nothing is opened or written before `run` or `flush`.

        Args:
            url: as for `Store.open`; opened again when the connection is lost.
            store: an open store to begin with; the journal closes it.
            every: seconds between batches while all is well.
            longest_pause: seconds between attempts at the most while it is not.
            limit: the most rows that may wait.
            batch: the most rows in one transaction.
            timeout: seconds for each transaction.
            clock: wall clock, for `last_success`.
            on_new: called when a database opened in place of a lost one turns out empty, so that
                whoever still knows what was in it puts it again.
        """
        self._url = url
        self._store = store
        self._every = every
        self._longest_pause = longest_pause
        self._limit = limit
        self._batch = batch
        self._timeout = timeout
        self._clock = clock
        self._on_new = on_new
        self._epoch: int | None = None
        self._queue = Queue()
        self._dropped = 0
        self._failures: Counter[Reason] = Counter()
        self._failed = 0  # attempts in a row
        self._reason: Reason | None = None
        self._dropping = False
        self._last_success: float | None = None
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def state(self) -> JournalState:
        """How the store is doing now."""
        failures = dict(self._failures)
        return JournalState(len(self._queue), self._dropped, failures, self._last_success)

    def put(self, *rows: Row) -> None:
        """Take *rows*, which belong together; returns at once."""
        self._queue.put(rows)
        given_up = self._queue.give_up(self._limit)
        if given_up:
            self._drop(given_up, f"more than {self._limit} wait for the store; the oldest go first")
        self._wake.set()

    def put_history(
        self,
        pipeline: str,
        stage: str,
        before: tuple[Publication, ...],
        after: tuple[Publication, ...],
    ) -> None:
        """Take what `remember` changed, so that the store holds neither less nor more."""
        same = 0
        for old, new in zip(before, after, strict=False):
            if old is not new:
                break
            same += 1
        kept = {one.since for one in after[same:]}
        known = {id(one) for one in before[same:]}
        gone = [Forgotten(pipeline, stage, one.since) for one in before[same:]]
        self.put(*(row for row in gone if row.since not in kept))
        new_ones = (one for one in after[same:] if id(one) not in known)
        self.put(*(Published(pipeline, stage, one) for one in new_ones))

    async def run(self) -> None:
        """Write what is put until `close` is called or the task is cancelled."""
        while not self._closing.is_set():
            await self._wake.wait()
            self._wake.clear()
            await self._pause()
            if not self._closing.is_set() and not await self.flush():
                self._wake.set()

    async def flush(self) -> bool:
        """Write all that waits now; say whether it is on disk. After a failure it waits on.

        What is replaced meanwhile is not of now any more, and may wait for the next time.
        """
        async with self._writing:
            waiting = len(self._queue)
            while waiting > 0 and len(self._queue) > 0:
                batch = self._queue.batch(self._batch)
                if not await self._save(batch, self._epoch):
                    return False
                waiting -= len(batch)
            return True

    def lead(self, epoch: int) -> None:
        """Write as the leader of *epoch*: nothing any more once a later one has begun."""
        self._epoch = epoch
        if self._store is not None:
            self._store.gates.epoch = epoch

    def follow(self) -> None:
        """Write no longer as a leader: of what waits, only what people said of gates is kept.

        All else is of an epoch that is over; whoever leads now goes on from what was on disk.
        """
        self._epoch = FOLLOWS
        if self._store is not None:
            self._store.gates.epoch = FOLLOWS
        given_up = self._queue.keep_only(is_word)
        if given_up:
            self._drop(given_up, "another process leads now, and goes on from what is on disk")

    async def prune(self, *, before: float, configured: Collection[str]) -> int:
        """Shorten the probe log: see `Store.prune`, whose errors it raises."""
        store = await self.store()
        return await store.prune(before=before, configured=configured)

    async def store(self) -> Store:
        """Return the store, open, to read from; it stays the journal's. Raises StoreError."""
        async with self._writing:  # nobody else opens it meanwhile
            return await self._open()

    async def close(self, *, deadline: float = 5.0) -> bool:
        """Write what waits and close the store; give up after *deadline* seconds for each.

        Returns whether everything is on disk; what is not is logged with its number. A disk that
        hangs is left behind, not waited for.
        """
        self._closing.set()
        self._wake.set()
        done = await _within(deadline, self.flush()) is True
        if len(self._queue) > 0:
            log.error("store: %d rows were not written before the end", len(self._queue))
        await _within(deadline, self._let_go())
        return done

    async def _pause(self) -> None:
        longer = self._every * 2 ** min(self._failed, 20)
        pause = min(self._longest_pause, longer) if self._failed else self._every
        if self._failed:
            pause *= random.uniform(0.5, 1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._closing.wait()

    async def _save(self, batch: list[Waiting], epoch: int | None) -> bool:
        """Write *batch* and forget it; a row that is refused for itself is given up alone."""
        try:
            store = await self._open()
            if self._epoch != epoch:  # it may hold what is of an epoch that is over
                return False
            await store.save(one.row for one in batch)
        except StoreError as error:
            if error.reason is Reason.QUERY and len(batch) > 1:
                first, second = halves(batch)
                return await self._save(first, epoch) and await self._save(second, epoch)
            if error.reason is Reason.QUERY:
                self._queue.remove(batch)
                self._failures[error.reason] += 1
                self._drop(1, str(error))
                return True
            await self._note(error)
            return False
        self._queue.remove(batch)
        self._note_success()
        return True

    async def _open(self) -> Store:
        if self._store is None:
            self._store = await Store.open(self._url, timeout=self._timeout)
            self._store.gates.epoch = self._epoch
            if self._store.is_new and self._on_new is not None:
                self._on_new()
        return self._store

    async def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def _note(self, error: StoreError) -> None:
        self._failed += 1
        self._failures[error.reason] += 1
        if error.reason is not self._reason:
            waiting = len(self._queue)
            log.error("%s (%d rows wait in memory and will be tried again)", error, waiting)
        self._reason = error.reason
        if error.reason in _REOPEN:
            await self._let_go()

    def _note_success(self) -> None:
        if self._failed:
            log.warning("store: written again after %d failed attempts", self._failed)
        self._failed, self._reason, self._dropping = 0, None, False
        self._last_success = self._clock()

    def _drop(self, count: int, why: str) -> None:
        if not self._dropping:
            log.error("rows are given up: %s", why)
        self._dropping = True
        self._dropped += count


async def _within(deadline: float, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what *work* returns, None if that takes longer than *deadline* seconds.

    It is cancelled then, but not waited for: a thread that hangs does not end when told to.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=deadline)
    if task.done():
        return task.result()
    task.cancel()
    return None
