"""One HTTP call under way: its deadline, the connection it got and how far it has come."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

HEAD_BYTES = 1 << 20
"""Bytes that may come before the answer begins: a server may not send 1xx for ever."""


class Call:
    """How far one fetch has come."""

    __slots__ = ("protocol", "received", "retried")

    def __init__(self) -> None:
        self.protocol: _Protocol | None = None
        self.received = 0  # bytes of the body
        self.retried = False

    def phase(self) -> str:
        """Say what was going on, to end a sentence about a timeout."""
        if self.protocol is None:
            return "while connecting"
        if not self.protocol.head:
            return "while waiting for the answer"
        if not self.protocol.answered:
            return "while reading the headers"
        return f"after {self.received} bytes of the body"

    def may_retry(self) -> bool:
        """Say whether a kept connection was closed before the server could read the question."""
        return (
            not self.retried
            and self.protocol is not None
            and self.protocol.uses > 1
            and not self.protocol.head
        )

    def retry(self) -> None:
        """Begin again; only once."""
        self.retried = True
        self.protocol = None

    def begin_body(self) -> None:
        """Take note that the answer has begun."""
        self.received = 0
        if self.protocol is not None:
            self.protocol.answered = True


CALL: ContextVar[Call] = ContextVar("seamwatch_call")


class Deadline:
    """``asyncio.timeout`` without its two coroutines, which show in what a golden item costs."""

    __slots__ = ("_cancelling", "_expired", "_handle", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("fetch() runs inside a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.cancel()
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling  # else somebody else cancelled, too
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


class _Protocol(ResponseHandler):
    """Counts the uses of a connection, and what came before the answer began."""

    uses = 0
    head = 0
    answered = False

    def data_received(self, data: bytes) -> None:
        if not self.answered:
            self.head += len(data)
            if self.head > HEAD_BYTES:
                if self.transport is not None:
                    self.transport.abort()
                self.set_exception(
                    aiohttp.ClientPayloadError(f"{HEAD_BYTES} bytes came before any answer")
                )
                return
        super().data_received(data)


class Connector(aiohttp.TCPConnector):
    """Tells the call under way which connection it got."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # private, but the one place that makes connections; without it nothing is retried
        self._factory = cast("partial[ResponseHandler]", partial(_Protocol, loop=self._loop))

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        """Return a connection as aiohttp does, and tell the call under way."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if isinstance(protocol, _Protocol):
            protocol.uses += 1
            protocol.head = 0
            protocol.answered = False
            CALL.get().protocol = protocol
        return connection
