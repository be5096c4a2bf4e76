"""Threads of our own for calls that block: few, daemonic, and never two for the same thing.

A hung network mount holds a thread for ever. The default executor would be starved by it, and the
interpreter would wait for it at exit; here it costs one of a few slots and is left behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from seamwatch.errors import ReadError, Reason

T = TypeVar("T")

SLOTS = 16  # threads at once, hung ones included
OVERDUE_PER_HOST = 2  # threads that one host (mount, bucket) may keep hung


class Threads:
    """Runs blocking calls, each in a thread, under the caller's timeout. Belongs to one loop."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._running: set[object] = set()  # keys
        self._overdue: Counter[str] = Counter()  # host -> threads that nobody waits for any more

    async def run(
        self, call: Callable[[], T], *, key: object, host: str, timeout: float, where: str
    ) -> T:
        """Return ``call()`` or raise what it raises; it may outlive *timeout*, but does not count.

        Raises:
            ReadError: BUSY while an earlier call with *key* has not ended, while two of *host*
                hang, or when no thread was free in time; TIMEOUT when *call* took too long.
        """
        if key in self._running:
            raise ReadError(Reason.BUSY, f"{where}: the previous reading still hangs")
        if self._overdue[host] >= OVERDUE_PER_HOST:
            raise ReadError(
                Reason.BUSY, f"{where}: {self._overdue[host]} readings of {host} still hang"
            )
        started = False
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
                started = True
                return await self._in_thread(call, key, host)
        except TimeoutError as error:
            if not started:
                raise ReadError(
                    Reason.BUSY, f"{where}: no thread was free within {timeout:g} s"
                ) from error
            raise ReadError(Reason.TIMEOUT, f"{where}: no answer within {timeout:g} s") from error

    async def _in_thread(self, call: Callable[[], T], key: object, host: str) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def ended(result: Any, error: BaseException | None) -> None:
            self._slots.release()
            self._running.discard(key)
            if done.cancelled():
                self._overdue[host] -= 1
                if not self._overdue[host]:
                    del self._overdue[host]
            elif error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)

        def work() -> None:
            result, failure = None, None
            try:
                result = call()
            except BaseException as error:  # handed to the caller, whatever it is
                failure = error
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(ended, result, failure)

        self._running.add(key)
        try:
            threading.Thread(target=work, name=f"seamwatch-{host}"[:15], daemon=True).start()
        except RuntimeError:  # the system has no more threads to give
            ended(None, None)
            raise
        try:
            return await done
        except asyncio.CancelledError:
            if done.cancelled():  # else it ended at the same moment
                self._overdue[host] += 1
            raise
