"""HTTP requests that end: bounded in time, size, redirects and connections, whatever answers.

One Fetcher serves the whole process. Everything that can be expected to go wrong is a ReadError
with its Reason; texts name the address without its query and never a header.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from aiohttp.hdrs import CONTENT_ENCODING, CONTENT_LENGTH
from multidict import CIMultiDictProxy
from yarl import URL

from seamwatch.errors import ReadError, Reason
from seamwatch.fetch.calls import CALL, Call, Connector, Deadline
from seamwatch.fetch.endpoint import DEFAULT_HEADERS, Endpoint, named
from seamwatch.fetch.faults import Rejected, retry_after, status_reason, translated
from seamwatch.fetch.inflate import STEP, Inflater
from seamwatch.fetch.resolver import Resolver

ERROR_BYTES = 16 << 10
"""Bytes of an error's body that are read for its message."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LARGE = 1 << 20  # aiohttp wants bodies above this as a file


class Fetched(NamedTuple):
    """A 2xx answer, whole and decompressed; *duration* is seconds."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    duration: float


class Fetcher:
    """The one HTTP client of a process, an async context manager.

    Args:
        connections: connections open at the same time, over all hosts.
        per_host: connections to one host and port; more calls wait for their turn, and the time
            they wait counts.
        resolver: made on entry when None; closed on exit.
    """

    def __init__(
        self, *, connections: int = 1024, per_host: int = 256, resolver: Resolver | None = None
    ) -> None:
        self._connections = connections
        self._per_host = per_host
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._resolver = self._resolver or Resolver()
        connector = Connector(
            limit=self._connections,
            limit_per_host=self._per_host,
            resolver=self._resolver,
            use_dns_cache=False,  # the resolver has its own
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # fetch() has its own
            auto_decompress=False,
            headers=DEFAULT_HEADERS,
            trust_env=False,
        )
        # aiohttp repeats a GET whatever went wrong; the one case that deserves it is below
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._resolver is not None:
            await self._resolver.close()

    async def fetch(
        self,
        endpoint: Endpoint,
        *,
        method: str = "GET",
        path: str = "",
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Fetched:
        """Return the whole 2xx answer within *timeout* seconds, or raise ReadError.

        A request is repeated once, at once, when a kept connection turns out to have been closed
        before a byte of the answer came.

        Args:
            endpoint: whom to ask.
            method: in capitals.
            path: percent-encoded, from ``/``, below the endpoint's own path.
            params: added to the query.
            body: what to send; its Content-Type is the caller's to set.
            headers: over those of the endpoint.
            timeout: for everything: waiting for a connection, redirects and the last byte.

        Raises:
            Rejected: the status is not 2xx (a ReadError that keeps status and body).
            ReadError: no whole answer came.
        """
        started = monotonic()
        call = Call()
        CALL.set(call)
        try:
            url = endpoint.at(path)
            if params:
                url = url.extend_query(params)
            with Deadline(timeout):
                return await self._exchange(call, endpoint, method, url, body, headers, started)
        except TimeoutError as error:
            raise ReadError(
                Reason.TIMEOUT,
                f"{endpoint.name(path)}: no whole answer within {timeout:g} s, {call.phase()}",
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if call.protocol is None and self._resolver is not None:
                self._resolver.forget(endpoint.url.raw_host or "")
            failure = translated(error, endpoint.name(path))
            # the text of a client error holds the query, so the chain goes round it
            raise failure from error.__cause__

    async def _exchange(
        self,
        call: Call,
        endpoint: Endpoint,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        started: float,
    ) -> Fetched:
        # one coroutine on purpose: every further one costs on each resumption of a golden item
        if self._session is None:
            raise RuntimeError("a Fetcher is used inside `async with`")
        sent, context = endpoint.headers(headers), endpoint.ssl()
        redirects = 0
        while True:
            try:
                response = await self._session.request(
                    method,
                    url,
                    data=io.BytesIO(body) if body is not None and len(body) > _LARGE else body,
                    headers=sent,
                    allow_redirects=False,
                    ssl=context,
                    server_hostname=endpoint.server_name,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not call.may_retry():
                    raise
                call.retry()
                continue
            call.begin_body()
            try:
                if 200 <= response.status < 300:
                    content = await _read(call, response, url, endpoint.max_bytes)
                    return Fetched(
                        response.status, response.headers, content, monotonic() - started
                    )
                if response.status not in _REDIRECTS:
                    raise await _rejection(call, response, endpoint, url)
                url = _target(response, endpoint, method, url)
            finally:
                if not response.closed:  # what was read to its end has closed itself
                    response.close()
            redirects += 1
            if redirects > endpoint.redirects:
                raise ReadError(
                    Reason.REDIRECT,
                    f"{endpoint.name()}: more than {endpoint.redirects} redirect(s)",
                )


async def _read(call: Call, response: aiohttp.ClientResponse, url: URL, limit: int) -> bytes:
    """Return the body, at most *limit* bytes of it as sent and once decompressed."""
    declared = response.headers.get(CONTENT_LENGTH)
    if declared is not None and int(declared) > limit:
        raise _too_large(url, f"has {declared} bytes", limit)
    coding = response.headers.get(CONTENT_ENCODING)
    if coding is not None and coding.strip().lower() != "identity":
        pieces = _inflated(call, response.content, Inflater(coding, where=named(url)), url, limit)
        return b"".join([piece async for piece in pieces])
    stream = response.content
    chunk = await stream.readany()
    if stream.at_eof() and len(chunk) <= limit:
        return chunk  # most answers come in one piece
    parts = []
    while chunk:
        _count(call, chunk, url, limit)
        parts.append(chunk)
        chunk = await stream.readany()
    return b"".join(parts)


async def _inflated(
    call: Call, stream: aiohttp.StreamReader, inflater: Inflater, url: URL, limit: int
) -> AsyncIterator[bytes]:
    size = 0
    while chunk := await stream.readany():
        _count(call, chunk, url, limit)
        for piece in inflater.feed(chunk):
            size += len(piece)
            if size > limit:
                raise _too_large(url, "is larger than allowed once decompressed", limit)
            yield piece
            if len(piece) == STEP:
                await asyncio.sleep(0)  # a large body may not hold up everybody else
    inflater.finish()


def _count(call: Call, chunk: bytes, url: URL, limit: int) -> None:
    call.received += len(chunk)
    if call.received > limit:
        raise _too_large(url, "is larger than allowed", limit)


def _too_large(url: URL, what: str, limit: int) -> ReadError:
    return ReadError(
        Reason.TOO_LARGE,
        f"{named(url)}: the body {what}; max_bytes is {limit}",
    )


async def _rejection(
    call: Call, response: aiohttp.ClientResponse, endpoint: Endpoint, url: URL
) -> Rejected:
    try:
        body = await _read(call, response, url, ERROR_BYTES)
    except (ReadError, aiohttp.ClientError):
        body = b""  # the status says enough
    return Rejected(
        status_reason(response.status),
        named(url),
        status=response.status,
        body=body,
        retry_after=retry_after(response.headers),
        scrub=endpoint.scrub,
    )


def _target(response: aiohttp.ClientResponse, endpoint: Endpoint, method: str, url: URL) -> URL:
    """Return where a redirect leads; raise ReadError when it may not be followed."""
    where = f"{named(url)} answered {response.status}"
    if not endpoint.redirects:
        raise ReadError(
            Reason.REDIRECT,
            f"{where}: redirects are off; write the final address or set redirects",
        )
    try:
        target = url.join(URL(response.headers.get("Location", ""), encoded=True))
        origin = target.origin()
    except ValueError as error:
        raise ReadError(Reason.REDIRECT, f"{where} with a Location that is no address") from error
    if origin != endpoint.origin:
        # credentials in custom headers would go to somebody else
        raise ReadError(
            Reason.REDIRECT,
            f"{where} to {named(target)}: only redirects to the same scheme, host and port are"
            " followed",
        )
    if response.status < 307 and method not in ("GET", "HEAD"):
        raise ReadError(
            Reason.REDIRECT, f"{where}, which would turn {method} into GET; write the final address"
        )
    return target
