"""The gate for asyncio."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from seamwatch.client.decision import (
    MAX_BYTES,
    Decision,
    Halted,
    Memory,
    OnUnknown,
    address,
    headers,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession, StreamReader

P = ParamSpec("P")
T = TypeVar("T")


class AsyncGate:
    """Asks seamwatch at most once in *poll* seconds; a caller waits only where nothing holds.

    Arguments as of `seamwatch.client.Gate`. *session* is used and left open; without one it makes
    its own at the first question, and `close` (or ``async with``) ends it.
    """

    def __init__(
        self,
        url: str,
        pipeline: str,
        *,
        on_unknown: OnUnknown,
        token: str | None = None,
        poll: float = 1.0,
        timeout: float = 0.5,
        context: ssl.SSLContext | None = None,
        session: ClientSession | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = address(url, pipeline)
        self._headers = headers(token)
        self._timeout = timeout
        self._context = context
        self._session = session
        self._own: ClientSession | None = None
        self._clock = clock
        self._memory = Memory(on_unknown, poll)
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of connections; safe to call twice."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        own, self._own = self._own, None
        if own is not None:
            await own.close()

    async def decision(self) -> Decision:
        """Return what holds now; never raises for what is wrong on the other side."""
        now = self._clock()
        if self._memory.is_due(now) and (self._asking is None or self._asking.done()):
            self._memory.trying(now)
            self._asking = asyncio.ensure_future(self._ask())
        if self._asking is not None and not self._memory.holds(now):
            await asyncio.wait({self._asking})
        return self._memory.decision(self._clock())

    async def allows(self) -> bool:
        """Say whether to answer."""
        return (await self.decision()).allowed

    async def check(self) -> Decision:
        """Return what holds now; raises Halted when the gate denies."""
        decision = await self.decision()
        if not decision.allowed:
            raise Halted(decision)
        return decision

    def guard(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Decorate *function* so that it raises Halted instead of running while the gate denies."""

        @wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            await self.check()
            return await function(*args, **kwargs)

        return guarded

    async def _ask(self) -> None:
        from aiohttp import ClientError, ClientTimeout

        try:
            async with asyncio.timeout(self._timeout):
                async with self._opened().get(
                    self._url,
                    headers=self._headers,
                    allow_redirects=False,
                    timeout=ClientTimeout(total=self._timeout),
                    ssl=self._context if self._context is not None else True,
                ) as answer:
                    body = await _whole(answer.content)
        except (OSError, TimeoutError, ClientError) as error:
            self._memory.failed(type(error).__name__)
        else:
            self._memory.heard(answer.status, body, self._clock())

    def _opened(self) -> ClientSession:
        if self._session is not None:
            return self._session
        if self._own is None:
            from aiohttp import ClientSession

            self._own = ClientSession(trust_env=False)
        return self._own


async def _whole(content: StreamReader) -> bytes:
    """Return a body, cut off where it is longer than any decision."""
    body = bytearray()
    async for part in content.iter_chunked(MAX_BYTES):
        body += part
        if len(body) > MAX_BYTES:
            break
    return bytes(body[:MAX_BYTES])
