"""A real TCP server on loopback that answers as told: late, wrongly, endlessly or not at all.

    async with Hostile(sends(b"HTTP/1.1 200 OK\r\n\r\n", then=HANG)) as server:
        ... server.url ...

What was asked is in ``server.requests``. Whatever still runs is cut when the block ends.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

MIB = 1 << 20


@dataclass(frozen=True)
class Request:
    """One request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter, Request], Awaitable[None]]


class Then(Enum):
    """What the server does once it has said everything."""

    CLOSE = "close"
    HANG = "hang"
    RESET = "reset"
    KEEP = "keep"  # the connection, for the next request


CLOSE, HANG, RESET, KEEP = Then.CLOSE, Then.HANG, Then.RESET, Then.KEEP


class _Hangs(Exception):
    pass


class _Resets(Exception):
    pass


class _Closes(Exception):
    pass


@dataclass
class Hostile:
    """The server; *answer* is called for each request, or *greets* for each connection."""

    answer: Answer | None = None
    greets: Answer | None = None  # speaks before any request was read
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            if self.greets is not None:
                await self.greets(writer, Request("", "", {}, b""))
            while (request := await _request(reader)) is not None:
                self.requests.append(request)
                if self.answer is not None:
                    await self.answer(writer, request)
            # the client closed its side
        except _Hangs:
            with suppress(asyncio.CancelledError, OSError):
                await asyncio.Event().wait()
        except _Resets:
            _linger_zero(writer)
        except (_Closes, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            with suppress(OSError, asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()
            writer.transport.abort()


def _linger_zero(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _request(reader: asyncio.StreamReader) -> Request | None:
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if separator:
            headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    return Request(method, target, headers, await reader.readexactly(length))


def _end(then: Then) -> None:
    if then is HANG:
        raise _Hangs
    if then is RESET:
        raise _Resets
    if then is CLOSE:
        raise _Closes


def sends(*parts: bytes, every: float = 0.0, then: Then = CLOSE) -> Answer:
    """Return an answer that writes *parts*, each *every* seconds after the one before."""

    async def answer(writer: asyncio.StreamWriter, _: Request) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if every:
                await asyncio.sleep(every)
        _end(then)

    return answer


def repeats(head: bytes, part: bytes, *, every: float = 0.0) -> Answer:
    """Return an answer that writes *head*, then *part* for ever."""

    async def parts() -> AsyncIterator[bytes]:
        yield head
        while True:
            yield part

    async def answer(writer: asyncio.StreamWriter, _: Request) -> None:
        async for item in parts():
            writer.write(item)
            await writer.drain()
            await asyncio.sleep(every)

    return answer


def page(
    body: bytes,
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    headers: str = "",
    then: Then = KEEP,
) -> Answer:
    """Return a well-formed answer; *headers* are whole lines without their line breaks' end."""
    extra = "".join(f"{line}\r\n" for line in headers.splitlines())
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return sends(head.encode() + body, then=then)


def says(document: Any, **options: Any) -> Answer:
    """Return an answer whose body is *document* as JSON."""
    return page(json.dumps(document).encode(), **options)


def redirects(to: str, status: str = "302 Found") -> Answer:
    """Return a redirect to *to*."""
    return page(b"", status=status, headers=f"Location: {to}")


def chunked(body: bytes) -> bytes:
    """Return *body* as one chunk, without the last one."""
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def gzip_bomb(size: int = 1 << 30) -> bytes:
    """Return about size/1000 bytes of gzip that hold *size* zeros; the checksum is wrong."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    # blocks after a full flush do not depend on one another, so one of them serves for all
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (size // (16 * MIB)) + packer.flush()


def gzip_members(count: int, each: bytes = b" ") -> bytes:
    """Return *count* gzip members of *each*."""
    return gzip.compress(each) * count
