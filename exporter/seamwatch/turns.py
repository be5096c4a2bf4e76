"""Of several exporters on one store one leads and watches; the others answer for gates."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

from seamwatch.errors import StoreError
from seamwatch.store import Journal, Store
from seamwatch.store.leading import Leadership

log = logging.getLogger(__name__)

TRY_EVERY = 1.0  # seconds between two looks whether nobody leads any more


class Turns:
    """Whose turn it is to watch.

    While the store cannot be reached nobody can tell: who starts then leads until it can.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._leadership: Leadership | None = None
        self.leads = True

    @property
    def is_settled(self) -> bool:
        """Say whether the store has said who leads."""
        return self._leadership is not None or not self.leads

    async def begin(self, store: Store | None, journal: Journal) -> None:
        """Find out, at the start, whether another process leads."""
        if store is None:
            return
        try:
            self._leadership = await store.gates.lead(_holder(), now=self._clock())
        except StoreError as error:
            log.error("nobody can tell who leads, so this process does for now: %s", error)
            return
        self.leads = self._leadership is not None
        if self._leadership is not None:
            journal.lead(self._leadership.epoch)
        else:
            journal.follow()
            log.info("another process leads; this one answers for gates and waits")

    async def run(
        self,
        journal: Journal,
        *,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        """Take over when nobody leads, and stop when another does, until cancelled."""
        while True:
            if self._leadership is not None:
                await self._leadership.lost()
                log.error("the store says that another process may lead: watching ends here")
                await self._step_down(journal, end)
            await asyncio.sleep(TRY_EVERY)
            await self._try(journal, begin, end)

    async def release(self) -> None:
        """Let another lead; safe to call twice."""
        leadership, self._leadership = self._leadership, None
        if leadership is not None:
            await leadership.release()

    async def _try(
        self,
        journal: Journal,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            store = await journal.store()
            found = await store.gates.lead(_holder(), now=self._clock())
        except StoreError:
            return  # the journal tells of it
        if found is None:
            if self.leads:  # for now, while nobody could tell
                log.warning("another process leads: watching ends here")
                await self._step_down(journal, end)
            return
        self._leadership = found
        journal.lead(found.epoch)
        if not self.leads:
            log.warning("nobody leads any more: this process does from now on")
            self.leads = True
            await begin()

    async def _step_down(self, journal: Journal, end: Callable[[], Awaitable[None]]) -> None:
        self.leads = False
        journal.follow()
        await self.release()
        await end()


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
